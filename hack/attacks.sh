#!/usr/bin/env bash
# Runs the tests that the table of attacks in docs/security.md names.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck disable=SC2016 # the backquotes are the page's
named="$(sed -n '/^## Attacks/,/^## /p' docs/security.md | grep -o '`[a-z/]*\.Test[A-Za-z0-9]*`' | tr -d '`' | sort -u)"
for folder in $(sed 's/\..*//' <<<"$named" | sort -u); do
  tests="$(sed -n "s|^$folder\.||p" <<<"$named" | paste -sd '|')"
  if [[ -f "$folder/go.mod" ]]; then
    (cd "$folder" && go test -timeout 15m -count=1 -v -run "^($tests)\$" .)
  else
    go test -timeout 15m -count=1 -v -run "^($tests)\$" "./$folder"
  fi
done | grep -E '^(--- |FAIL|ok|panic)'
