#!/usr/bin/env bash
# How fast bench-report makes a JSON summary and a page of a million results, and how much memory it takes, beside jq and
# DuckDB computing the same percentiles: a Markdown section on standard output.
#
#   benches/report.sh [RESULTS]      default: 1000000
#
# Takes bench-report from PATH, or from BENCH_REPORT. Each round runs everything once, so that what else the machine does hits
# all alike; BENCH_ROUNDS=5 of them, and the medians count. jq, which is slow and holds what it reads, gets every tenth line.
set -euo pipefail
# shellcheck source=benches/common.sh
. "$(dirname "$0")/common.sh"

results=${1:-1000000}
rounds=${BENCH_ROUNDS:-5}
report=${BENCH_REPORT:-bench-report}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Results of eight models at three levels of concurrency, one in a hundred failed. Lines are as long as llm-run writes them; the
# numbers are drawn, and the same each time.
lines() {
    awk -v n="$1" 'BEGIN {
        srand(7)
        h[0] = "HISTAwAAAGIAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAO83AqUDAvEBAi8CAwJlAisCLQIHAhMCCwIRAlECPwIBAgkCDQITAgECPQICBwICCQICGwIFAgECBwIJAg8CBwIHAjECHQIHAhECMwIXAjMCAhMCCQItAgMCFwIBAgECqQEC"
        h[1] = "HISTAwAAAGQAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAMc8AgUCXwJFAh0CTwIVAiECKwIzAi0CCwIDAk8CCwIRAiUCBwILAgcCDwIBAicCNQILAgsCBwI3AgcCPQItAgECQQKPAQIPAgIXAjECCwIbAhsCFQIHAmECLQIrAhcCfQKBAQI="
        h[2] = "HISTAwAAAGAAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAONAAg8CBwJNAnMCJQIdAkUCIQIBAgUCFQJFAjMCBQIFAgMEJQQTAgUCNQIVAg0COwICCwIVAjMCCwIZAg8CBwIpAlcCIwI9AgUCBQIJAgkCKQIBAh8CBQIXAosBAr0DAg=="
        h[3] = "HISTAwAAAF8AAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAALdCApEBAo8BAiUCAhsCDwILAj0CAQIdAhECGwRNAgcCOQIfAhUCAwIlAh8CAhkCAQITAhECNwIFAjUCSQI1AgMCVwJlAgITAgUCDwInAgsCHQJXAkEEQQIFAssBAgUC"
        h[4] = "HISTAwAAAGAAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAI9EAhECuQECBwIXArUBAg8CHQINAhcCYwIzAkECQwJJAkkCFQQhAgMCAQICBQIrAhsCBwIFAgUCDwIjAl0CAQICHQQtAk0CMQIHAhcCGQJRAhsCDQJZAiUCHQJpAtkBAg=="
        h[5] = "HISTAwAAAGAAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAJlHAjcCcwIzAgcCHwINAgMCXQIXAocBAhUCAwINAhcCDwIdAgQDAg0CBQIlAm8CQQIRBAECQQItAi8CDwIJAgsCAQINAgsCAQIBAhMCKwIlAhsCjwECIwIlAhMCUwI7Ag=="
        h[6] = "HISTAwAAAGEAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAJdGApMCAs0BApMBAsEBAgkCEwI9Ag8CNwIjBC8CGQRJAkECFwIJAgECEQIRAgIBAgsCAgMCAgcCEQIRAi0CIQIZAhMCAQInAhcCBwIBAjUCEwIbAqkBAh0CdwICBwKBBgI="
        h[7] = "HISTAwAAAFwAAAAAAAAAAwAAAAAAAAABAAAAANaTpAA/8AAAAAAAAIVIAoMCAmMCqQECdQITAhECGQICIQIdAhcCDwIrAhsEEwJBAgcCAwIPAg8CDwIXBAECFwQzAg0CHwIRAgIRAg0COQIBAgIZAgMCWQINAg8CCQItAlUCEQJrAg8C"
        print "{\"type\":\"run\",\"v\":1,\"run\":\"bench-20261122-000000\",\"started_ts\":1700000000.0,\"boot\":\"b1\",\"tool\":{\"name\":\"llm-run\",\"version\":\"0\"},\"host\":{},\"settings\":{},\"argv\":[]}"
        for (i = 1; i <= n; i++) {
            model = i % 8; level = 4 ^ (i % 3); t = 1700000000 + i / 50
            ttft = 0.05 * level * exp(rand() + rand() - 1); gap = 0.01 + 0.001 * model + 0.002 * rand(); out = 40 + int(rand() * 20)
            total = ttft + gap * (out - 1)
            failed = rand() < 0.01
            printf "{\"type\":\"result\",\"v\":1,\"run\":\"bench-20261122-000000\",\"id\":%d,\"key\":\"0123456789abcdef\",\"source\":\"openai\",\"model\":\"org/model-%db\",\"served_model\":\"org/model-%db\",\"endpoint\":\"http://127.0.0.1:8080/v1/chat/completions\",\"api\":\"openai\",\"generation_id\":\"chatcmpl-%010d\",\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"start_ts\":%.6f,\"start_mono\":%.6f,", i, model, model, i, t, t - 1699990000
            if (failed) {
                printf "\"timing_seconds\":{\"headers\":%.6f,\"end\":%.6f},\"ttft_seconds\":null,\"time_to_first_output_token_seconds\":null,\"generation_time_seconds\":null,\"tpot_corrected_seconds\":null,\"tpot_seconds\":null,\"inter_chunk_latency_seconds\":null,", ttft / 4, ttft
                printf "\"concurrency\":%d,\"phase\":\"measure\",\"repetition\":1,\"in_flight\":%d,\"prompt\":{\"id\":\"p%d\",\"temperature\":0.7,\"max_tokens\":512},\"errors\":{\"load\":null,\"generation\":\"HTTP 503: busy\"},\"error\":{\"kind\":\"server\",\"status\":503,\"message\":\"busy\",\"retryable\":true},\"client\":{\"lag_seconds\":{\"p50\":0.00001,\"p99\":0.0002,\"max\":%.6f}}}\n", level, level, i % 50, rand() / 1000
                continue
            }
            printf "\"timing_seconds\":{\"headers\":%.6f,\"first_event\":%.6f,\"first_token\":%.6f,\"first_output_token\":%.6f,\"last_token\":%.6f,\"end\":%.6f},\"ttft_seconds\":%.6f,\"time_to_first_output_token_seconds\":%.6f,\"generation_time_seconds\":%.6f,\"tpot_corrected_seconds\":%.9f,\"tpot_seconds\":%.9f,", ttft / 4, ttft, ttft, ttft, total - 0.0001, total, ttft, ttft, total, gap, gap
            printf "\"inter_chunk_latency_seconds\":{\"count\":49,\"mean\":%.9f,\"min\":%.6f,\"p50\":%.6f,\"p90\":%.6f,\"p95\":%.6f,\"p99\":%.6f,\"max\":%.6f,\"histogram\":\"%s\"},", gap, gap * 0.8, gap, gap * 1.1, gap * 1.2, gap * 1.5, gap * 1.6, h[model]
            printf "\"tokens\":{\"input\":%d,\"output\":%d,\"source\":\"usage\"},\"chunks\":{\"count\":%d,\"reads\":%d,\"max_per_read\":1,\"first_tokens\":{\"tokens\":1.0,\"exact\":false}},\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d,\"total_tokens\":60},\"derived\":{\"tokens_per_second\":%.6f,\"decode_tokens_per_second\":%.6f,\"prompt_tokens_per_second\":%.6f},", 10 + i % 40, out, out, out, out, out / total, 1 / gap, 10 / ttft
            printf "\"concurrency\":%d,\"phase\":\"measure\",\"repetition\":1,\"in_flight\":%d,\"finish_reason\":\"stop\",\"prompt\":{\"id\":\"p%d\",\"temperature\":0.7,\"max_tokens\":512},\"files\":{\"text\":\"org_model-%db.txt\"},\"errors\":{\"load\":null,\"generation\":null},\"error\":null,\"client\":{\"lag_seconds\":{\"p50\":0.00001,\"p99\":0.0002,\"max\":%.6f}}}\n", level, level, i % 50, model, rand() / 1000
        }
    }'
}

