#!/usr/bin/env bash
# Fails if the operator calls code with a known vulnerability. The database is a
# Go module, so it comes through the module proxy as everything else does, at
# the version below: a new entry fails the change that moves the version, not
# whatever change happens to come next. The standard library is judged by the Go
# that the image is built with, not by the one that runs this.
# Run it with `make vulncheck`, which builds govulncheck first.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
database=${VULNDB:-golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018}

go="$(sed -n 's/^FROM .*golang:\([0-9.]*\) .*/go\1/p' Dockerfile)"
if [[ -z "$go" ]]; then
  echo "vulncheck: the Dockerfile does not build with golang:<version>" >&2
  exit 1
fi
if ! folder="$(go mod download -json "$database" | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')" || [[ -z "$folder" ]]; then
  echo "vulncheck: the module proxy does not serve the database, $database" >&2
  exit 1
fi
GOVERSION="$go" build/tools/govulncheck -db "file://$folder/data/osv" .
