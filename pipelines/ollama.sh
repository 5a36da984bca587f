#!/usr/bin/env bash
# Every model of Ollama: loaded and timed, asked at several levels of concurrency, with watts and bytes beside it.
#
#   make ollama-bench [BASE_URL=… MATCH=REGEX CONCURRENCY=1,2,4 PROMPTS=8 …]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin ollama-bench
foreign MODEL=MATCH
models ollama
start_samplers "--preset ollama"
suite token-rate
[ -n "${RATE:-}" ] || CONCURRENCY=${CONCURRENCY:-1,2,4}
PROMPTS=${PROMPTS:-8} run_flags

set +e
llm-run "${flags[@]}" --artifacts "$dir" < "$list" |
    tee -i -a "$dir/run.ndjson" |
    bench-join "${join[@]}" --idle auto --json-dir "$dir" "${join_args[@]}" |
    keep once
judge "${PIPESTATUS[@]}"
set -e
report
