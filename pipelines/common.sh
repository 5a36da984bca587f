# What the flows share: the run folder, the samplers beside a run, and how it all ends. Sourced, never run.
# shellcheck shell=bash

set -eo pipefail
# Before 4.4, bash takes an empty list for one that was never set; macOS has 3.2.
[ "$((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1]))" -lt 404 ] || set -u

say() { printf '%s: %s\n' "$flow" "$*" >&2; }
fail() { say "$*"; exit 2; }

# words TEXT: the words of TEXT into $found; quotes hold words together, as a shell has them, and nothing is expanded.
words() {
    found=()
    local word
    # Nothing to read is no reason to end xargs with a broken pipe.
    [ -n "$1" ] || return 0
    while IFS= read -r word; do
        found+=("$word")
    done < <(xargs -n 1 printf '%s\n' <<< "$1")
}

# foreign VARIABLE=INSTEAD…: ends the flow when a variable is set that this flow does not know: its user meant something by it.
foreign() {
    local pair name
    for pair in "$@" POWERMETRICS_INTERVAL_MS=INTERVAL GPU_SETTING=GPU USE_ASITOP_CSV=POWER_ARGS; do
        name=${pair%%=*}
        [ -z "${!name:-}" ] || fail "$name=${!name}: is not known here: ${pair#*=} is"
    done
}

# begin FLOW: names the run, makes its folder (DIR, or reports/FLOW-YYYYMMDD-HHMMSS), and sees to the end of everything.
begin() {
    flow=$1
    local stamp number=1
    stamp=$flow-$(date +%Y%m%d-%H%M%S)
    run=$stamp
    for program in llm-models llm-run bench-join bench-report; do
        command -v "$program" > /dev/null || fail "no $program on PATH: run this through make, or after make install"
    done
    [ ! -d "${RESUME:-}" ] || take_up "${RESUME%/}"
    mkdir -p "${DIR:-reports}"
    # Two runs of one second do not share a folder.
    until [ -n "${DIR:-}" ] || mkdir "reports/$run" 2> /dev/null; do
        number=$((number + 1))
        [ "$number" -lt 100 ] || fail "reports/$stamp: cannot be made"
        run=$stamp-$number
    done
    dir=${DIR:-reports/$run}
    list=$(mktemp)
    samplers=()
    words "${JOIN_ARGS:-}"
    # shellcheck disable=SC2034 # the flows use it
    join_args=("${found[@]}")
    words "${REPORT_ARGS:-}"
    report_args=("${found[@]}")
    key=(${API_KEY_FILE:+--api-key-file "$API_KEY_FILE"})
    # shellcheck disable=SC2154 # set by the trap itself
    trap 'status=$?; trap - EXIT; stop_samplers; rm -f "$list"; rmdir "$dir" 2> /dev/null || true; exit $status' EXIT
    # After ^C the pipeline has ended by itself; what it wrote is still worth a report.
    trap 'interrupted=yes' INT TERM
    interrupted=no
    [ -z "${LOG:-}" ] || exec 2> >(tee -i "$LOG" >&2)
}

# take_up FOLDER: this run continues the one that left FOLDER. What is good there is not asked again; what failed is set aside in
# failed.ndjson and asked again; lines that an earlier end tore are cut off.
take_up() {
    [ -z "${DIR:-}" ] || [ "$DIR" = "$1" ] || fail "RESUME=$1 goes on in that folder: leave out DIR=$DIR"
    [ -s "$1/results.ndjson" ] || fail "RESUME=$1: no results.ndjson in it: name a folder that a flow left, or a file of results"
    DIR=$1
    local file
    for file in models results run failed power memory; do
        file=$DIR/$file.ndjson
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
            sed '$d' "$file" > "$file.tmp" && mv "$file.tmp" "$file"
        fi
    done
    RESUME=$DIR/results.ndjson
    [ ! -s "$DIR/run.ndjson" ] || RESUME=$DIR/run.ndjson
    local failed='^{"type":"result",.*"error":{"kind":"'
    if grep -q "$failed" "$DIR/results.ndjson"; then
        grep "$failed" "$DIR/results.ndjson" >> "$DIR/failed.ndjson"
        grep -v "$failed" "$DIR/results.ndjson" > "$DIR/results.ndjson.tmp" || true
        mv "$DIR/results.ndjson.tmp" "$DIR/results.ndjson"
    fi
}

# models SOURCE FLAGS…: the models of a server, into $list and, beside those of earlier flows, into the folder. Returns 1 when
# some that were asked for are not there.
models() {
    local status=0
    llm-models "$@" ${BASE_URL:+--base-url "$BASE_URL"} ${MATCH:+--match "$MATCH"} "${key[@]}" > "$list" || status=$?
    [ "$status" -le 1 ] || exit "$status"
    cat "$list" >> "$dir/models.ndjson"
    # A model that an earlier run of the folder listed is listed once.
    awk '!seen[$0]++' "$dir/models.ndjson" > "$dir/models.ndjson.tmp" && mv "$dir/models.ndjson.tmp" "$dir/models.ndjson"
    [ "$status" = 0 ] || { say "going on without the models that are not there"; left_out=1; }
}

