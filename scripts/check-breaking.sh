#!/usr/bin/env bash
# Fails when a proto can't read what one before it wrote: events are stored for good, and
# messages wait in Kafka while versions change. Compares with the commit at which this
# branch left main; on main itself with the commit before.
# Usage: [BASE=REVISION] scripts/check-breaking.sh BUF
set -euo pipefail
cd "$(dirname "$0")/.."
base=${BASE:-$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)}
# Nothing but what is here was changed since: the last commit is what is in question.
if [ -z "${BASE:-}" ] && [ "$base" = "$(git rev-parse HEAD)" ] && git diff --quiet HEAD -- proto third_party; then
  base=HEAD~1
fi
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
if ! git archive "$base" buf.yaml proto third_party | tar -x -C "$before"; then
  echo "the protos of $base can't be read: a shallow clone? 'git fetch --unshallow', or BASE=REVISION" >&2
  exit 1
fi
if ! "$1" breaking --against "$before"; then
  echo "the protos break those of $(git rev-parse --short "$base"): take a new field or message, keep the old one" >&2
  exit 1
fi
echo "the protos read what those of $(git rev-parse --short "$base") wrote"
