#!/usr/bin/env bash
# What llm-run costs and how right it is under load, against llm-sim on the same machine: as tables in Markdown, with the
# machine, the day and the commit.
#
#   benches/load.sh            BENCH_ROUNDS=5 rounds, and the medians count; ONLY="paced many" runs some of the parts;
#                              BENCH_QUICK=1 tries all with one round of small numbers
#
# Parts: paced (1,000 streams of 50 tokens/s: CPU per chunk, memory, error against the server's own log), one (the same in one
# event loop), scale (500 and 8,000 streams with as many chunks per second), many (10,000 streams at once), plain (requests
# per second without streams, beside oha where that is installed), open (2,000 requests per second that arrive at random), start
# (cold start and size: only where it is asked for, or where there is no start.sh beside this).
# A round of all of them takes about four minutes. Each row is there as soon as its part is measured, so that of a run that is
# interrupted what came before stands.
# Takes llm-run, llm-sim and bench-join from PATH; oha from PATH or $XDG_CACHE_HOME/llm-bench/bin. Nothing here fails on time.
set -euo pipefail
# shellcheck source=benches/common.sh
. "$(dirname "$0")/common.sh"

rounds=${BENCH_ROUNDS:-5}
parts=${ONLY:-paced one scale many plain open $([ -e "$(dirname "$0")/start.sh" ] || echo start)}
fewer=1 few=5
if [ -n "${BENCH_QUICK:-}" ]; then rounds=1 fewer=20 few=1; fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/llm-bench
PATH=$PATH:$cache/bin
export LC_ALL=C
dir=$(mktemp -d)
sim=
end() {
    [ -z "$sim" ] || kill "$sim" 2> /dev/null || true
    rm -rf "$dir"
}
trap end EXIT
# Each stream takes a connection, at both ends.
ulimit -n "$(ulimit -Hn)" 2> /dev/null || true

wants() { case " $parts " in *" $1 "*) return 0 ;; esac; return 1; }

# cell FILE COLUMN FORMAT: median (lowest to highest) of a column of a file of rounds; a dash where nothing was measured.
cell() {
    awk -v c="$2" '$c != "-" { print $c }' "$1" > "$dir/column"
    if [ ! -s "$dir/column" ]; then printf -- '–'; return; fi
    spread < "$dir/column" | awk -v f="$3" '{ printf f " (" f " to " f ")", $1, $2, $3 }'
}

# serve FLAG…: starts the server anew; sets $url and $sim, and $dir/truth is its log.
serve() {
    rm -f "$dir/url" "$dir/truth"
    llm-sim --profile openai --seed 1 --port-file "$dir/url" --ground-truth "$dir/truth" --ground-truth-level request "$@" > "$dir/sim.out" &
    sim=$!
    until [ -s "$dir/url" ]; do sleep 0.05; done
    url=$(cat "$dir/url")
}

# Ends the server; its processor seconds are the second and third word of $dir/sim.time where /proc tells.
dismiss() {
    sim_cpu=-
    if [ -r "/proc/$sim/stat" ]; then
        sim_cpu=$(awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$sim/stat")
    fi
    kill "$sim" 2> /dev/null || say "load: llm-sim ended by itself: what was measured of it says nothing"
    wait "$sim" || true
    sim=
}

# The most resident memory of a process, in kB, looked at until it ends.
peak_of() {
    local pid=$1 high peak=-
    if [ -r "/proc/$pid/status" ]; then
        while high=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2> /dev/null) && [ -n "$high" ]; do
            peak=$high
            sleep 0.05
        done
    fi
    echo "$peak"
}

