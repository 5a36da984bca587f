# shellcheck shell=bash
# What the benchmarks share: sourced by them, runs nothing.

TIMEFORMAT='%R %U %S'

# Says something to whoever waits.
say() { echo "$*" >&2; }

# The median, the lowest and the highest of numbers, one per line.
spread() {
    sort -g | awk '{ v[NR] = $1 } END { if (NR) print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2), v[1], v[NR] }'
}

# The machine, the system, the day and the load, in one line.
machine() {
    local model cores
    model=$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo 2> /dev/null || true)
    [ -n "$model" ] || model=$(sysctl -n machdep.cpu.brand_string 2> /dev/null || uname -m)
    cores=$(getconf _NPROCESSORS_ONLN)
    echo "$cores processors, $model, $(uname -sr), $(date -u +%F), load $(uptime | sed 's/.*averages*: *//; s/[ ,].*//')"
}

# The length of a file in bytes.
bytes_of() { wc -c < "$1" | tr -d ' '; }

# timed FILE COMMAND…: runs it with its output thrown away; appends wall, user and system seconds and the most memory in KiB
# (- where GNU time is not installed) to FILE. Fails as the command fails.
timed() {
    local to=$1 status=0 meter=()
    shift
    echo - > "$to.memory"
    ! /usr/bin/time -q -f %M -o "$to.memory" true 2> /dev/null || meter=(/usr/bin/time -q -f %M -o "$to.memory")
    { time "${meter[@]+"${meter[@]}"}" "$@" > /dev/null; } 2> "$to.talk" || status=$?
    # What the command said comes before what the shell says of it.
    sed '$d' "$to.talk" >&2
    echo "$(tail -n 1 "$to.talk") $(tail -n 1 "$to.memory")" >> "$to"
    return "$status"
}

# A Python that has DuckDB, where one is installed as CI installs it.
duckdb_python() {
    local python=${LLM_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llm-bench}/duckdb/bin/python
    "$python" -c 'import duckdb' 2> /dev/null && echo "$python"
}
