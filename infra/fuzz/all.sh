#!/bin/sh
# Runs every fuzz target for the time given. A target that fails leaves its
# input under testdata/fuzz, from where every later test run repeats it.
set -u
time=${1:?usage: all.sh DURATION}
go=${GO:-go}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
for pkg in $($go list ./...); do
  for target in $($go test -list '^Fuzz' "$pkg" | grep '^Fuzz'); do
    echo "fuzz $pkg $target"
    # The engine may report its own deadline as a failure without any input:
    # only that is tried once more.
    for try in 1 2; do
      if $go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg" >"$log" 2>&1; then
        passed=$((passed + 1))
        break
      fi
      if [ $try -eq 1 ] && grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
        continue
      fi
      cat "$log"
      failed=$((failed + 1))
      break
    done
  done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
