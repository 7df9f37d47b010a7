#!/usr/bin/env bash
# Runs a ballast command on the stack of the home directory, which is started
# when it is down, and then stopped again.
# Usage: [BALLAST_HOME=DIR] [UP="--broker apache"] scripts/with-stack.sh COMMAND [FLAG...]
set -euo pipefail
cd "$(dirname "$0")/.."
home=${BALLAST_HOME:-.ballast}
if ! bin/ballast status --home "$home" >/dev/null 2>&1; then
  # shellcheck disable=SC2086 # UP is a list of flags.
  bin/ballast up --home "$home" --detach ${UP:-}
  trap 'bin/ballast down --home "$home"' EXIT
fi
bin/ballast "$1" --home "$home" "${@:2}"
