#!/usr/bin/env bash
# The toolkit against a real inference server: llama.cpp's, with a tiny model made here (see server.sh).
#
#   run.sh [--many | --flow] [--keep DIR]
#
#     --many      only the 2,000 short requests, of which none may be lost
#     --flow      only the token-rate flow and its page
#     --keep DIR  leave in DIR what was recorded: results, page, logs
#
# Builds nothing: the programs are those in BIN [default: target/debug of this checkout]. check.py judges what this
# script records. The last line is "N passed, N failed"; exit status 0: none failed, 1: some did, 2: could not be run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${BIN:-$here/../../target/debug}
flow=yes
many=yes
keep=''
work=''
pid=''

fail() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

# shellcheck disable=SC2317  # the trap calls it
cleanup() {
    [ -z "$pid" ] || "$here/server.sh" stop "$pid" || true
    [ -z "$work" ] || [ -n "$keep" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

while [ $# -gt 0 ]; do
    case $1 in
        --many) flow='' ;;
        --flow) many='' ;;
        --keep)
            [ $# -gt 1 ] || fail '--keep: which folder?'
            keep=$2
            shift
            ;;
        *) fail "$1: unknown: run.sh [--many | --flow] [--keep DIR]" ;;
    esac
    shift
done
[ -n "$flow$many" ] || fail '--many and --flow leave each other nothing to do: give one, or none for both'
command -v python3 >/dev/null || fail 'no python3, which judges the records: apt-get install python3'
for program in llm-models llm-run mem-sample bench-join bench-report; do
    [ -x "$bin/$program" ] || fail "$bin/$program: not there: build it with \"cargo build\", or set BIN"
done
PATH=$(cd "$bin" && pwd):$PATH
# Nothing of the user's habits: no proxy stands between this machine and itself, no key goes to the server.
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
unset OPENAI_API_KEY OPENAI_BASE_URL

if [ -n "$keep" ]; then
    mkdir -p "$keep"
    work=$(cd "$keep" && pwd)
else
    work=$(mktemp -d "${TMPDIR:-/tmp}/llm-bench-real.XXXXXX")
fi
cd "$work"

started=$("$here/server.sh" start server.log) || exit 2
url=${started% *}
pid=${started#* }
printf 'llama-server at %s\n' "$url"

# The server's own count of what it did: nothing that a request said goes into it.
server_counts() {
    curl -sf --noproxy '*' -m 10 "$url/metrics" >"$1" || fail "$url/metrics does not answer"
}

# Whether the pipeline's programs all ended with 0, one line each.
note_statuses() {
    local to=$1 program
    shift
    : >"$to"
    for program in "$@"; do
        printf '%s %s\n' "${program%=*}" "${program#*=}" >>"$to"
    done
}

high_water() {
    if [ -r "/proc/$pid/status" ]; then
        awk '/^VmHWM:/ { print $2 * 1024 }' "/proc/$pid/status"
    else
        ps -o rss= -p "$pid" | awk '{ print $1 * 1024 }'
    fi
}

# The server may be a program that a loader runs, and then the kernel's name for it is the loader's. A name is enough
# all the same, because mem-sample looks at what the loader was told to load. With another server of that name on this
# machine, which a name would rightly mean too, ours is the one that listens on the port.
choose_process() {
    local port=${url##*:}
    mem-sample --once --port "$port" --per-process >by-port.json
    mem-sample --once --preset llama-server --per-process >by-preset.json
    mem-sample --once --name '^llama-server$' --per-process >by-name.json
    printf '%s\n' "$pid" >pid
    if grep -q '"processes":1,' by-name.json; then
        chosen=(--name '^llama-server$')
    else
        printf 'NOTE: other processes are called llama-server: memory is read of the one on port %s\n' "$port"
        chosen=(--port "$port")
    fi
}

token_rate_flow() {
    local statuses
    choose_process
    server_counts flow-before.prom
    set +e
    llm-models openai --base-url "$url" | tee models.ndjson |
        llm-run --suite token-rate --prompts 5 --concurrency 2 --max-tokens 64 |
        bench-join --mem <(mem-sample "${chosen[@]}" --interval 100ms) >results.ndjson
    statuses=("${PIPESTATUS[@]}")
    set -e
    high_water >high-water
    server_counts flow-after.prom
    set +e
    bench-report results.ndjson >index.html
    note_statuses flow-statuses "llm-models=${statuses[0]}" "llm-run=${statuses[2]}" "bench-join=${statuses[3]}" \
        "bench-report=$?"
    set -e
}

open_page() {
    local browser=''
    for browser in chromium chromium-browser google-chrome google-chrome-stable ''; do
        [ -z "$browser" ] || ! command -v "$browser" >/dev/null || break
    done
    if [ -z "$browser" ]; then
        printf 'NOTE: NO BROWSER: THE PAGE WAS NOT OPENED, only its HTML is looked at: apt-get install chromium\n'
        return
    fi
    # Its sandbox wants rights that containers and root do not have; the page was made here, and loads nothing.
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
        --user-data-dir="$work/browser" --enable-logging=stderr --virtual-time-budget=3000 \
        --dump-dom "file://$work/index.html" >dom.html 2>browser.log </dev/null ||
        printf 'NOTE: %s ended with %s\n' "$browser" "$?"
    rm -rf browser
}

# The server closes the connection after each streamed answer without having said so. A client that would write its next
# request into it loses that request; short answers make it happen often, and without a nonce they are fastest.
many_requests() {
    local statuses
    server_counts many-before.prom
    set +e
    llm-models openai --base-url "$url" |
        llm-run --prompt 'Say a few words.' --nonce off --requests 2000 --concurrency 4 --max-tokens 4 --retries 0 \
            >many.ndjson
    statuses=("${PIPESTATUS[@]}")
    set -e
    server_counts many-after.prom
    note_statuses many-statuses "llm-models=${statuses[0]}" "llm-run=${statuses[1]}"
}

# Texts are fitted to the server's own count before they are sent; a conversation carries the server's own answers; what all
# prompts share is what its prompt cache knows.
made_prompts() {
    local statuses
    printf '{"id":"talk","max_tokens":9,"messages":[%s,%s,%s]}\n' '{"role":"user","content":"Say a few words."}' \
        '{"role":"user","content":"And a few more."}' '{"role":"user","content":"Again."}' >talk.ndjson
    set +e
    llm-models openai --base-url "$url" |
        llm-run --input-file talk.ndjson --synthetic in=120±30,out=9,n=20 --requests 42 --shared-prefix 33 \
            --system 'Be brief.' --extra-body '{"ignore_eos":true}' >made.ndjson
    statuses=("${PIPESTATUS[@]}")
    set -e
    note_statuses made-statuses "llm-models=${statuses[0]}" "llm-run=${statuses[1]}"
}

checks=()
if [ -n "$flow" ]; then
    token_rate_flow
    open_page
    made_prompts
    checks+=(flow page made)
fi
if [ -n "$many" ]; then
    many_requests
    checks+=(many)
fi
judged=0
python3 "$here/check.py" "$work" "${checks[@]}" || judged=1
[ "$judged" = 0 ] || tail -5 server.log | sed 's/^/server.log: /' >&2
exit "$judged"