# sample FILE COMMAND…: runs a sampler beside the flow, into $sampled: FILE, or, beside what an earlier run of the folder left, a
# file that is added to it at the end. Waits for its first line. Without one, says so and returns 1.
sample() {
    local file=$1 tries
    [ ! -s "$file" ] || file=${1%.ndjson}-now.ndjson
    sampled=$file
    shift
    "$@" > "$file" &
    local pid=$!
    for tries in $(seq 100); do
        [ ! -s "$file" ] || { samplers+=("$pid"); return 0; }
        kill -0 "$pid" 2> /dev/null || break
        [ "$tries" -lt 100 ] || kill "$pid" 2> /dev/null || true
        sleep 0.1
    done
    wait "$pid" || true
    rm -f "$file"
    return 1
}

# Power and memory while the flow runs; bench-join gets what there is. INTERVAL is the time between readings; POWER_ARGS and
# MEM_ARGS go to the samplers.
start_samplers() {
    join=()
    words "${POWER_ARGS:-}"
    local power_args=("${found[@]}")
    words "${MEM_ARGS:-$1}"
    local mem_args=("${found[@]}")
    # What is misspelt is told now, and not taken for a machine without a meter.
    power-sample --list --interval "${INTERVAL:-1s}" "${power_args[@]}" > /dev/null || exit 2
    if [ "${POWER:-yes}" = no ]; then
        say "no power: POWER=no"
    elif sample "$dir/power.ndjson" power-sample --interval "${INTERVAL:-1s}" "${power_args[@]}"; then
        join+=(--power "$sampled")
    else
        say "going on without power; the report says so"
    fi
    if sample "$dir/memory.ndjson" mem-sample --interval "${INTERVAL:-1s}" "${mem_args[@]}"; then
        join+=(--mem "$sampled")
    else
        fail "memory cannot be sampled: mend MEM_ARGS"
    fi
}

stop_samplers() {
    [ ${#samplers[@]} -eq 0 ] || kill "${samplers[@]}" 2> /dev/null || true
    [ ${#samplers[@]} -eq 0 ] || wait "${samplers[@]}" 2> /dev/null || true
    samplers=()
    local now
    for now in power memory; do
        [ -f "$dir/$now-now.ndjson" ] || continue
        cat "$dir/$now-now.ndjson" >> "$dir/$now.ndjson" && rm "$dir/$now-now.ndjson"
    done
}

# The flags of llm-run that the environment (and so make) sets; each is sent only when given.
run_flags() {
    flags=(--run-id "$run" "${key[@]}")
    local name
    for name in temperature top-p max-tokens seed reasoning-effort concurrency rate arrival duration ramp \
        requests repeat warmup max-errors load-seed retries search search-tolerance timeout \
        idle-timeout grace provider context-length gpu ttl settle prompts prompt prompt-file synthetic input-file input-format turns \
        shared-prefix system suite nonce extra-body api resume; do
        local variable=${name//-/_}
        variable=$(tr '[:lower:]' '[:upper:]' <<< "$variable")
        [ -z "${!variable:-}" ] || flags+=("--$name=${!variable}")
    done
    [ "${LOAD:-yes}" = yes ] || flags+=(--no-load)
    [ "${VERIFY_COST:-no}" = no ] || flags+=(--verify-cost)
    words "${RUN_ARGS:-}"
    flags+=("${found[@]}")
}

# suite NAME: the flow's own prompts, unless SUITE or another source of prompts says otherwise.
suite() {
    [ -n "${SUITE+given}" ] || [ -n "${PROMPT:-}${PROMPT_FILE:-}${INPUT_FILE:-}${SYNTHETIC:-}" ] || SUITE=$1
}

# keep each|once: writes the joined stream to results.ndjson; with `each`, makes the page anew after each result.
keep() {
    local line
    # ^C reaches this too. What comes down the pipe was measured, and paid.
    trap '' INT TERM
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\n' "$line" >> "$dir/results.ndjson"
        if [ "$1" = each ] && [[ $line == '{"type":"result"'* ]]; then
            bench-report "$dir" "${report_args[@]}" --output "$dir/index.html" || say "the report could not be refreshed"
        fi
    done
}

# judge STATUS…: the statuses of a pipeline. 1 is "some items failed", and the flow goes on; anything above ends it.
judge() {
    failed=0
    local status
    for status in "$@"; do
        [ "$status" -ne 1 ] || failed=1
        [ "$status" -le 1 ] || [ "$interrupted" = yes ] || fail "a program of the pipeline ended with $status; what it wrote is in $dir"
    done
    if [ "$interrupted" = yes ]; then
        say "interrupted; the report shows what was measured until then"
    elif [ "$failed" = 1 ]; then
        say "some items failed; the report shows which requests"
    fi
}

# The page, the summary, a short table, and where it all is.
report() {
    stop_samplers
    [ -s "$dir/results.ndjson" ] || fail "nothing was measured; what there is, is in $dir"
    bench-report "$dir" "${report_args[@]}" --output "$dir/index.html"
    bench-report "$dir" "${report_args[@]}" --format json --output "$dir/summary.json"
    bench-report "$dir" "${report_args[@]}" --format text
    printf '\n%s\n' "$dir/index.html"
    [ "$interrupted" = no ] || exit 130
    exit $((failed | ${left_out:-0}))
}
