#!/usr/bin/env bash
# Prints what the operator stores, as it does: one JSON object a line, until Ctrl-C.
#
#   hack/follow-events.sh [node=NAME] [eni=NAME-OR-ID] [type=TYPE,TYPE]
#
# It asks the leader in the current cluster, in the name of a service account that
# has the ClusterRole eni-operator-debug-reader (see docs/events.md). With URL=, as in
# URL=http://127.0.0.1:8080, it asks the metrics server at that address instead.
set -euo pipefail

NAMESPACE=${NAMESPACE:-eni-operator-system}
SERVICE_ACCOUNT=${SERVICE_ACCOUNT:-debug-reader}
KUBECTL=${KUBECTL:-kubectl}
LEASE=eni-operator.networking.eni-operator.dev

forward=""
folder=""
finish() {
  if [[ -n "$forward" ]]; then kill "$forward" 2>/dev/null || true; fi
  if [[ -n "$folder" ]]; then rm -rf "$folder"; fi
}
trap finish EXIT

arguments=(--no-buffer --silent --show-error --fail-with-body --get)
for filter in "$@"; do arguments+=(--data-urlencode "$filter"); done

if [[ -z "${URL:-}" ]]; then
  folder=$(mktemp -d)
  holder=$("$KUBECTL" -n "$NAMESPACE" get lease "$LEASE" -o jsonpath='{.spec.holderIdentity}')
  [[ -n "$holder" ]] || { echo "nobody leads: lease $NAMESPACE/$LEASE has no holder" >&2; exit 1; }
  echo "following ${holder%%_*}" >&2
  : >"$folder/forward" # it is read at once
  "$KUBECTL" -n "$NAMESPACE" port-forward "pod/${holder%%_*}" :8443 >"$folder/forward" &
  forward=$!
  until port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$folder/forward") && [[ -n "$port" ]]; do
    kill -0 "$forward" 2>/dev/null || { echo "no way to pod ${holder%%_*}" >&2; exit 1; }
    sleep 0.2
  done
  URL=https://127.0.0.1:$port
  # The token goes through a file, so that no list of processes shows it. The
  # certificate is the operator's own; the way to it is kubectl's.
  "$KUBECTL" -n "$NAMESPACE" create token "$SERVICE_ACCOUNT" | sed 's/^/header = "Authorization: Bearer /; s/$/"/' >"$folder/curl"
  chmod 600 "$folder/curl"
  arguments+=(--insecure --config "$folder/curl")
fi

# A refusal is said as it is; of the stream, only what is data.
curl "${arguments[@]}" "$URL/debug/events" | sed --unbuffered -e '/^event: /d; /^: /d; /^$/d; s/^data: //'
