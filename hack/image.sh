#!/usr/bin/env bash
# Does what the Dockerfile's first stage does, without an image: copies what its
# COPY lines name, and nothing else, runs its build for both architectures, and
# collects the licences.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
workspace="$(mktemp -d)"
trap 'rm -rf "$workspace"' EXIT

build="$(sed -n 's/^RUN \(CGO_ENABLED.*go build.*\)$/\1/p' Dockerfile)"
if [[ -z "$build" ]]; then
  echo "image: the Dockerfile has no line RUN CGO_ENABLED=... go build" >&2
  exit 1
fi
while read -r -a words; do
  sources=("${words[@]:1:${#words[@]}-2}")
  mkdir -p "$workspace/$(dirname "${words[-1]}")"
  cp -r "${sources[@]%/}" "$workspace/$(dirname "${words[-1]}")/"
done < <(grep '^COPY ' Dockerfile | grep -v -- '--from=')
find "$workspace" \( -name '*_test.go' -o -name testdata \) -prune -exec rm -rf {} + # as .dockerignore does

for arch in amd64 arm64; do
  (cd "$workspace" && TARGETOS=linux TARGETARCH=$arch VERSION=v0.0.0-test bash -c "$build")
  echo "image: linux/$arch: $(wc -c <"$workspace/eni-operator") bytes"
  if [[ "$arch" == "$(go env GOARCH)" && "$("$workspace/eni-operator" --version)" != v0.0.0-test ]]; then
    echo "image: --version does not say the release that the image was built for" >&2
    exit 1
  fi
done

(cd "$workspace" && hack/licenses.sh licenses)
echo "image: $(find "$workspace/licenses" -type f | wc -l) licences and notices"
