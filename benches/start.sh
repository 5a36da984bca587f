#!/usr/bin/env bash
# What it takes to start: the size of each program, how long it takes to say its version, how long llm-run takes until its first
# request is at the server, and the most memory each holds for the least work there is: a Markdown section on standard output.
#
#   benches/start.sh [ROUNDS]      default: BENCH_ROUNDS, or 20
#
# Takes the programs from PATH. llm-sim writes down when requests arrive; the clock starts just before llm-run is executed.
set -euo pipefail
# shellcheck source=benches/common.sh
. "$(dirname "$0")/common.sh"

rounds=${1:-${BENCH_ROUNDS:-20}}
dir=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    wait
    rm -rf "$dir"
}
trap stop EXIT

llm-sim --port-file "$dir/url" --ground-truth "$dir/truth" --ground-truth-level request --ttft 5ms --itl 1ms --tokens 4 > /dev/null 2>&1 &
server=$!
for try in $(seq 100); do
    [ ! -s "$dir/url" ] || break
    [ "$try" -lt 100 ] || { say "start: llm-sim did not start"; exit 2; }
    sleep 0.1
done
url=$(cat "$dir/url")
llm-models openai --base-url "$url" --format ids | head -n 1 > "$dir/model"

# Writes down the moment, and becomes the command.
stamped() {
    perl -MTime::HiRes=time -e 'open my $f, ">", shift or die; printf $f "%.6f\n", time; close $f; exec @ARGV' "$dir/stamp" "$@"
}

request() { stamped llm-run --quiet --base-url "$url" --source openai --prompt hi --warmup 0 "$dir/model"; }

say "start: $rounds rounds"
request > "$dir/results.ndjson" || { say "start: llm-run failed"; exit 2; }
for _ in $(seq "$rounds"); do
    for program in llm-models llm-run power-sample mem-sample bench-join bench-report llm-sim; do
        { time "$program" --version > /dev/null; } 2>> "$dir/version.$program"
    done
    request > /dev/null
    # The server writes a line when a request has ended; the newest is ours.
    sleep 0.05
    jq -r --slurpfile stamp "$dir/stamp" 'select(.type == "ground_truth") | .arrival_ts - $stamp[0]' "$dir/truth" | tail -n 1 >> "$dir/first"
done

# The least work of each program.
memory() {
    case $1 in
        llm-models) timed "$dir/memory" llm-models openai --base-url "$url" ;;
        llm-run) timed "$dir/memory" llm-run --quiet --base-url "$url" --source openai --prompt hi --warmup 0 "$dir/model" ;;
        power-sample) timed "$dir/memory" power-sample --quiet --meter estimate --tdp-watts 30 --count 1 ;;
        mem-sample) timed "$dir/memory" mem-sample --quiet --pid $$ --count 1 ;;
        bench-join) timed "$dir/memory" bench-join --quiet "$dir/results.ndjson" ;;
        bench-report) timed "$dir/memory" bench-report --quiet "$dir/results.ndjson" ;;
        *) return 1 ;;
    esac 2> /dev/null
}

echo "## Size and start"
echo
echo "$(machine); $(llm-run --version), medians of $rounds rounds (lowest to highest)."
echo
echo "| program | size, MB | target | \`--version\`, ms | memory for one record, MiB |"
echo "|---|--:|--:|--:|--:|"
for program in llm-models llm-run power-sample mem-sample bench-join bench-report llm-sim; do
    rm -f "$dir/memory"
    kib=-
    ! memory "$program" || kib=$(awk '{ print $4 }' "$dir/memory")
    awk '{ print $1 * 1000 }' "$dir/version.$program" | spread |
        awk -v what="$program" -v b="$(bytes_of "$(command -v "$program")")" -v kib="$kib" '{
            printf "| `%s` | %.1f | under 12%s | %.0f (%.0f to %.0f) | %s |\n", what, b / 1e6, b < 12e6 ? "" : " **missed**",
                $1, $2, $3, kib == "-" ? "-" : sprintf("%.1f", kib / 1024) }'
done
echo
echo "| | ms | target |"
echo "|---|--:|--:|"
awk '{ print $1 * 1000 }' "$dir/first" | spread | awk '{
    printf "| llm-run, from its start to its first request at the server | %.1f (%.1f to %.1f) | under 30%s |\n", $1, $2, $3,
        $1 < 30 ? "" : " **missed**" }'
