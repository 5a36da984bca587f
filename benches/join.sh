#!/usr/bin/env bash
# How fast bench-join is beside `jq -c .` on the same file, and how much memory it takes for a million results: a Markdown
# section on standard output.
#
#   benches/join.sh [RESULTS [MANY]]      default: 50000 results for the speed, 1000000 for the memory
#
# Takes bench-join from PATH, or from BENCH_JOIN. Every result has one power and one memory reading of its own. Each round runs
# everything once, so that what else the machine does hits all alike; BENCH_ROUNDS=5 of them, and the medians count.
set -euo pipefail
# shellcheck source=benches/common.sh
. "$(dirname "$0")/common.sh"

results=${1:-50000}
many=${2:-1000000}
join=${BENCH_JOIN:-bench-join}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# A run of `n` requests of 0.9 s, one every 0.5 s: two in flight. Lines are as long as llm-run writes them.
lines() {
    awk -v n="$1" 'BEGIN {
        t = 1700000000; m = 1000
        histogram = "HISTFAAAAEV42pNpmSzMwMDAxAABzFCaEUoz2X+AMIKZAE"
        for (i = 0; i < 3; i++) histogram = histogram histogram
        print "{\"type\":\"run\",\"v\":1,\"run\":\"r1\",\"started_ts\":1700000000.0,\"boot\":\"b1\",\"tool\":{\"name\":\"llm-run\",\"version\":\"0\"},\"host\":{},\"settings\":{},\"argv\":[]}"
        for (i = 1; i <= n + 1; i++) {
            at = 8 + i / 2
            if (i <= n) printf "{\"type\":\"start\",\"v\":1,\"id\":%d,\"run\":\"r1\",\"start_ts\":%.6f,\"start_mono\":%.6f}\n", i, t + at, m + at
            if (i == 1) continue
            at -= 0.5
            printf "{\"type\":\"result\",\"v\":1,\"run\":\"r1\",\"id\":%d,\"key\":\"0123456789abcdef\",\"source\":\"openai\",\"model\":\"org/model-8b\",\"served_model\":\"org/model-8b\",\"endpoint\":\"http://127.0.0.1:8080/v1/chat/completions\",\"api\":\"openai\",\"generation_id\":\"chatcmpl-0123456789\",\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"start_ts\":%.6f,\"start_mono\":%.6f,", i - 1, t + at, m + at
            printf "\"timing_seconds\":{\"headers\":0.01,\"first_event\":0.15,\"first_token\":0.2,\"first_output_token\":0.2,\"last_token\":0.85,\"end\":0.9},\"ttft_seconds\":0.2,\"time_to_first_output_token_seconds\":0.2,\"generation_time_seconds\":0.9,\"tpot_corrected_seconds\":0.013,\"tpot_seconds\":0.0132,\"inter_chunk_latency_seconds\":{\"count\":49,\"mean\":0.013,\"min\":0.01,\"p50\":0.013,\"p90\":0.015,\"p95\":0.016,\"p99\":0.02,\"max\":0.021,\"histogram\":\"%s\"},", histogram
            printf "\"tokens\":{\"input\":10,\"output\":50,\"method\":\"usage\"},\"chunks\":{\"count\":50,\"reads\":50,\"max_per_read\":1,\"first_tokens\":{\"tokens\":1.0,\"exact\":false}},\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":60},\"derived\":{\"tokens_per_second\":55.5,\"decode_tokens_per_second\":76.9},\"concurrency\":2,\"phase\":\"measure\",\"repetition\":1,\"in_flight\":2,\"finish_reason\":\"stop\",\"prompt\":{\"id\":\"p\",\"temperature\":0.7,\"max_tokens\":512},\"files\":{\"text\":\"org_model-8b.txt\"},\"errors\":{\"load\":null,\"generation\":null},\"error\":null,\"client\":{\"lag_seconds\":{\"p50\":0.00001,\"p99\":0.0002,\"max\":0.0005}}}\n"
        }
    }'
}