# ask FLAG…: runs llm-run; its records are $dir/out, and $cpu, $peak (kB), $seconds tell what it took.
ask() {
    rm -f "$dir/pid"
    {
        time {
            echo finch-4b | sh -c 'echo $$ > "$0"; exec llm-run "$@"' "$dir/pid" --source openai --base-url "$url" \
                --prompt hello --retries 0 --quiet "$@" > "$dir/out" 2> "$dir/said" || true
        }
    } 2> "$dir/time" &
    local timing=$!
    until [ -s "$dir/pid" ]; do sleep 0.01; done
    peak=$(peak_of "$(cat "$dir/pid")")
    wait "$timing"
    # What the shell around it took is a few milliseconds.
    read -r seconds cpu < <(awk '{ print $1, $2 + $3 }' "$dir/time")
    grep -c '"type":"result".*"error":null' "$dir/out" > "$dir/ok" || true
    ok=$(cat "$dir/ok")
    # Plain answers have no chunks.
    chunks=$({ grep -o '"chunks":{"count":[0-9]*' "$dir/out" || true; } | awk -F: '{ n += $3 } END { print n + 0 }')
    at_once=$({ grep -o '"in_flight":[0-9]*' "$dir/out" || true; } | awk -F: '$2 > n { n = $2 } END { print n + 0 }')
}

# How far off the times to the first token were, in milliseconds, of the requests that count: mean and 99th percentile.
errors() {
    { bench-join --ground-truth "$dir/truth" "$dir/out" 2> /dev/null || true; } | { grep '"phase":"measure"' || true; } |
        { grep -o '"ttft_error_seconds":[-0-9.e]*' || true; } | awk -F: '{ print ($2 < 0 ? -$2 : $2) * 1000 }' | sort -g |
        awk '{ v[NR] = $1; sum += $1 } END { if (NR) { at = int(NR * 0.99 + 0.999); print sum / NR, v[at < 1 ? 1 : at] } else print "- -" }'
}

# paced WHAT NAME STREAMS TIMES GAP TOKENS RAMP FLAG…: asks so many requests as so many streams make in so many times, after those of the
# ramp; a row of numbers per round in $dir/NAME, and the row of the table.
paced() {
    local what=$1 name=$2 streams=$(($3 / fewer)) gap=$5 tokens=$6 ramp=$7 round
    local requests=$((streams * $4))
    shift 7
    for round in $(seq "$rounds"); do
        say "load: $name: $streams streams, round $round of $rounds"
        serve --ttft 500ms --itl "$gap" --tokens "$tokens"
        ask --concurrency "$streams" --requests "$requests" --ramp "$ramp" --timeout 10m "$@"
        dismiss
        local started failed
        # What has no good result is lost, whatever became of it: no result at all, too.
        started=$(grep -c '"type":"start"' "$dir/out" || true)
        failed=$(((started > requests ? started : requests) - ok))
        echo "$chunks $cpu $peak $sim_cpu $ok $failed $at_once $seconds $(errors)" |
            awk -v n="$streams" '{
                us = $1 ? $2 * 1e6 / $1 : "-"; sim = $1 && $4 != "-" ? $4 * 1e6 / $1 : "-"
                mb = $3 == "-" ? "-" : $3 / 1024; each = $3 == "-" ? "-" : $3 / n
                print us, mb, each, sim, $5, $6, $7, $8, $9, $10 }' >> "$dir/$name"
    done
    streams_row "$what" "$name"
}

streams_row() {
    local what=$1 name=$2
    echo "| $what | $(cell "$dir/$name" 1 %.1f) | $(cell "$dir/$name" 4 %.1f) | $(cell "$dir/$name" 9 %.2f) |" \
        "$(cell "$dir/$name" 10 %.2f) | $(cell "$dir/$name" 2 %.0f) | $(cell "$dir/$name" 3 %.1f) |" \
        "$(cell "$dir/$name" 7 %d) | $(awk '{ ok += $5; lost += $6 } END { print ok " / " lost }' "$dir/$name") |"
}

commit=$(git -C "$(dirname "$0")" rev-parse --short HEAD 2> /dev/null || echo unknown)
echo "## Load"
echo
echo "$(machine) before; $(llm-run --version), commit $commit; llm-sim on the same machine; medians of $rounds rounds (lowest to highest)."
[ "$fewer" = 1 ] || echo "Tried with a $fewer""th of the streams: these numbers say nothing."
echo

