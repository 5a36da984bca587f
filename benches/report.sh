#!/usr/bin/env bash
# How fast bench-report makes a JSON summary and a page of a million results, and how much memory it takes, beside jq and
# DuckDB computing the same percentiles: a Markdown section on standard output.
#
#   benches/report.sh [RESULTS]      default: 1000000
#
# The results are written by benches/results.rs, as llm-run writes them: no two are alike.
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

# The percentiles of a summary, per model and level: of the same numbers, by jq and by DuckDB.
# shellcheck disable=SC2016 # jq's own variables
jq_program='
    def percentile($q): (length - 1) * $q as $at | .[$at | floor] as $low | .[$at | ceil] as $high | $low + ($high - $low) * ($at - ($at | floor));
    def stat: map(select(. != null)) | sort | select(length > 0) | {n: length, mean: (add / length), min: .[0], p50: percentile(0.5),
        p90: percentile(0.9), p95: percentile(0.95), p99: percentile(0.99), p999: percentile(0.999), max: .[-1]};
    [inputs | select(.type == "result" and .phase != "warmup" and .error == null) | {model, concurrency, v: [.ttft_seconds,
        .time_to_first_output_token_seconds, .derived.decode_tokens_per_second, .derived.tokens_per_second,
        .derived.prompt_tokens_per_second, .tpot_corrected_seconds, .generation_time_seconds, .tokens.input, .tokens.output, .client.lag_seconds.max]}]
    | group_by([.model, .concurrency]) | map({model: .[0].model, concurrency: .[0].concurrency, stats: [range(10) as $i | [.[].v[$i]] | stat]})'
cat > "$dir/percentiles.py" << 'PYTHON'
import duckdb, sys
metrics = ["ttft_seconds", "time_to_first_output_token_seconds", "derived.decode_tokens_per_second", "derived.tokens_per_second",
           "derived.prompt_tokens_per_second", "tpot_corrected_seconds", "generation_time_seconds", "tokens.input", "tokens.output",
           "client.lag_seconds.max"]
stats = ", ".join(f"count({m}), avg({m}), stddev_samp({m}), min({m}), quantile_cont({m}, [0.5, 0.9, 0.95, 0.99, 0.999]), max({m})" for m in metrics)
print(duckdb.sql(f"""select model, concurrency, {stats}
    from read_json('{sys.argv[1]}', format='newline_delimited', union_by_name=true)
    where type = 'result' and phase <> 'warmup' and error is null group by all order by all""").fetchall())
PYTHON

say "report: $results results are written"
cargo bench --profile dev --manifest-path "$(dirname "$0")/../Cargo.toml" --locked --quiet --bench results -- "$results" > "$dir/results"
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
