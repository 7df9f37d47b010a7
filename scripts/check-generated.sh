#!/usr/bin/env bash
# Fails when a generated file is not what would be generated now.
# Usage: scripts/check-generated.sh BUF
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$1" generate -o "$fresh"
if ! diff -r gen "$fresh/gen"; then
  echo "gen/ is stale: run 'make generate' and commit the result" >&2
  exit 1
fi
go run ./cmd/observe check
