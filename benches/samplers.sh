#!/usr/bin/env bash
# What the samplers cost: their own processor time, by their closing records, as a share of one core.
#
#   benches/samplers.sh [SECONDS]      default: 60 for each row
#
# power-sample reads a copy of /sys with one counter that moves; mem-sample follows one process among 500 others.
set -euo pipefail

seconds=${1:-60}
dir=$(mktemp -d)
pids=()
stop() { kill "${pids[@]}" 2> /dev/null || true; rm -rf "$dir"; }
trap stop EXIT

zone=$dir/class/powercap/intel-rapl:0
mkdir -p "$zone"
echo package-0 > "$zone/name"
echo 0 > "$zone/energy_uj"
while :; do echo "${EPOCHREALTIME/./}" > "$zone/energy_uj"; sleep 0.05; done &
pids+=($!)
for _ in $(seq 500); do
    sleep $((seconds * 6 + 60)) &
    pids+=($!)
done

row() {
    local what=$1
    shift
    "$@" --for "${seconds}s" | jq -r --arg what "$what" --argjson seconds "$seconds" 'select(.event == "end")
        | "\($what)\t\(.samples) readings\t\(.gaps) missed\t\(.cpu_seconds / $seconds * 1e5 | round / 1e3) % of a core"'
}

for interval in 1s 100ms; do
    row "power-sample, $interval" power-sample --source rapl --sysfs-root "$dir" --interval "$interval"
    row "mem-sample, $interval" mem-sample --pid "${pids[-1]}" --interval "$interval"
    row "mem-sample, $interval, nobody found" mem-sample --quiet --name '^no-such-server$' --interval "$interval"
done
