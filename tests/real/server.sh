#!/usr/bin/env bash
# A real inference server with a tiny model: llama.cpp's llama-server, which is nobody's of this project.
#
#   server.sh install       make sure of a server and a model; does nothing where both are there
#   server.sh start LOG     start it on a free loopback port, its talk in LOG; prints "URL PID" once it answers
#   server.sh stop PID      stop it, and wait until it is gone
#   server.sh path          print the program that `start` would run
#
# A llama-server on PATH is taken as it is. Where there is none, the one of Debian sid is unpacked into a folder of its
# own, together with the loader and the C library it was built for: no package of the system is touched, no root is
# needed. The model is made here, by tiny_model.py. Both are kept, once per machine, in
# ${LLM_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llm-bench}/real-server; to start afresh, remove that folder.
#
# Environment:
#   LLM_BENCH_CACHE           the cache folder
#   LLM_BENCH_DEBIAN_MIRROR   where Debian is [default: the mirror that this machine's apt uses, else deb.debian.org]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${HOME:-}
cache=${LLM_BENCH_CACHE:-${XDG_CACHE_HOME:-${home:+$home/.cache}}/llm-bench}/real-server
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
scratch=''
server=''

fail() {
    printf 'server.sh: %s\n' "$*" >&2
    exit 2
}

say() {
    printf 'server.sh: %s\n' "$*" >&2
}

cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a command whose talk matters only when it fails: then its first error, or else its last line, is the reason.
quietly() {
    local what=$1 why
    shift
    "$@" >"$scratch/talk" 2>&1 </dev/null && return
    why=$(grep -m 1 -E '^(E|ERROR):' "$scratch/talk" || grep -v '^[[:space:]]*$' "$scratch/talk" | tail -1) || true
    fail "$what${why:+: $why}"
}

# What must change the model's file: whoever writes it.
model() {
    local version
    version=$(cksum <"$here/tiny_model.py")
    printf '%s/tiny-words-%s.gguf\n' "$cache" "${version%% *}"
}

# A file is whole when it has the sum that was noted when it was whole.
model_is_whole() {
    [ -f "$1" ] && [ -f "$1.sum" ] && [ "$(cksum <"$1")" = "$(cat "$1.sum")" ]
}

program_works() {
    [ -x "$1" ] && "$1" --version >/dev/null 2>&1 </dev/null
}

program() {
    local found
    if found=$(command -v llama-server) && program_works "$found"; then
        printf '%s\n' "$found"
    else
        printf '%s/llama.cpp/llama-server\n' "$cache"
    fi
}

is_installed() {
    program_works "$(program)" && model_is_whole "$(model)"
}

mirror() {
    local found
    if [ -n "${LLM_BENCH_DEBIAN_MIRROR:-}" ]; then
        printf '%s\n' "$LLM_BENCH_DEBIAN_MIRROR"
        return
    fi
    # shellcheck disable=SC2016  # apt replaces these
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        grep -E '^https?://.*/debian/?$' | head -1) || true
    printf '%s\n' "${found:-http://deb.debian.org/debian}"
}

# An apt with a state of its own, which believes that nothing is installed: so the server comes with all it needs,
# the C library included, whatever this machine has. Hooks of the system's apt are left out, its proxies are not.
write_apt_conf() {
    local apt=$1 architecture=$2
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    printf 'deb [arch=%s signed-by=%s] %s sid main\n' "$architecture" "$keyring" "$(mirror)" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
#clear APT::Update;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
APT::Architecture "$architecture";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::State::extended_states "$apt/extended_states";
Dir::Cache "$apt/cache";
Dir::Log "$apt";
Debug::NoLocking "true";
CONF
}

