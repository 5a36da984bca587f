#!/usr/bin/env bash
# Tokens per second and latency of one model: 32 short prompts at one or more levels of concurrency.
#
#   make token-rate [MODE=openrouter|minimax|openai|lmstudio|ollama MODEL=ID CONCURRENCY=1,5,10 PROMPTS=10 OUTPUT=results.json]

# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin token-rate
foreign MATCH=MODEL MODELS_FILE=MODEL

mode=${MODE:-openrouter}
case $mode in
    openrouter)
        [ -n "${OPENROUTER_API_KEY:-}${API_KEY_FILE:-}${BASE_URL:-}" ] || fail "no key: export OPENROUTER_API_KEY=…"
        model=${MODEL:-openrouter/auto} ;;
    minimax)
        [ -n "${MINIMAX_API_KEY:-}${API_KEY_FILE:-}${BASE_URL:-}" ] ||
            fail "no server: BASE_URL=http://HOST:PORT for a local MiniMax model, or export MINIMAX_API_KEY=… for the service" ;;
    openai | lmstudio | ollama) ;;
    *) fail "MODE=$mode: one of openrouter, minimax, openai, lmstudio, ollama" ;;
esac
# The first model that the server lists, unless one is named.
model=${model:-${MODEL:-$(llm-models "$mode" ${BASE_URL:+--base-url "$BASE_URL"} "${key[@]}" --format ids | sed -n 1p)}}
[ -n "$model" ] || fail "which model? MODEL=ID; see llm-models $mode --format ids"
suite token-rate
RETRIES=${RETRIES:-0} run_flags

set +e
printf '%s\n' "$model" |
    llm-run "${flags[@]}" --source "$mode" ${BASE_URL:+--base-url "$BASE_URL"} --save-text |
    tee -i -a "$dir/run.ndjson" |
    bench-join "${join_args[@]}" |
    keep once
judge "${PIPESTATUS[@]}"
set -e
[ -z "${OUTPUT:-}" ] || bench-report "$dir" --format json --output "$OUTPUT"
report