echo "| streams | µs of CPU per chunk | the server's | ttft error, mean ms | ttft error, p99 ms | MB at most | kB per stream | at once | ok / lost |"
echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
if wants paced; then paced '1,000 at 50/s' paced 1000 2 20ms 250 2s; fi
if wants one; then paced '1,000 at 50/s, --threads 1' one 1000 2 20ms 250 2s --threads 1; fi
if wants scale; then
    paced '500 at 50/s' scale500 500 2 20ms 250 2s
    # As many chunks per second. All are in flight long before the first that counts.
    paced '8,000 at 3.1/s' scale8000 8000 1 320ms 60 8s
fi
if wants many; then paced '10,000 at 2/s' many 10000 1 500ms 30 10s; fi
echo
echo "CPU is user and system of the whole process, its start and its requests included, over all chunks. The error is the distance of" \
    "\`ttft_seconds\` from what the server's log says, of the requests that count; the server's own lateness is in it: it is later" \
    "to see a request than llm-run is to send it."

# target WHAT VALUE LIMIT UNIT: whether a median is within what was aimed at.
target() {
    case $2 in ''|-) return ;; esac
    awk -v what="$1" -v v="$2" -v l="$3" -v unit="$4" 'BEGIN { printf "| %s | %.2f %s | %s |\n", what, v, unit, (v + 0 <= l + 0 ? "met" : "**missed**") }' >> "$dir/targets"
}
median() { awk -v c="$2" '$c != "-" { print $c }' "$dir/$1" | spread 2> /dev/null | awk 'NF == 3 { print $1 }'; }
if wants paced; then
    target 'CPU per chunk at 1,000 streams × 50/s: at most 10 µs' "$(median paced 1)" 10 µs
    target 'ttft error at 1,000 streams, p99: under 5 ms' "$(median paced 10)" 5 ms
    target 'ttft error at 1,000 streams, mean: under 1 ms' "$(median paced 9)" 1 ms
    target 'memory at 1,000 streams: under 64 MB' "$(median paced 2)" 64 MB
fi
if wants many; then
    target 'memory per stream at 10,000: under 40 kB' "$(median many 3)" 40 kB
    target 'requests lost of 10,000 streams: none' "$(awk '{ n += $6 } END { print n }' "$dir/many")" 0 ''
    target 'streams missing of 10,000 at once: none' "$(awk -v n="$((10000 / fewer))" '$7 < n { m += n - $7 } END { print m + 0 }' "$dir/many")" 0 ''
fi
if wants scale; then
    paste "$dir/scale500" "$dir/scale8000" | awk '{ print $11 / $1 }' > "$dir/ratio"
    echo
    echo "CPU per chunk of 8,000 streams over that of 500: $(cell "$dir/ratio" 1 %.2f)."
    target 'CPU per chunk at 8,000 streams over that at 500: at most 1.5' "$(median ratio 1)" 1.5 ''
fi

if wants plain; then
    body='{"model":"finch-4b","messages":[{"role":"user","content":"hello"}]}'
    for round in $(seq "$rounds"); do
        say "load: plain requests, round $round of $rounds"
        serve --ttft 0ms --itl 0ms --tokens 1
        ask --no-stream --concurrency 64 --duration "${few}s"
        ours=$(awk -v n="$ok" -v s="$few" 'BEGIN { print n / s }')
        each=$(awk -v n="$ok" -v c="$cpu" 'BEGIN { print n ? c * 1e6 / n : "-" }')
        theirs=-
        if command -v oha > /dev/null; then
            theirs=$(oha --no-tui --output-format json -z "${few}s" -c 64 -m POST -T application/json -d "$body" \
                "$url/v1/chat/completions" 2> /dev/null | tr -d ' \n' | sed -n 's/.*"requestsPerSec":\([0-9.]*\).*/\1/p')
        fi
        dismiss
        echo "$ours ${theirs:--} $each" | awk '{ print $1, $2, ($2 == "-" || $2 == 0 ? "-" : $1 / $2), $3 }' >> "$dir/plain"
    done
    echo
    echo "| 64 connections, no stream, $few s | requests/s | µs of CPU per request | share of oha's |"
    echo "|---|--:|--:|--:|"
    echo "| llm-run | $(cell "$dir/plain" 1 %.0f) | $(cell "$dir/plain" 4 %.0f) | $(cell "$dir/plain" 3 %.2f) |"
    if command -v oha > /dev/null; then
        echo "| $(oha --version) | $(cell "$dir/plain" 2 %.0f) | | 1 |"
        awk '$3 != "-" { print 1 / $3 }' "$dir/plain" > "$dir/behind"
        target "requests/s without streams below oha's: at most twice" "$(median behind 1)" 2 ''
    else
        echo
        echo "No oha here: \`cargo install oha --root $cache\` puts it beside."
    fi
