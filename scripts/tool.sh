#!/usr/bin/env bash
# Puts a development tool of exactly this version under .tools, from PATH when it
# is there, else built by go install, and prints its path.
# Usage: scripts/tool.sh NAME MODULE VERSION
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 module=$2 version=$3
tool=$PWD/.tools/$name-$version
if [ ! -x "$tool" ]; then
  mkdir -p .tools
  found=$(command -v "$name" || true)
  if [ -n "$found" ] && go version -m "$found" 2>/dev/null | grep -q "mod.*$version"; then
    ln -sf "$found" "$tool"
  else
    echo "building $name $version, once: a few minutes" >&2
    GOBIN=$PWD/.tools GOFLAGS='' go install "$module@$version" >&2
    mv ".tools/$name" "$tool"
  fi
fi
echo "$tool"