install_program() {
    local apt=$scratch/apt tree=$scratch/llama.cpp tool architecture package loader libraries
    local hint='put a llama-server on PATH (https://github.com/ggml-org/llama.cpp), or run this on Debian'
    for tool in apt-get dpkg dpkg-deb; do
        command -v "$tool" >/dev/null || fail "no llama-server, and no $tool to fetch one: $hint"
    done
    [ -r "$keyring" ] || fail "$keyring is missing: apt-get install debian-archive-keyring, or $hint"
    architecture=$(dpkg --print-architecture)
    write_apt_conf "$apt" "$architecture"
    say "fetching llama.cpp for $architecture from $(cut -d' ' -f4 "$apt/sources.list"), once for this machine"
    quietly 'no list of Debian sid (network, mirror, LLM_BENCH_DEBIAN_MIRROR?)' \
        apt-get -c "$apt/apt.conf" update -qq --error-on=any
    quietly 'no llama.cpp from Debian sid' \
        apt-get -c "$apt/apt.conf" install -qq --yes --download-only llama.cpp-tools
    for package in "$apt"/cache/archives/*.deb; do
        quietly "cannot unpack ${package##*/}" dpkg-deb --extract "$package" "$tree"
    done
    # What the server never reads: manuals, translations, character sets.
    (cd "$tree" && rm -rf usr/share usr/sbin usr/lib/*/gconv etc var)
    loader=$(find "$tree/usr/lib" "$tree/lib" -name 'ld-linux*' -type f 2>/dev/null | head -1) || true
    [ -n "$loader" ] || fail 'the packages of Debian sid hold no loader: their layout has changed'
    libraries=$(dirname "$loader")
    # The server looks for its processor back ends beside its executable, which is the loader here.
    (cd "$libraries" && find ggml -name '*.so' -exec ln -s {} . ';')
    cat >"$tree/llama-server" <<'WRAPPER'
#!/bin/sh
# Runs the server with the loader and the libraries it was built for, never the system's.
here=$(cd "$(dirname "$0")" && pwd)
lib=$here/LIBRARIES
exec "$lib/LOADER" --inhibit-cache --library-path "$lib:$lib/llama" --argv0 llama-server "$here/usr/bin/llama-server" "$@"
WRAPPER
    sed -i "s|LIBRARIES|${libraries#"$tree/"}|; s|LOADER|${loader##*/}|" "$tree/llama-server"
    chmod +x "$tree/llama-server"
    "$tree/llama-server" --version >"$tree/VERSION" 2>&1 </dev/null ||
        fail "the unpacked server does not run: $(tail -1 "$tree/VERSION")"
    rm -rf "$cache/llama.cpp"
    mv "$tree" "$cache/llama.cpp"
    say "$(head -1 "$cache/llama.cpp/VERSION")"
}

install_model() {
    local file venv=$scratch/venv
    file=$(model)
    command -v python3 >/dev/null || fail 'no python3, which makes the model: apt-get install python3 python3-venv'
    say 'making a tiny model'
    quietly 'python3 cannot make a virtual environment (apt-get install python3-venv)' python3 -m venv "$venv"
    quietly 'no numpy and gguf from PyPI' "$venv/bin/pip" install -q --disable-pip-version-check numpy gguf
    quietly 'the model was not made' "$venv/bin/python" "$here/tiny_model.py" "$scratch/model.gguf"
    cksum <"$scratch/model.gguf" >"$scratch/model.sum"
    mv "$scratch/model.gguf" "$file"
    mv "$scratch/model.sum" "$file.sum"
}

# Everything is made in a scratch folder beside its place and renamed, so that what is there is whole. The lock keeps
# two runs from doing the work twice; where there is no flock, the renames still keep them from harming each other.
install() {
    [ "$cache" != /llm-bench/real-server ] || fail 'no HOME to keep a cache in: set LLM_BENCH_CACHE'
    is_installed && return
    mkdir -p "$cache" 2>/dev/null || fail "$cache: cannot make this folder: set LLM_BENCH_CACHE"
    if command -v flock >/dev/null; then
        exec 9>"$cache/lock"
        flock --nonblock 9 || {
            say 'waiting for another run that installs'
            flock 9
        }
        rm -rf "$cache"/scratch.*
    fi
    scratch=$(mktemp -d "$cache/scratch.XXXXXX")
    program_works "$(program)" || install_program
    model_is_whole "$(model)" || install_model
    rm -rf "$scratch"
    scratch=''
    exec 9>&-
}

start() {
    local log=$1 url='' patience=300
    command -v curl >/dev/null || fail 'no curl: apt-get install curl'
    install
    : >"$log"
    # In a process group of its own, so that ^C reaches the client but not the server: a llama-server that is told to
    # end keeps its running streams open, silent, and itself alive for as long as the client waits.
    set -m
    # One thread, so that the client has a core of its own; four slots, each with an equal part of the context.
    "$(program)" --model "$(model)" --alias tiny-words --host 127.0.0.1 --port 0 \
        --ctx-size 8192 --parallel 4 --threads 1 --metrics >"$log" 2>&1 </dev/null &
    server=$!
    set +m
    while [ "$patience" -gt 0 ]; do
        kill -0 "$server" 2>/dev/null || fail "the server ended at once: $(tail -1 "$log")"
        url=$(grep -oE 'listening on http://127\.0\.0\.1:[1-9][0-9]*' "$log" | head -1) || true
        url=${url#listening on }
        if [ -n "$url" ] && curl -sf --noproxy '*' -m 2 -o /dev/null "$url/health"; then
            printf '%s %s\n' "$url" "$server"
            server=''
            return
        fi
        patience=$((patience - 1))
        sleep 0.1
    done
    fail "the server does not answer after 30 s: $(tail -1 "$log")"
}

stop() {
    local pid=$1 patience=50
    case $(ps -o args= -p "$pid" 2>/dev/null) in
        *llama-server*) ;;
        *) return 0 ;; # gone, or its number is somebody else's by now
    esac
    kill "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do
        patience=$((patience - 1))
        [ "$patience" -gt 0 ] || kill -KILL "$pid" 2>/dev/null || true
        sleep 0.1
    done
}

case "${1:-} $#" in
    'install 1') install ;;
    'start 2') start "$2" ;;
    'stop 2') stop "$2" ;;
    'path 1') program ;;
    *) fail 'usage: server.sh install | start LOG | stop PID | path' ;;
esac