fi

if wants open; then
    for round in $(seq "$rounds"); do
        say "load: open loop, round $round of $rounds"
        serve --ttft 20ms --itl 5ms --tokens 4
        ask --rate 2000 --duration "$((few * 2))s" --ramp 1s
        dismiss
        due=$(grep -c '"type":"result".*"phase":"measure"' "$dir/out" || true)
        sent=$({ grep '"type":"result".*"phase":"measure"' "$dir/out" || true; } | grep -c '"start_mono"' || true)
        { grep '"type":"result".*"phase":"measure"' "$dir/out" | grep -o '"scheduled":[-0-9.e]*' || true; } |
            awk -F: '{ print -$2 * 1000 }' | sort -g |
            awk -v due="$due" -v sent="$sent" -v s="$((few * 2))" '{ v[NR] = $1 } END { if (NR) print due / s, sent, due, v[int(NR * 0.5) + 1], v[int(NR * 0.99) + 1], v[NR] }' \
                >> "$dir/open"
    done
    echo
    echo "| 2,000 requests/s, Poisson, $((few * 2)) s | arrivals/s | sent of due | sent late by, p50 ms | p99 ms | max ms |"
    echo "|---|--:|--:|--:|--:|--:|"
    echo "| llm-run | $(cell "$dir/open" 1 %.0f) | $(awk '{ s += $2; d += $3 } END { print s " of " d }' "$dir/open") |" \
        "$(cell "$dir/open" 4 %.2f) | $(cell "$dir/open" 5 %.2f) | $(cell "$dir/open" 6 %.1f) |"
    target 'open loop, sent late, p99: under 5 ms' "$(median open 5)" 5 ms
fi

if wants start; then
    serve --ttft 0ms --itl 0ms --tokens 1
    case $(date +%N) in *[!0-9]*) precise= ;; *) precise=1 ;; esac
    for round in $(seq 11); do
        [ -n "$precise" ] || break
        before=$(date +%s.%N)
        ask
        at=$(grep -o '"type":"start".*"start_ts":[0-9.]*' "$dir/out" | sed 's/.*://' | head -n 1)
        awk -v a="$before" -v b="$at" 'BEGIN { print (b - a) * 1000 }' >> "$dir/start"
    done
    dismiss
    : >> "$dir/start"
    echo
    echo "| | |"
    echo "|---|--:|"
    echo "| from the start of llm-run to its first request on the wire, 11 times | $(cell "$dir/start" 1 %.1f) ms |"
    for program in llm-models llm-run power-sample mem-sample bench-join bench-report llm-sim; do
        path=$(command -v "$program") || continue
        cp "$path" "$dir/program"
        strip "$dir/program" 2> /dev/null || true
        echo "| $program, stripped | $(wc -c < "$dir/program" | awk '{ printf "%.1f MB", $1 / 1e6 }') |"
    done
fi

if [ -s "$dir/targets" ]; then
    echo
    echo "| target | median | |"
    echo "|---|--:|---|"
    cat "$dir/targets"
fi
