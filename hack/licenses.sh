#!/usr/bin/env bash
# Copies the licences and notices of everything that is compiled into the
# operator into a folder, which the image carries as /licenses: Apache-2.0, BSD
# and MIT ask for it. Fails for a module that has none. Usage: licenses.sh FOLDER
set -euo pipefail

target="$(mkdir -p "${1:?a folder to write to}" && cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A found
# A package's own folder counts too: modules carry code of others in folders with licences of their own.
while IFS='|' read -r module root package; do
  found[$module]=${found[$module]:-}
  while :; do
    for text in "$package"/{LICEN[CS]E,COPYING,NOTICE,PATENTS}*; do
      [[ -f "$text" && "$text" != *.go ]] || continue
      mkdir -p "$target/$module${package#"$root"}"
      install -m 0644 "$text" "$target/$module${package#"$root"}/"
      found[$module]=yes
    done
    [[ "$package" != "$root" ]] || break
    package="${package%/*}"
  done
done < <(go list -deps -f '{{with .Module}}{{.Path}}|{{.Dir}}|{{$.Dir}}{{end}}' . | grep -v '^$')
mkdir -p "$target/go" && install -m 0644 "$(go env GOROOT)/LICENSE" "$target/go/"

missing=0
for module in "${!found[@]}"; do
  if [[ -z "${found[$module]}" ]]; then
    echo "licenses: $module carries no licence" >&2
    missing=1
  fi
done
exit "$missing"
