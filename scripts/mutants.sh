#!/usr/bin/env bash
# Shows that the tests can see: applies each defect of mutants/ to a copy of the
# files that it touches and runs the test that must fail, which mutants/README.md
# names. Killed means that this very test failed by an assertion. A patch that no
# longer applies or compiles, a panic and a timeout are failures of this script.
#
#   scripts/mutants.sh          all
#   scripts/mutants.sh 07 12    those whose names begin so
#
# The copies go to the compiler as an overlay: the tree is never touched, and the
# build cache is the usual one.
set -euo pipefail
cd "$(dirname "$0")/.."
workers=${WORKERS:-2}

# index prints name, package and test of each mutant.
index() { awk -F ' *[|] *' '/^[|] [0-9]/ {print $2, $5, $6}' mutants/README.md; }

# one NAME PACKAGE TEST judges one mutant: "verdict seconds", and its log.
one() {
  local name=$1 pkg=$2 test=$3 dir=$scratch/$1 begin=$SECONDS verdict=survived file
  mkdir -p "$dir"
  for file in $(git apply --numstat "mutants/$name.patch" | cut -f 3); do
    mkdir -p "$dir/$(dirname "$file")"
    cp "$file" "$dir/$file"
    echo "\"$PWD/$file\": \"$dir/$file\""
  done | paste -sd , | sed 's/.*/{"Replace": {&}}/' > "$dir/overlay.json"
  if ! (cd "$dir" && git apply --verbose "$OLDPWD/mutants/$name.patch") &> "$dir/log"; then
    verdict="does not apply"
  elif ! go test -overlay "$dir/overlay.json" -c -o "$dir/test" "$pkg" &> "$dir/log"; then
    verdict="does not compile"
  elif ! (cd "$pkg" && "$dir/test" -test.run "^$test\$" -test.timeout 60s) &> "$dir/log"; then
    verdict="no assertion"
    if grep -q -- "^--- FAIL: $test " "$dir/log" && ! grep -Eq '^(panic|fatal error): ' "$dir/log"; then
      verdict=killed
    fi
  fi
  rm -f "$dir/test"
  echo "$verdict" > "$dir/verdict"
  printf '%-18s %-42s %-62s %3d s\n' "$verdict" "$name" "$pkg $test" $((SECONDS - begin))
}
if [ "${1-}" = --one ]; then
  one "${@:2}"
  exit
fi

scratch=$(mktemp -d)
export scratch
trap 'rm -rf "$scratch"' EXIT
index > "$scratch/all"
diff <(cut -d ' ' -f 1 "$scratch/all") <(cd mutants && ls -- *.patch | sed 's/\.patch$//') || {
  echo "mutants/README.md and the patches (>) differ"
  exit 1
}
grep -E "^($(IFS='|'; echo "${*:-.}"))" "$scratch/all" > "$scratch/chosen"

# A test that fails without a defect, too, kills nothing.
echo "the tests of $(wc -l < "$scratch/chosen") mutants, on the tree as it is:"
cut -d ' ' -f 2- "$scratch/chosen" | sort -u |
  awk '{tests[$1] = tests[$1] (tests[$1] ? "|" : "") $2} END {for (p in tests) print p, "^(" tests[p] ")$"}' |
  xargs -P "$workers" -n 2 sh -c 'go test -count=1 -timeout 120s -run "$1" "$0" || exit 255'

echo
xargs -P "$workers" -n 3 "$0" --one < "$scratch/chosen"
alive=$(grep -Lx killed "$scratch"/*/verdict | xargs -r -n 1 dirname)
for dir in $alive; do
  printf '\n%s: %s\n' "$(basename "$dir")" "$(cat "$dir/verdict")"
  tail -n 30 "$dir/log"
done
printf '\n%d mutants, %d not killed, %d s\n' "$(wc -l < "$scratch/chosen")" "$(wc -w <<< "$alive")" "$SECONDS"
[ -z "$alive" ]
