#!/usr/bin/env bash
# Runs the benchmarks of whole programs and writes what they print into docs/performance.md, each between its own two marks.
#
#   benches/all.sh [NAME…]      default: start load report join samplers, those that are there
#
# Takes the programs from PATH. BENCH_ROUNDS is how often each measurement is repeated. BENCH_QUICK=1 tries everything with small
# numbers and writes to target/performance.md instead; BENCH_DOC names another file. It never fails on time: a target that is missed is
# marked in the table. A benchmark that cannot be run leaves its table as it was, and the exit status is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/common.sh
. benches/common.sh

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(start load report join samplers)
doc=${BENCH_DOC:-docs/performance.md}
if [ -n "${BENCH_QUICK:-}" ]; then
    doc=${BENCH_DOC:-target/performance.md}
    export BENCH_QUICK BENCH_ROUNDS=${BENCH_ROUNDS:-2}
fi
if [ "$doc" != docs/performance.md ]; then
    mkdir -p "$(dirname "$doc")"
    cp docs/performance.md "$doc"
fi
for peer in jq oha; do
    command -v "$peer" > /dev/null || say "bench: $peer: not installed: its rows say so"
done
[ -n "$(duckdb_python || true)" ] || say "bench: DuckDB: not installed: its rows say so (.ci/run installs it)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# put NAME FILE: FILE in the place of what stands between the marks of NAME.
put() {
    grep -q "^<!-- bench:$1 -->\$" "$doc" || { say "bench: $doc has no mark <!-- bench:$1 -->"; return 1; }
    awk -v name="$1" -v file="$2" '
        $0 == "<!-- /bench:" name " -->" { inside = 0 }
        !inside { print }
        $0 == "<!-- bench:" name " -->" { inside = 1; while ((getline line < file) > 0) print line }
    ' "$doc" > "$work/doc"
    cp "$work/doc" "$doc"
}

# What a quick try is content with.
arguments() {
    [ -n "${BENCH_QUICK:-}" ] || return 0
    case $1 in
        report) echo 20000 ;;
        join) echo 5000 20000 ;;
        samplers) echo 5 ;;
    esac
}

failed=0
for name in "${names[@]}"; do
    if [ ! -x "benches/$name.sh" ]; then
        say "bench: no benches/$name.sh"
        continue
    fi
    say "bench: $name"
    # shellcheck disable=SC2046 # several arguments
    if "benches/$name.sh" $(arguments "$name") > "$work/$name"; then
        cat "$work/$name"
        {
            cat "$work/$name"
            echo
            # Numbers of a tree that nobody else has say so.
            changed=$(git status --porcelain -- src Cargo.toml Cargo.lock benches 2> /dev/null | head -n 1)
            echo "Measured at commit $(git rev-parse --short HEAD 2> /dev/null || echo unknown)${changed:+, with changes that are not committed}."
        } > "$work/$name.section"
        put "$name" "$work/$name.section" || failed=1
    else
        say "bench: benches/$name.sh could not be run to its end: its table stays as it was"
        failed=1
    fi
done
say "bench: written to $doc"
exit "$failed"
