#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl from this
# folder's Go module into build/controlplane: only those that are missing or out
# of date there and that KUBEBUILDER_ASSETS does not have.
set -euo pipefail

programs=(
  etcd=go.etcd.io/etcd/server/v3
  kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver
  kube-controller-manager=k8s.io/kubernetes/cmd/kube-controller-manager
  kubectl=k8s.io/kubernetes/cmd/kubectl
)

cd "$(dirname "${BASH_SOURCE[0]}")"
bin="$(cd ../.. && pwd)/build/controlplane"
mkdir -p "$bin"

# The second of two builds waits here and then finds everything done. Without
# flock (macOS) both build, which is slow but safe: binaries are moved in whole.
if command -v flock >/dev/null; then
  exec 9>"$bin/.lock"
  flock 9
  rm -rf "$bin"/.new.* # what a killed build left
fi

# A change of what a binary is made from makes it out of date.
fingerprint="$(cat go.mod go.sum build.sh | cksum) $(go env GOVERSION GOOS GOARCH | xargs)"

names=() packages=()
for program in "${programs[@]}"; do
  name=${program%%=*}
  if [[ -n "${KUBEBUILDER_ASSETS:-}" && -x "$KUBEBUILDER_ASSETS/$name" ]]; then continue; fi
  if [[ -x "$bin/$name" && "$(cat "$bin/.$name.fingerprint" 2>/dev/null)" == "$fingerprint" ]]; then continue; fi
  names+=("$name") packages+=("${program#*=}")
done
if [[ ${#names[@]} -eq 0 ]]; then exit 0; fi

new="$(mktemp -d "$bin/.new.XXXXXX")"
trap 'rm -rf "$new"' EXIT

echo "Building ${names[*]}: about seven minutes on two cores, seconds when Go's build cache has them"
if ! go list -deps -trimpath -f '{{if .Stale}}{{.ImportPath}}{{end}}' "${packages[@]}" >"$new/stale" 2>"$new/log"; then
  cat "$new/log" >&2
  exit 1
fi
stale="$(grep -c . "$new/stale" || true)"

# A build from modules does not know its version, which clients ask the API
# server for.
version="$(go list -m -f '{{.Version}}' k8s.io/kubernetes)"
IFS=. read -r major minor _ <<<"${version#v}"
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  ldflags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
done

# Reads the packages that `go build -v` names, one a line, and says how far it is.
show_progress() {
  local count=0 line
  while IFS= read -r line; do
    case $line in
      "go: downloading "*) continue ;;
      *[[:space:]]*) # a compiler's message
        printf '%s\n' "$line"
        continue
        ;;
    esac
    count=$((count + 1))
    if [[ -t 1 ]]; then
      printf '\r\033[K  %d of %d packages: %.60s' "$count" "$stale" "$line"
    elif ((count % 200 == 0)); then
      printf '  %d of %d packages\n' "$count" "$stale"
    fi
  done
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
}

go build -v -trimpath -ldflags "$ldflags" -o "$new/" "${packages[@]}" 2>&1 | show_progress

if [[ -e "$new/server" ]]; then mv "$new/server" "$new/etcd"; fi # etcd's main package is called server
for name in "${names[@]}"; do
  mv -f "$new/$name" "$bin/$name"
  echo "$fingerprint" >"$bin/.$name.fingerprint"
done
echo "Built in $SECONDS s: build/controlplane"
