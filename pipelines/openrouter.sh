#!/usr/bin/env bash
# Many models of OpenRouter, asked for the same small website: time, tokens per second, cost.
#
#   make openrouter-bench [MODELS_FILE=models.txt CONCURRENCY=4 MATCH=REGEX MAX_TOKENS=8000 TEMPERATURE=0.6 …]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin openrouter-bench

[ -n "${OPENROUTER_API_KEY:-}" ] || [ -n "${BASE_URL:-}" ] ||
    fail "no key: export OPENROUTER_API_KEY=… (https://openrouter.ai/settings/keys)"
if [ -n "${MODELS_FILE:-}" ]; then
    choice=(--models-file "$MODELS_FILE")
elif [ -n "${MATCH:-}" ]; then
    choice=(--match "$MATCH")
else
    fail "which models? MODELS_FILE=FILE (one id per line), or MATCH=REGEX; see llm-models openrouter --format text"
fi

set +e
llm-models openrouter ${BASE_URL:+--base-url "$BASE_URL"} "${choice[@]}" > "$dir/models.ndjson"
judge $?
set -e

SUITE=${SUITE-website} CONCURRENCY=${CONCURRENCY:-4} run_flags
set +e
llm-run "${flags[@]}" --artifacts "$dir" ${BASE_URL:+--base-url "$BASE_URL"} "$dir/models.ndjson" |
    tee -i "$dir/run.ndjson" |
    bench-join --json-dir "$dir" |
    keep each
judge "${PIPESTATUS[@]}"
set -e
report
