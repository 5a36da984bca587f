#!/usr/bin/env bash
# Every model of Ollama: loaded and timed, asked at several levels of concurrency, with watts and bytes beside it.
#
#   make ollama-bench [BASE_URL=… MATCH=REGEX CONCURRENCY=1,2,4 PROMPTS=8 …]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin ollama-bench

llm-models ollama ${BASE_URL:+--base-url "$BASE_URL"} ${MATCH:+--match "$MATCH"} > "$dir/models.ndjson"

start_samplers "--preset ollama"
SUITE=${SUITE-token-rate} CONCURRENCY=${CONCURRENCY:-1,2,4} PROMPTS=${PROMPTS:-8} run_flags
set +e
llm-run "${flags[@]}" --artifacts "$dir" "$dir/models.ndjson" |
    tee -i "$dir/run.ndjson" |
    bench-join "${join[@]}" --json-dir "$dir" |
    keep once
judge "${PIPESTATUS[@]}"
set -e
report
