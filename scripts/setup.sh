#!/bin/sh
# Makes .venv from nothing but Python 3.11+: finds a Python, installs the hash-pinned lock, then the project.
#
#   sh scripts/setup.sh run    what `make demo` and `make dev` need
#   sh scripts/setup.sh dev    that, and what `make test` and `make check` need
#
# Does nothing while the lock, pyproject.toml, the Python and the place of the folder are what they were. PYTHON=... chooses
# the interpreter. Paths are relative and quoted throughout: the folder's own path may hold spaces.
set -eu
cd "$(dirname "$0")/.."
umask 022
kind="${1:-run}"
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_HASHES PIP_NO_DEPS PIP_CONSTRAINT

fail() {
    printf 'throughline: %s\n' "$*" >&2
    exit 1
}

sum() { cat "$@" | cksum | tr ' ' '-'; }

case "$kind" in
run) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*) fail "scripts/setup.sh takes 'run' or 'dev', not '$kind'." ;;
esac

place="$(pwd -P)"
base="$(sum requirements.lock scripts/setup.sh) $place"
want="$base $(sum "$lock" pyproject.toml)"

up_to_date() {
    [ -x .venv/bin/python ] && [ "$(cat .venv/.throughline-base 2>/dev/null)" = "$base" ] || return 1
    for stamp in "$@"; do
        [ "$(cat ".venv/.throughline-$stamp" 2>/dev/null)" = "$want" ] && return 0
    done
    return 1
}

up_to_date "$kind" && exit 0

# Two set-ups at once (two terminals) take turns.
until mkdir .setup.lock 2>/dev/null; do
    owner="$(cat .setup.lock/pid 2>/dev/null || echo 0)"
    if [ "$owner" != 0 ] && ! kill -0 "$owner" 2>/dev/null; then
        rm -rf .setup.lock
        continue
    fi
    waited=$((${waited:-0} + 1))
    [ "$waited" -le 900 ] || fail "another set-up has held .setup.lock for 15 minutes: remove that folder if no 'make' is running, and try again."
    sleep 1
done
echo $$ >.setup.lock/pid
trap 'rm -rf .setup.lock' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
up_to_date "$kind" && exit 0

# --- a Python that will do -------------------------------------------------------------------------------------------
probe='
import sys
v = "%d.%d.%d" % sys.version_info[:3]
if not (3, 11) <= sys.version_info[:2] < (3, 15):
    print("version", v)
else:
    try:
        import ensurepip, venv
        print("good", v)
    except ImportError:
        print("novenv", v)
'
python='' too_old='' no_venv=''
for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
    answer="$("$candidate" -c "$probe" 2>/dev/null)" || answer=''
    case "$answer" in
    good*) python="$candidate" && version="${answer#good }" && break ;;
    novenv*) no_venv="${no_venv:-$candidate ${answer#novenv }}" ;;
    version*) too_old="${too_old:-$candidate is ${answer#version }}" ;;
    esac
    if [ -n "${PYTHON:-}" ] && [ "$candidate" = "$PYTHON" ]; then
        case "$answer" in
        novenv*) fail "PYTHON=$PYTHON (${answer#novenv }) lacks the venv module: install it (on Debian and Ubuntu: apt install python3-venv), or leave PYTHON unset." ;;
        version*) fail "PYTHON=$PYTHON is Python ${answer#version }, and Throughline needs 3.11 to 3.14: name another, or leave PYTHON unset." ;;
        *) fail "PYTHON=$PYTHON does not run: name a Python 3.11 to 3.14, or leave PYTHON unset." ;;
        esac
    fi
done
if [ -z "$python" ]; then
    if [ -n "$no_venv" ]; then
        fail "$no_venv lacks the venv module: install it (on Debian and Ubuntu: apt install python3-venv) and run make again."
    elif [ -n "$too_old" ]; then
        fail "Throughline needs Python 3.11 to 3.14, and $too_old: install one of those, or name it with 'make PYTHON=/path/to/python3.12 ...'."
    fi
    fail "no Python was found: install Python 3.11 to 3.14, or name it with 'make PYTHON=/path/to/python3.12 ...'."
fi

# --- the environment -------------------------------------------------------------------------------------------------
if [ "$(cat .venv/.throughline-base 2>/dev/null)" != "$base" ]; then
    if [ -e .venv/.throughline-made ]; then
        rm -rf .venv # ours, but of another lock, Python or place: start clean, so that only what is locked is there
    elif [ -e .venv ]; then
        case "$(.venv/bin/python -c "$probe" 2>/dev/null || true)" in
        good*) ;; # a person's own environment: installed into, never removed
        *) fail "the folder .venv is not an environment that Throughline can use: move it away and run make again." ;;
        esac
    fi
fi
if [ ! -e .venv ]; then
    mkdir .venv
    : >.venv/.throughline-made
    printf 'throughline: setting up .venv with Python %s (a minute or two, once)\n' "$version" >&2
    "$python" -m venv .venv >.venv/setup.log 2>&1 || fail "making .venv failed: see .venv/setup.log, mend what it names, and run make again."
fi

install() {
    remedy="$1" && shift
    if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --progress-bar off "$@" >.venv/setup.log 2>&1; then
        grep -i error .venv/setup.log | tail -n 3 >&2 || true
        fail "$remedy"
    fi
}

install "installing what $lock lists failed (all of it in .venv/setup.log): check that pip reaches its package index and the disk has 2 GB free, then run make again." \
    --no-deps --require-hashes -r "$lock"
install "installing the project itself failed (all of it in .venv/setup.log): check that this checkout is complete, then run make again." \
    --no-deps --no-build-isolation -e .
# The engine's compiled core goes into numba's cache now, so that the first command need not wait 10 s for it.
.venv/bin/python -c 'from throughline.trading.engine import warm_up; warm_up()' >.venv/setup.log 2>&1 ||
    fail "compiling the engine failed: see .venv/setup.log, mend what it names, and run make again."
printf '%s\n' "$base" >.venv/.throughline-base
printf '%s\n' "$want" >".venv/.throughline-$kind"
if [ "$kind" = dev ]; then # the larger set holds the smaller
    printf '%s\n' "$base $(sum requirements.lock pyproject.toml)" >.venv/.throughline-run
fi
