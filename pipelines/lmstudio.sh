#!/usr/bin/env bash
# Every model of LM Studio: loaded and timed, asked for a small website, with watts and bytes beside it.
#
#   make lmstudio-bench [BASE_URL=… MATCH=REGEX GPU=max CONTEXT_LENGTH=16384 TEMPERATURE=0.6 INTERVAL=1s …]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin lmstudio-bench
foreign MODEL=MATCH
models lmstudio
start_samplers "--preset lmstudio"
suite website
run_flags

set +e
llm-run "${flags[@]}" --artifacts "$dir" < "$list" |
    tee -i -a "$dir/run.ndjson" |
    bench-join "${join[@]}" --idle auto --json-dir "$dir" "${join_args[@]}" |
    keep each
judge "${PIPESTATUS[@]}"
set -e
report
