#!/usr/bin/env bash
# Many models of OpenRouter, asked for the same small website: time, tokens per second, cost.
#
#   make openrouter-bench [MODELS_FILE=models.txt MATCH=REGEX CONCURRENCY=4 MAX_TOKENS=8000 TEMPERATURE=0.6 …]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin openrouter-bench
foreign MODEL=MATCH
[ -n "${OPENROUTER_API_KEY:-}${API_KEY_FILE:-}${BASE_URL:-}" ] ||
    fail "no key: export OPENROUTER_API_KEY=… (https://openrouter.ai/settings/keys)"
[ -n "${MODELS_FILE:-}${MATCH:-}" ] ||
    fail "which models? MODELS_FILE=FILE (one id per line), or MATCH=REGEX; see llm-models openrouter --format text"
models openrouter ${MODELS_FILE:+--models-file "$MODELS_FILE"} ${ENDPOINTS:+--endpoints}
suite website
# Beside a rate it would be the most at once.
[ -n "${RATE:-}" ] || CONCURRENCY=${CONCURRENCY:-4}
run_flags

set +e
llm-run "${flags[@]}" --artifacts "$dir" ${BASE_URL:+--base-url "$BASE_URL"} < "$list" |
    tee -i -a "$dir/run.ndjson" |
    bench-join --json-dir "$dir" "${join_args[@]}" |
    keep each
judge "${PIPESTATUS[@]}"
set -e
report
