#!/usr/bin/env bash
# Runs the tests that need Prometheus, promtool or the OpenTelemetry collector:
# those of files with the build tag observability, and no others of their packages.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in prometheus promtool otelcol; do
  scripts/observability.sh "$tool" >/dev/null
done
export PATH=$PWD/.tools:$PATH
mapfile -t files < <(grep -rl '^//go:build observability' --include='*_test.go' .)
mapfile -t packages < <(printf '%s\n' "${files[@]}" | xargs -n1 dirname | sort -u)
tests=$(sed -n 's/^func \(Test[A-Z][A-Za-z0-9]*\)(t .*/\1/p' "${files[@]}" | paste -sd '|')
echo "$tests in ${packages[*]}"
# Tags given here take the place of those that CI gives to all of go (Dockerfile).
go test -tags observability,grpcnotrace -count=1 -timeout 10m -run "^($tests)\$" "$@" "${packages[@]}"
