#!/usr/bin/env bash
# The suite and the notebooks on a machine with a GPU: tests/gpu.sh [device] [workers]
# Once with that default device, and the notebooks once more without: they run there unchanged too.
# Logs go to $OUT (build/gpu if unset). Left out: what takes a browser, and what says nothing about devices (the house, slides, README).
set -uo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda} workers=${2:-12} out=${OUT:-build/gpu}
mkdir -p "$out"
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
how="-q --dist loadfile --tb=short --nbval-lax -p no:cacheprovider"
leave="--ignore=tests/browser --ignore-glob=*test_house* --ignore-glob=*test_slides* --ignore-glob=*test_readme*"

timeout "${LIMIT:-440}" python3 -m pytest $how -n 4 notebooks tests/conftest.py >"$out/notebooks.log" 2>&1 &
timeout "${LIMIT:-440}" python3 -m pytest $how -n "$workers" $leave --device "$device" notebooks tests >"$out/$device.log" 2>&1
first=$?
wait $!
second=$?
for log in "$out/$device.log" "$out/notebooks.log"; do
    echo "== $log"
    grep -E "^(FAILED|ERROR)" "$log" | cut -c1-180 | head -60
    tail -1 "$log"
done
exit $((first > second ? first : second))