# The percentiles of a summary, per model and level: of the same numbers, by jq and by DuckDB.
# shellcheck disable=SC2016 # jq's own variables
jq_program='
    def percentile($q): (length - 1) * $q as $at | .[$at | floor] as $low | .[$at | ceil] as $high | $low + ($high - $low) * ($at - ($at | floor));
    def stat: map(select(. != null)) | sort | select(length > 0) | {n: length, mean: (add / length), min: .[0], p50: percentile(0.5),
        p90: percentile(0.9), p95: percentile(0.95), p99: percentile(0.99), max: .[-1]};
    [inputs | select(.type == "result" and .phase != "warmup" and .error == null) | {model, concurrency, v: [.ttft_seconds,
        .time_to_first_output_token_seconds, .derived.decode_tokens_per_second, .derived.tokens_per_second,
        .derived.prompt_tokens_per_second, .tpot_corrected_seconds, .generation_time_seconds, .tokens.input, .tokens.output, .client.lag_seconds.max]}]
    | group_by([.model, .concurrency]) | map({model: .[0].model, concurrency: .[0].concurrency, stats: [range(10) as $i | [.[].v[$i]] | stat]})'
cat > "$dir/percentiles.py" << 'PYTHON'
import duckdb, sys
metrics = ["ttft_seconds", "time_to_first_output_token_seconds", "derived.decode_tokens_per_second", "derived.tokens_per_second",
           "derived.prompt_tokens_per_second", "tpot_corrected_seconds", "generation_time_seconds", "tokens.input", "tokens.output",
           "client.lag_seconds.max"]
