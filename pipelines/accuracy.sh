#!/usr/bin/env bash
# How right does llm-run measure on this machine, and up to which load? Against the simulator, which writes down what it did.
#
#   make accuracy [LEVELS=1,8,64,256,512,1024,2048,4096 DURATION=10s TTFT=200ms ITL=20ms TOKENS=50 DIR=FOLDER]
#
# SECONDS=2 is the same as DURATION=2s. Each level is a server and a client of its own: memory and processor time are of that level.

# Bash counts in SECONDS itself, from what was given.
given_seconds=$SECONDS
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
begin accuracy
foreign CONCURRENCY=LEVELS BASE_URL=none
command -v llm-sim > /dev/null || fail "no llm-sim on PATH: run this through make, or after make install"

[ "$given_seconds" = 0 ] || DURATION=${DURATION:-${given_seconds}s}
duration=${DURATION:-10s}
ttft=${TTFT:-200ms}
itl=${ITL:-20ms}
tokens=${TOKENS:-50}
words "${SIM_ARGS:-}"
sim_args=("${found[@]}")
words "${RUN_ARGS:-}"
run_args=("${found[@]}")
IFS=, read -r -a levels <<< "${LEVELS:-1,8,64,256,512,1024,2048,4096}"
for level in "${levels[@]}"; do
    [[ $level =~ ^[1-9][0-9]{0,5}$ ]] || fail "LEVELS=$LEVELS: numbers of streams from 1 to 999999, with commas between"
done

# Each stream takes a file in the client and one in the server; some are taken already.
files=$(ulimit -H -n)
work=$(mktemp -d)
server=
stop_server() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$server" ] || wait "$server" 2> /dev/null || true
    server=
}
# shellcheck disable=SC2154 # set by the trap itself
trap 'status=$?; trap - EXIT; stop_server; rm -rf "$work"; rm -f "$list"; rmdir "$dir" 2> /dev/null || true; exit $status' EXIT

# measure STREAMS: one server, one client, and what both say, joined, into the folder.
measure() {
    local streams=$1 truth=$dir/truth-$1.ndjson tries
    rm -f "$work/url"
    llm-sim --profile openai --models accuracy --ttft "$ttft" --itl "$itl" --tokens "$tokens" --ground-truth "$truth" \
        --port-file "$work/url" "${sim_args[@]}" > /dev/null &
    server=$!
    for tries in $(seq 100); do
        [ ! -s "$work/url" ] || break
        kill -0 "$server" 2> /dev/null || fail "llm-sim did not start"
        [ "$tries" -lt 100 ] || fail "llm-sim did not start within ten seconds"
        sleep 0.1
    done
    say "streams at once: $streams, for $duration"
    set +e
    # A stream each, begun one after another over the time of an answer, so that streams do not run in step.
    printf 'accuracy\n' |
        llm-run --source openai --base-url "$(cat "$work/url")" --run-id "$run-$streams" --prompt hello --nonce off \
            --concurrency "$streams" --ramp "${RAMP:-2s}" --duration "$duration" --retries 0 "${run_args[@]}" \
            > "$dir/run-$streams.ndjson"
    local status=$?
    set -e
    # The server writes the truth of a request when its last byte has left.
    stop_server
    [ "$status" -le 1 ] || [ "$interrupted" = yes ] || fail "llm-run ended with $status at $streams streams"
    [ "$status" = 0 ] || failed=1
    bench-join --ground-truth "$truth" "$dir/run-$streams.ndjson" >> "$dir/results.ndjson" || failed=1
}

[ ! -s "$dir/results.ndjson" ] || fail "DIR=$dir: holds results already: an accuracy curve takes a folder of its own"
failed=0
for level in "${levels[@]}"; do
    [ "$interrupted" = no ] || break
    if [ "$files" != unlimited ] && [ $((level + 100)) -gt "$files" ]; then
        why="a process of this user may open $files files, and a stream takes one: raise the limit (ulimit -n, limits.conf) and run it again"
        say "$level streams are left out: $why"
        printf '{"type":"level","v":1,"run":"%s-%s","concurrency":%s,"skipped":"%s","sent":0,"failed":0,"not_sent":0}\n' \
            "$run" "$level" "$level" "$why" >> "$dir/results.ndjson"
        continue
    fi
    measure "$level"
done
[ -s "$dir/results.ndjson" ] || fail "nothing was measured"
bench-report "$dir" --format accuracy --output "$dir/accuracy.ndjson" || fail "nothing was measured that could be judged; what there is, is in $dir"
report
