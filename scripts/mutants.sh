#!/usr/bin/env bash
# Seeded defects: each patch in mutants/ breaks one rule, and begins with the
# test that must notice. Fails when one of them survives its test.
#   scripts/mutants.sh [mutants/NAME.patch ...]
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree"' EXIT
git worktree add --quiet --detach "$tree" HEAD
[ $# -gt 0 ] || set -- mutants/*.patch
bad=0
for patch in "$@"; do
  name=$(basename "$patch" .patch)
  package=$(sed -n 's/^package: //p' "$patch") test=$(sed -n 's/^test: //p' "$patch")
  git -C "$tree" apply --recount - <"$patch"
  if ! (cd "$tree" && go vet "$package") >"$tree.log" 2>&1; then
    echo "BROKEN    $name does not build:" && cat "$tree.log" && bad=1
  elif (cd "$tree" && go test -count=1 -run "^$test\$" "$package") >"$tree.log" 2>&1; then
    echo "SURVIVED  $name: $package $test passes" && bad=1
  else
    echo "killed    $name by $test"
  fi
  git -C "$tree" checkout --quiet .
done
rm -f "$tree.log"
exit $bad
