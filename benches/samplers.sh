#!/usr/bin/env bash
# What the samplers cost: their own processor time, by their closing records, as a share of one core: a Markdown section
# on standard output.
#
#   benches/samplers.sh [SECONDS]      default: 60
#
# power-sample reads a copy of /sys with one counter that moves; mem-sample follows one process among 500 others. All rows
# are measured at the same time: each counts its own processor time only. A missed target is marked.
set -euo pipefail
# shellcheck source=benches/common.sh
. "$(dirname "$0")/common.sh"

seconds=${1:-60}
dir=$(mktemp -d)
pids=()
stop() { kill "${pids[@]}" 2> /dev/null || true; rm -rf "$dir"; }
trap stop EXIT

zone=$dir/class/powercap/intel-rapl:0
mkdir -p "$zone"
echo package-0 > "$zone/name"
echo 0 > "$zone/energy_uj"
for ((joules = 0; ; joules++)); do echo "${joules}000000" > "$zone/energy_uj"; sleep 0.05; done &
pids+=($!)
for _ in $(seq 500); do
    sleep $((seconds + 120)) &
    pids+=($!)
done
processes=$(ps -A | wc -l)

rows=()
# row WHAT TARGET COMMAND…: a row of the table; TARGET in percent of a core, or - for none
row() {
    local what=$1 target=$2
    shift 2
    local file
    file=$dir/row-$(printf '%02d' ${#rows[@]})
    "$@" --duration "${seconds}s" 2> "$file.err" | jq -r --arg what "$what" --arg target "$target" --argjson seconds "$seconds" '
        select(.event == "end") | (.cpu_seconds / $seconds * 1e5 | round / 1e3) as $share
        | "| \($what) | \(.samples) | \(.gaps) | \($share) % | \(
            if $target == "-" then "–" else "\($target) %" + (if $share < ($target | tonumber) then "" else " **missed**" end) end) |"
    ' > "$file" &
    rows+=($!)
}

followed=${pids[-1]}
row "power-sample, every 1 s" 0.1 power-sample --meter rapl --sysfs-root "$dir" --interval 1s
row "power-sample, every 100 ms" - power-sample --meter rapl --sysfs-root "$dir" --interval 100ms
row "mem-sample, every 1 s" 0.5 mem-sample --pid "$followed" --interval 1s
row "mem-sample, every 100 ms" - mem-sample --pid "$followed" --interval 100ms
row "mem-sample, every 1 s, nobody found" 0.5 mem-sample --quiet --name '^no-such-server$' --interval 1s
row "mem-sample, every 100 ms, nobody found" - mem-sample --quiet --name '^no-such-server$' --interval 100ms
wait "${rows[@]}"

echo "## The samplers' own cost"
echo
echo "$(machine); $((processes)) processes, $seconds s each."
echo
echo "| program | readings | missed | share of a core | target |"
echo "|---|--:|--:|--:|--:|"
cat "$dir"/row-??
