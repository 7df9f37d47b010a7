#!/usr/bin/env bash
# Builds the tool and every service under bin/, or the given packages, shows how far
# it is, and says whether the build cache was warm.
# Usage: scripts/build.sh [PACKAGE...]
set -euo pipefail
cd "$(dirname "$0")/.."
(($#)) || set -- ./cmd/... ./services/...
mkdir -p bin
begin=$SECONDS shown=$SECONDS packages=0
# -v prints a line for every package that has to be compiled; what is no package
# name is a message.
go build -v -o bin/ "$@" 2>&1 | {
  while IFS= read -r line; do
    case $line in
      *[!a-zA-Z0-9./_~-]*) echo "$line" ;;
      *) packages=$((packages + 1)) ;;
    esac
    if ((SECONDS - shown >= 5)); then
      shown=$SECONDS
      echo "building: $packages packages compiled after $((SECONDS - begin)) s"
    fi
  done
  cache=warm
  # A handful are the packages that were edited.
  if ((packages > 40)); then cache="cold: the next build takes seconds"; fi
  echo "built bin/ in $((SECONDS - begin)) s, $packages packages compiled (build cache $cache)"
}
