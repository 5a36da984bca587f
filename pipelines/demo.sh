#!/usr/bin/env bash
# The three flows, end to end, against the simulated server: no key, no LM Studio, no network.
#
# llm-sim plays LM Studio (with a simulated power meter, labelled as such), OpenRouter and MiniMax; everything else is the real
# programs and the real pipelines of this folder.

set -euo pipefail
command -v llm-sim > /dev/null || { echo "demo: no llm-sim on PATH: run this through make, or after make install" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
dir=reports/demo-$(date +%Y%m%d-%H%M%S)
mkdir -p "$dir"
work=$(mktemp -d)
servers=()
stop() {
    [ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2> /dev/null || true
    wait
    rm -rf "$work"
}
# shellcheck disable=SC2154 # the trap sets it itself
trap 'status=$?; trap - EXIT; stop; exit $status' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# serve NAME FLAGS…: starts a server; its address is then in $url.
serve() {
    local name=$1
    shift
    llm-sim --port-file "$work/$name" "$@" > /dev/null &
    servers+=($!)
    local tries
    for tries in $(seq 100); do
        [ -s "$work/$name" ] && break
        [ "$tries" -lt 100 ] || { echo "demo: llm-sim did not start" >&2; exit 2; }
        sleep 0.1
    done
    url=$(cat "$work/$name")
}

echo "LM Studio: every model loaded, asked for a website, with watts and bytes" >&2
mkfifo "$work/meter"
serve lmstudio --profile lmstudio --ttft 300ms --itl 8ms --tokens 400 --load-time 800ms --load-bytes 96MB \
    --power-log "$work/meter" --power-interval 250ms
DIR=$dir BASE_URL=$url INTERVAL=250ms SETTLE=2s \
    POWER_ARGS="--meter powermetrics --from $work/meter" MEM_ARGS="--pid ${servers[0]}" \
    "$here/lmstudio.sh" > /dev/null

echo "OpenRouter: four at once, with prices" >&2
serve openrouter --profile openrouter --ttft 400ms --itl 6ms --tokens 300
llm-models openrouter --base-url "$url" --format ids > "$work/models.txt"
DIR=$dir BASE_URL=$url MODELS_FILE=$work/models.txt CONCURRENCY=4 "$here/openrouter.sh" > /dev/null

echo "Token rate: 32 short prompts, one at a time and eight at once" >&2
serve minimax --profile minimax --ttft 60ms --itl 3ms --tokens 80 --slots 4
DIR=$dir BASE_URL=$url MODE=minimax CONCURRENCY=1,8 "$here/token-rate.sh"
