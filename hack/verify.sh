#!/usr/bin/env bash
# Fails if the repository differs from what its generators make of it. They run
# on a copy, so the work tree stays as it is and need not be committed. Run it
# with `make verify`, which builds the tools first.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT

failed=false
# check NAME ADVICE COMMAND... runs a command that prints what is wrong and fails.
check() {
  local name=$1 advice=$2
  shift 2
  echo "verify: $name"
  if ! "$@"; then
    echo "verify: $name FAILED: $advice" >&2
    failed=true
  fi
}

generated_files() {
  local file
  while IFS= read -r -d '' file; do
    if [[ -e "$file" ]]; then printf '%s\0' "$file"; fi # not those deleted in the work tree
  done < <(git ls-files -z --cached --others --exclude-standard) | tar --null -T - -cf - | tar -C "$copy" -xf -
  # Whatever is not made anew has lost its source.
  rm -rf "$copy"/config/crd/bases/* "$copy"/config/rbac/role.yaml "$copy"/config/webhook/manifests.yaml "$copy"/api/*/zz_generated.* "$copy"/bundle "$copy"/bundle.Dockerfile "$copy"/docs/api.md
  if ! make --no-print-directory -C "$copy" TOOLS="$root/build/tools" bundle >"$copy/generate.log" 2>&1; then
    cat "$copy/generate.log"
    return 1
  fi
  diff -ru api "$copy/api" && diff -ru config "$copy/config" && diff -ru bundle "$copy/bundle" && diff -u bundle.Dockerfile "$copy/bundle.Dockerfile" &&
    diff -u docs/api.md "$copy/docs/api.md"
}

tidy_modules() {
  local module differs=0
  while IFS= read -r module; do
    (cd "$(dirname "$module")" && go mod tidy -diff) || differs=1
  done < <(git ls-files --cached --others --exclude-standard -- go.mod '*/go.mod')
  return "$differs"
}

manifests() {
  local dir
  for dir in default self-managed manifests network-policy prometheus samples uninstall; do
    build/tools/kustomize build "config/$dir" >/dev/null || return 1
  done
}

# Every folder that the operator is compiled from is in the Dockerfile's COPY list.
image_sources() {
  local source missing=0
  while IFS= read -r source; do
    if ! grep -q "^COPY $source/ $source/$" Dockerfile || ! grep -qx "!$source" .dockerignore; then
      echo "$source is missing in Dockerfile or .dockerignore"
      missing=1
    fi
  done < <(go list -deps -f '{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}' . | sed -n "s|^$root/\([^/]*\).*|\1|p" | sort -u)
  return "$missing"
}

check "generated code, manifests and bundle" "run make bundle" generated_files
check "Go modules" "run go mod tidy in the module's folder" tidy_modules
check "the image's sources" "add the folder to Dockerfile and .dockerignore; see hack/image.sh" image_sources
check "third-party licences" "see hack/licenses.sh" hack/licenses.sh "$copy/licenses"
check "known vulnerabilities" "move the module to a version without, or the Dockerfile's Go; see hack/vulncheck.sh" hack/vulncheck.sh
check "kustomize builds" "see config/" manifests

if $failed; then exit 1; fi
