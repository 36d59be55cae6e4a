#!/usr/bin/env bash
# Look up what is installed in the database of known vulnerabilities, with pip-audit. Exit status 1: there are some.
# Where the database cannot be had, that is said and nothing is claimed; with AUDIT_REQUIRED=1 it is exit status 2.
set -euo pipefail
cd "$(dirname "$0")/.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT
packages=$("${VENV:-.venv}/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if pip-audit --path "$packages" --skip-editable --progress-spinner off >"$report" 2>&1; then
    cat "$report"
elif grep -qE '^Found [0-9]+ known vulnerabilit' "$report"; then
    cat "$report"
    exit 1
else
    tail -n 3 "$report" >&2
    echo 'NOT AUDITED: the database of vulnerabilities could not be had here.' >&2
    [ "${AUDIT_REQUIRED:-0}" = 0 ] || exit 2
fi
