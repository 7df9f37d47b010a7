#!/usr/bin/env bash
# Shows that the tests can see: applies each defect of mutants/ to a copy of the
# tree and runs the one test that must fail. See mutants/README.md.
#
#   scripts/mutants.sh [NN ...]    all, or those whose names begin so
#
# What was changed goes to the compiler as an overlay: the tree is never touched,
# and the build cache is the usual one. Tests run in the copy, since some read what
# is not Go, and some write into their directory when they fail.
set -euo pipefail
cd "$(dirname "$0")/.."
workers=${WORKERS:-2}

# one NAME PACKAGE TEST judges one mutant and leaves verdict and log in the scratch directory.
one() {
  local name=$1 pkg=$2 test=$3 dir=$scratch/$1 begin=$SECONDS verdict=survived file
  mkdir "$dir"
  cp -al "$scratch/tree" "$dir/tree" # Links: git writes what it changes anew.
  for file in $(git apply --numstat "mutants/$name.patch" | cut -f 3); do
    echo "\"$PWD/$file\": \"$dir/tree/$file\""
  done | paste -sd , | sed 's/.*/{"Replace": {&}}/' > "$dir/overlay.json"
  if ! (cd "$dir/tree" && git apply --verbose "$OLDPWD/mutants/$name.patch") &> "$dir/log"; then
    verdict="does not apply"
  elif ! go test -overlay "$dir/overlay.json" -ldflags=-w -c -o "$dir/test" "$pkg" &> "$dir/log"; then
    verdict="does not compile"
  elif ! (cd "$dir/tree/$pkg" && "$dir/test" -test.run "^$test\$" -test.timeout 60s) &> "$dir/log"; then
    verdict="no assertion"
    if grep -q -- "^--- FAIL: $test " "$dir/log" && ! grep -Eq '^(panic|fatal error): ' "$dir/log"; then
      verdict=killed
    fi
  fi
  rm -f "$dir/test"
  echo "$verdict" > "$dir/verdict"
  printf '%-16s %3d s  %-30s %s\n' "$verdict" $((SECONDS - begin)) "$name" "$pkg $test"
}
if [ "${1-}" = --one ]; then
  one "${@:2}"
  exit
fi

scratch=$(mktemp -d)
export scratch
trap 'rm -rf "$scratch"' EXIT
awk -F ' *[|] *' '/^[|] [0-9]/ {print $2, $5, $6}' mutants/README.md > "$scratch/all"
diff <(cut -d ' ' -f 1 "$scratch/all" | sort) <(cd mutants && printf '%s\n' *.patch | sed 's/\.patch$//' | sort) || {
  echo "the table of mutants/README.md (<) and the patches (>) differ"
  exit 1
}
grep -E "^($(IFS='|'; echo "${*:-.}"))" "$scratch/all" > "$scratch/chosen"
mkdir "$scratch/tree"
git ls-files -z | tar --null --files-from - --create | tar --extract --directory "$scratch/tree"

# A test that fails without a defect, too, kills nothing.
echo "the tests of $(wc -l < "$scratch/chosen") mutants, on the tree as it is:"
# shellcheck disable=SC2016 # The inner shell expands.
cut -d ' ' -f 2- "$scratch/chosen" | sort -u |
  awk '{tests[$1] = tests[$1] (tests[$1] ? "|" : "") $2} END {for (p in tests) print p, "^(" tests[p] ")$"}' |
  xargs -P "$workers" -n 2 sh -c 'go test -count=1 -timeout 120s -run "$1" "$0" || exit 255'

echo
xargs -P "$workers" -n 3 "$0" --one < "$scratch/chosen"
alive=$(grep -Lx killed "$scratch"/*/verdict | xargs -r -n 1 dirname) || true
for dir in $alive; do
  printf '\n%s: %s\n' "$(basename "$dir")" "$(cat "$dir/verdict")"
  tail -n 30 "$dir/log"
done
printf '\n%d mutants, %d not killed, %d s\n' "$(wc -l < "$scratch/chosen")" "$(wc -w <<< "$alive")" "$SECONDS"
[ -z "$alive" ]
