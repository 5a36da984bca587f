#!/usr/bin/env bash
# Makes the examples of docs/records.md: one record of each type, from runs against llm-sim. A new field that is always written
# needs it, with the programs on PATH:
#
#   PATH="$PWD/target/debug:$PATH" testdata/records/make.sh && make bless

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cd "$work"
servers=()
trap 'kill "${servers[@]}" 2> /dev/null || true; wait; rm -rf "$work"' EXIT

# serve FLAGS…: starts a server; its address is then in $url.
serve() {
    rm -f url
    llm-sim --port-file url "$@" > /dev/null &
    servers+=($!)
    until [ -s url ]; do sleep 0.1; done
    url=$(cat url)
}

mkfifo meter
serve --profile lmstudio --ttft 250ms --itl 10ms --tokens 60 --load-time 800ms --power-log meter --power-interval 100ms \
    --ground-truth truth.ndjson
power-sample --meter powermetrics --from meter > power.ndjson &
samplers=($!)
mem-sample --pid "${servers[0]}" --interval 100ms > memory.ndjson &
samplers+=($!)
llm-models lmstudio --base-url "$url" | head -n 1 |
    llm-run --prompt 'Why is the sky blue?' --settle 1s --temperature 0.6 --max-tokens 200 --artifacts . > run.ndjson
sleep 0.5
kill -INT "${samplers[@]}"
wait "${samplers[@]}" || true
bench-join --power power.ndjson --mem memory.ndjson --ground-truth truth.ndjson --idle auto run.ndjson > joined.ndjson

serve --profile openai --ttft 20ms --itl 2ms --tokens 30 --slots 3 --ground-truth search-truth.ndjson
llm-models openai --base-url "$url" | head -n 1 |
    llm-run --prompt 'Why is the sky blue?' --search 'ttft_p95<50ms' --concurrency 1..8 --duration 2s --warmup 0 > search.ndjson
bench-join --ground-truth search-truth.ndjson search.ndjson | bench-report --format accuracy > accuracy.ndjson

# keep TYPE FILE [FIELD]: the first record of a type, or the first that has a field with that value, as an example.
keep() {
    grep "^{\"type\":\"$1\"" "$2" | grep -m 1 -F -e "${3:-}" > "$here/$1.json"
}
for type in model run prompt load result run_end join_summary; do keep "$type" joined.ndjson; done
keep start run.ndjson
keep level search.ndjson
keep search search.ndjson
keep accuracy accuracy.ndjson
keep sampler power.ndjson
keep power power.ndjson '"seq":5,'
keep memory memory.ndjson '"seq":5,'
