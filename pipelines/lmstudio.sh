#!/usr/bin/env bash
# Every model of LM Studio: loaded and timed, asked for a small website, with watts and bytes beside it.
#
#   make lmstudio-bench [BASE_URL=… MATCH=REGEX GPU=max CONTEXT_LENGTH=16384 TEMPERATURE=0.6 INTERVAL=1s …]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin lmstudio-bench

llm-models lmstudio ${BASE_URL:+--base-url "$BASE_URL"} ${MATCH:+--match "$MATCH"} > "$dir/models.ndjson"

start_samplers "--preset lmstudio"
SUITE=${SUITE-website} run_flags
set +e
llm-run "${flags[@]}" --artifacts "$dir" "$dir/models.ndjson" |
    tee -i "$dir/run.ndjson" |
    bench-join "${join[@]}" --json-dir "$dir" |
    keep each
judge "${PIPESTATUS[@]}"
set -e
report