# Readings twice a second, and the sampler's word before and after.
readings() {
    awk -v n="$1" -v what="$2" 'BEGIN {
        t = 1700000000; m = 1000; n += 24
        sampler = "\"tool\":{\"name\":\"sampler\",\"version\":\"0\"},\"boot\":\"b1\",\"meters\":[\"x\"],\"total_domain\":\"package-0+dram-0\",\"interval_seconds\":0.5}"
        printf "{\"type\":\"sampler\",\"v\":1,\"event\":\"start\",\"ts\":%.6f,\"mono\":%.6f,%s\n", t, m, sampler
        for (i = 1; i <= n; i++) {
            at = i / 2
            if (what == "power") printf "{\"type\":\"power\",\"v\":1,\"ts\":%.6f,\"mono\":%.6f,\"seq\":%d,\"meter\":\"x\",\"kind\":\"window\",\"window_seconds\":0.5,\"watts\":{\"package-0\":%.1f,\"dram-0\":3.0}}\n", t + at, m + at, i, 30 + i % 7
            else printf "{\"type\":\"memory\",\"v\":1,\"ts\":%.6f,\"mono\":%.6f,\"seq\":%d,\"system\":{\"used_bytes\":%d,\"available_bytes\":1000000000,\"total_bytes\":16000000000},\"processes\":1,\"rss_bytes\":%d}\n", t + at, m + at, i, 1000000000 + i, 500000000 + i
        }
        printf "{\"type\":\"sampler\",\"v\":1,\"event\":\"end\",\"ts\":%.6f,\"mono\":%.6f,%s\n", t + at, m + at, sampler
    }'
}

lines "$results" > "$dir/results"
readings "$results" power > "$dir/power"
readings "$results" mem > "$dir/mem"
bytes=$(bytes_of "$dir/results")

rounds=${BENCH_ROUNDS:-5}
for round in $(seq "$rounds"); do
    say "join: round $round of $rounds"
    # Left out where there is no jq.
    ! command -v jq > /dev/null || timed "$dir/time.jq" jq -c . "$dir/results"
    timed "$dir/time.alone" "$join" "$dir/results"
    timed "$dir/time.power" "$join" --power "$dir/power" "$dir/results"
    timed "$dir/time.both" "$join" --power "$dir/power" --mem "$dir/mem" "$dir/results"
done

row() {
    local what=$1 name=$2 wall cpu times="- - -"
    wall=$(awk '{ print $1 }' "$dir/time.$name" | spread)
    cpu=$(awk '{ print $2 + $3 }' "$dir/time.$name" | spread)
    # Round by round: both ran within seconds of each other.
    [ ! -f "$dir/time.jq" ] || times=$(paste "$dir/time.jq" "$dir/time.$name" | awk '{ print $1 / $5 }' | spread)
    echo "$wall $cpu $times" | awk -v what="$what" -v n="$results" -v b="$bytes" '{
        ratio = $7 == "-" ? "-" : sprintf("%.1f (%.1f to %.1f)", $7, $8, $9)
        printf "| `%s` | %.0f | %.0f | %s | %.2f (%.2f to %.2f) | %.2f |\n", what, n / $1, b / $1 / 1e6, ratio, $1, $2, $3, $4 }'
}

echo "## bench-join: beside jq, and a million results"
echo
echo "$(machine);" \
    "$("$join" --version), $(jq --version 2> /dev/null || echo "no jq");" \
    "$results results in $((bytes / 1000000)) MB, medians of $rounds rounds (lowest to highest)."
echo
echo "| | results/s | MB/s | times \`jq -c .\` | seconds | processor seconds |"
echo "|---|--:|--:|--:|--:|--:|"
[ ! -f "$dir/time.jq" ] || row 'jq -c .' jq
row 'bench-join' alone
row 'bench-join --power' power
row 'bench-join --power --mem' both

say "join: $many results through pipes"

# The ceiling: everything through pipes, nothing on disk, looked at until it ends.
mkfifo "$dir/in"
"$join" --wait 60s --power <(readings "$many" power) --mem <(readings "$many" mem) < "$dir/in" \
    > >(grep -c '^{"type":"result".*"energy_joules":[0-9.]*,"energy_lower' > "$dir/covered") &
pid=$!
lines "$many" > "$dir/in" &
peak=0
while high=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2> /dev/null) && [ -n "$high" ]; do
    peak=$high
    sleep 0.1
done
wait "$pid"
until [ -s "$dir/covered" ]; do sleep 0.1; done
echo
echo "| piped | with energy | memory at the most |"
echo "|---|--:|--:|"
awk -v n="$many" -v kb="$peak" -v covered="$(< "$dir/covered")" 'BEGIN {
    printf "| %d results, as many power and as many memory readings | %d | %s |\n", n, covered,
        kb ? sprintf("%.1f MiB", kb / 1024) : "not known here" }'
