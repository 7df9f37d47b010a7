#!/usr/bin/env bash
# Prints the path of one of the binaries that look at a stack. PATH's is taken when
# it is good enough, else it is built once under .tools from the versions that a Go
# module of its own pins: neither is part of what services are built of.
# Usage: scripts/observability.sh prometheus|promtool|otelcol
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-}
case $name in
  # 3.0 reads OpenMetrics as services write it, and the configuration of the stack.
  prometheus | promtool)
    version=3.8.1 module=deploy/observability/tools package=github.com/prometheus/prometheus/cmd/$name
    good_enough() { "$1" --version 2>&1 | grep -Eq "^$name, version ([3-9]|[1-9][0-9])\."; } ;;
  # Any version that knows all that deploy/observability/collector.yaml uses.
  otelcol)
    version=0.155.0 module=deploy/observability/otelcol package=.
    good_enough() { "$1" components 2>/dev/null | grep -q 'name: tail_sampling' && "$1" components | grep -q 'name: file$'; } ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2 ;;
esac

tool=$PWD/.tools/$name-$version
if [ ! -x "$tool" ]; then
  mkdir -p .tools
  for candidate in "$name" "$name-contrib"; do
    found=$(command -v "$candidate" || true)
    if [ -n "$found" ] && [ "$found" != "$PWD/.tools/$name" ] && good_enough "$found"; then
      echo "$name: $found, from PATH" >&2
      ln -sfn "$found" "$tool"
      break
    fi
  done
fi
if [ ! -x "$tool" ]; then
  packages=$(GOFLAGS='' go list -C "$module" -deps "$package" | wc -l)
  echo "building $name $version, once: minutes, as far as its $((packages)) packages are not in Go's build cache" >&2
  # Each has a file of its own until it is whole: several may build at once.
  GOFLAGS='' go build -C "$module" -v -o "$tool.$$" \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=$version" "$package" 2>&1 |
    awk 'NR % 50 == 0 { print "  " NR " packages are built" } /:[0-9]+:|^go: / { print }' >&2
  mv "$tool.$$" "$tool"
fi
# Under its plain name `ballast up --observability` finds it.
ln -sfn "$(basename "$tool")" ".tools/$name"
echo "$tool"
