#!/usr/bin/env bash
# How fast bench-join is beside `jq -c .` on the same file, and how much memory it takes for a million results.
#
#   benches/join.sh [RESULTS [MANY]]      default: 50000 results for the speed, 1000000 for the memory
#
# Takes bench-join from PATH, or from BENCH_JOIN. Every result has one power and one memory reading of its own.
set -euo pipefail

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
            printf "\"timing_seconds\":{\"headers\":0.01,\"first_event\":0.15,\"first_token\":0.2,\"first_answer_token\":0.2,\"last_token\":0.85,\"end\":0.9},\"ttft_seconds\":0.2,\"time_to_first_answer_token_seconds\":0.2,\"generation_time_seconds\":0.9,\"tpot_seconds\":0.013,\"tpot_simple_seconds\":0.0132,\"itl_seconds\":{\"count\":49,\"mean\":0.013,\"min\":0.01,\"p50\":0.013,\"p90\":0.015,\"p95\":0.016,\"p99\":0.02,\"max\":0.021,\"histogram\":\"%s\"},", histogram
            printf "\"tokens\":{\"input\":10,\"output\":50,\"source\":\"usage\"},\"chunks\":{\"count\":50,\"reads\":50,\"max_per_read\":1,\"first_tokens\":{\"tokens\":1.0,\"exact\":false}},\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":60},\"derived\":{\"tokens_per_second\":55.5,\"decode_tokens_per_second\":76.9},\"concurrency\":2,\"phase\":\"measure\",\"repeat\":1,\"in_flight\":2,\"finish_reason\":\"stop\",\"prompt\":{\"id\":\"p\",\"temperature\":0.7,\"max_tokens\":512},\"files\":{\"text\":\"org_model-8b.txt\"},\"errors\":{\"load\":null,\"generation\":null},\"error\":null,\"client\":{\"lag_seconds\":{\"p50\":0.00001,\"p99\":0.0002,\"max\":0.0005}}}\n"
        }
    }'
}

# Readings twice a second, and the sampler's word before and after.
readings() {
    awk -v n="$1" -v what="$2" 'BEGIN {
        t = 1700000000; m = 1000; n += 24
        sampler = "\"tool\":{\"name\":\"sampler\",\"version\":\"0\"},\"boot\":\"b1\",\"sources\":[\"x\"],\"total_domain\":\"package-0+dram-0\",\"interval_seconds\":0.5}"
        printf "{\"type\":\"sampler\",\"v\":1,\"event\":\"start\",\"ts\":%.6f,\"mono\":%.6f,%s\n", t, m, sampler
        for (i = 1; i <= n; i++) {
            at = i / 2
            if (what == "power") printf "{\"type\":\"power\",\"v\":1,\"ts\":%.6f,\"mono\":%.6f,\"seq\":%d,\"source\":\"x\",\"kind\":\"window\",\"window_seconds\":0.5,\"watts\":{\"package-0\":%.1f,\"dram-0\":3.0}}\n", t + at, m + at, i, 30 + i % 7
            else printf "{\"type\":\"memory\",\"v\":1,\"ts\":%.6f,\"mono\":%.6f,\"seq\":%d,\"system\":{\"used_bytes\":%d,\"available_bytes\":1000000000,\"total_bytes\":16000000000},\"processes\":1,\"rss_bytes\":%d}\n", t + at, m + at, i, 1000000000 + i, 500000000 + i
        }
        printf "{\"type\":\"sampler\",\"v\":1,\"event\":\"end\",\"ts\":%.6f,\"mono\":%.6f,%s\n", t + at, m + at, sampler
    }'
}

now() { echo "${EPOCHREALTIME/./}"; }

# The best of three runs, in microseconds: what the machine does beside counts for neither.
best() {
    local best=0 began took
    for _ in 1 2 3; do
        began=$(now)
        "$@" > /dev/null
        took=$(($(now) - began))
        if [ "$best" -eq 0 ] || [ "$took" -lt "$best" ]; then best=$took; fi
    done
    echo "$best"
}

lines "$results" > "$dir/results"
readings "$results" power > "$dir/power"
readings "$results" mem > "$dir/mem"
bytes=$(stat -c %s "$dir/results")

row() { awk -v what="$1" -v us="$2" -v n="$results" -v b="$bytes" -v jq="$3" 'BEGIN {
    printf "%-34s %10.0f results/s %8.1f MB/s %7.1f x jq\n", what, n / us * 1e6, b / us, jq / us }'; }

jq_us=$(best jq -c . "$dir/results")
row "jq -c ." "$jq_us" "$jq_us"
row "bench-join" "$(best "$join" "$dir/results")" "$jq_us"
row "bench-join --power" "$(best "$join" --power "$dir/power" "$dir/results")" "$jq_us"
row "bench-join --power --mem" "$(best "$join" --power "$dir/power" --mem "$dir/mem" "$dir/results")" "$jq_us"

# The ceiling: everything through pipes, nothing on disk, looked at until it ends.
mkfifo "$dir/in"
"$join" --wait 60s --power <(readings "$many" power) --mem <(readings "$many" mem) < "$dir/in" > /dev/null &
pid=$!
lines "$many" > "$dir/in" &
peak=0
while high=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2> /dev/null) && [ -n "$high" ]; do
    peak=$high
    sleep 0.1
done
wait "$pid"
awk -v n="$many" -v kb="$peak" 'BEGIN { printf "%-34s %10d results   %8.1f MiB at the most\n", "bench-join --power --mem, piped", n, kb / 1024 }'
