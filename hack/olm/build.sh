#!/usr/bin/env bash
# Builds OLM's own operators (olm and catalog) from this folder's Go module into
# build/olm, unless they are there and up to date.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
bin="$(cd ../.. && pwd)/build/olm"
mkdir -p "$bin"
if command -v flock >/dev/null; then
  exec 9>"$bin/.lock"
  flock 9
fi

fingerprint="$(cat go.mod go.sum build.sh | cksum) $(go env GOVERSION GOOS GOARCH | xargs)"
if [[ -x "$bin/olm" && -x "$bin/catalog" && "$(cat "$bin/.fingerprint" 2>/dev/null)" == "$fingerprint" ]]; then exit 0; fi

echo "Building OLM: about three minutes on two cores, seconds when Go's build cache has it"
module=github.com/operator-framework/operator-lifecycle-manager
new="$(mktemp -d "$bin/.new.XXXXXX")"
trap 'rm -rf "$new"' EXIT
go build -trimpath -ldflags "-s -w" -o "$new/" "$module/cmd/olm" "$module/cmd/catalog"
mv -f "$new/olm" "$new/catalog" "$bin/"
echo "$fingerprint" >"$bin/.fingerprint"
echo "Built in $SECONDS s: build/olm"
