"""Tests of ``scripts/audit.sh`` with a false ``pip-audit``: what it says is passed on, what it cannot say is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'audit.sh'
FOUND = 'echo "Found 1 known vulnerability in 1 package" >&2; echo "Name ID"; exit 1'
OFFLINE = 'echo "ERROR: no connection" >&2; exit 1'


@pytest.mark.parametrize(
    ('script', 'required', 'status', 'printed'),
    [
        ('echo "No known vulnerabilities found" >&2', '0', 0, 'No known vulnerabilities found'),
        (FOUND, '0', 1, 'Found 1 known'),
        (OFFLINE, '0', 0, 'NOT AUDITED'),
        (OFFLINE, '1', 2, 'NOT AUDITED'),
    ],
)
def test_outcomes(tmp_path, script, required, status, printed):
    """Vulnerabilities fail; a database that cannot be had is never taken for a clean bill."""
    program = tmp_path / 'pip-audit'
    program.write_text(f'#!/bin/sh\n{script}\n')
    program.chmod(0o755)
    environment = {
        'PATH': f'{tmp_path}:{os.environ["PATH"]}',
        'VENV': str(Path(sys.executable).parents[1]),
        'AUDIT_REQUIRED': required,
    }
    done = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert printed in done.stdout + done.stderr
    assert (printed == 'NOT AUDITED') == ('NOT AUDITED' in done.stdout + done.stderr)