stats = ", ".join(f"count({m}), avg({m}), stddev_samp({m}), min({m}), quantile_cont({m}, [0.5, 0.9, 0.95, 0.99]), max({m})" for m in metrics)
print(duckdb.sql(f"""select model, concurrency, {stats}
    from read_json('{sys.argv[1]}', format='newline_delimited', union_by_name=true)
    where type = 'result' and phase <> 'warmup' and error is null group by all order by all""").fetchall())
PYTHON

say "report: $results results are written"
lines "$results" > "$dir/results"
awk 'NR % 10 == 1' "$dir/results" > "$dir/tenth"
python=$(duckdb_python || true)

for round in $(seq "$rounds"); do
    say "report: round $round of $rounds"
    timed "$dir/time.json" "$report" --format json "$dir/results"
    timed "$dir/time.html" "$report" --format html "$dir/results"
    [ -z "$python" ] || timed "$dir/time.duckdb" "$python" "$dir/percentiles.py" "$dir/results"
    ! command -v jq > /dev/null || timed "$dir/time.jq" jq -n -c "$jq_program" "$dir/tenth"
done

# row NAME WHAT FILE: a row of the table, of what timed() wrote to time.NAME about FILE
row() {
    local name=$1 what=$2 file=$3 lines
    if [ ! -f "$dir/time.$name" ]; then
        echo "| $what | not installed | | | | | |"
        return
    fi
    lines=$(wc -l < "$file")
    echo "$(awk '{ print $1 }' "$dir/time.$name" | spread) $(awk '{ print $2 + $3 }' "$dir/time.$name" | spread) $(awk '{ print $4 }' "$dir/time.$name" | spread)" |
        awk -v what="$what" -v n="$lines" -v b="$(bytes_of "$file")" -v json="$(awk '{ print $1 }' "$dir/time.json" | spread)" -v all="$(bytes_of "$dir/results")" '{
            split(json, j)
            printf "| %s | %.0f | %.0f | %.2f | %.2f (%.2f to %.2f) | %.2f | %s |\n", what, n / $1, b / $1 / 1e6, (b / $1) / (all / j[1]), $1, $2, $3, $4,
                ($7 == "-" ? "-" : sprintf("%.0f", $7 / 1024)) }'
}

echo "## bench-report: beside DuckDB and jq"
echo
echo "$(machine); $("$report" --version), $(jq --version 2> /dev/null || echo "no jq")," \
    "$([ -n "$python" ] && "$python" -c 'import duckdb; print("DuckDB " + duckdb.__version__)' || echo "no DuckDB");" \
    "$results results in $(($(bytes_of "$dir/results") / 1000000)) MB, medians of $rounds rounds (lowest to highest). jq reads every tenth line."
echo
echo "| | results/s | MB/s | of the JSON summary's speed | seconds | processor seconds | memory, MiB |"
echo "|---|--:|--:|--:|--:|--:|--:|"
row json 'bench-report --format json' "$dir/results"
row html 'bench-report --format html' "$dir/results"
row duckdb 'DuckDB, the same percentiles' "$dir/results"
row jq 'jq, the same percentiles' "$dir/tenth"
