"""Tests of ``scripts/audit.py`` with a false ``pip-audit``: what it says is passed on, what it cannot say is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'audit.py'
CLEAN = {'name': 'numpy', 'version': '2.0', 'vulns': []}
SICK = {'name': 'jinja2', 'version': '3.0', 'vulns': [{'id': 'PYSEC-1', 'fix_versions': ['3.1.6']}]}
UNKNOWN = {'name': 'torch', 'skip_reason': 'Dependency not found on PyPI and could not be audited: torch (2.13.0+cpu)'}


@pytest.mark.parametrize(
    ('packages', 'options', 'status', 'printed'),
    [
        ([CLEAN], [], 0, '1 packages looked up, 0 known vulnerabilities.'),
        ([CLEAN, SICK], [], 1, 'jinja2 3.0: PYSEC-1, mended in 3.1.6'),
        ([CLEAN, UNKNOWN], ['--required'], 0, '1 could not be looked up: torch'),
        ([UNKNOWN], [], 0, 'NOT AUDITED'),
        ([UNKNOWN], ['--required'], 2, 'NOT AUDITED'),
        (None, [], 0, 'ERROR: no connection'),
        (None, ['--required'], 2, 'NOT AUDITED'),
    ],
)
def test_outcomes(tmp_path, packages, options, status, printed):
    """Vulnerabilities fail; a database that cannot be had, or knows nothing, is never taken for a clean bill."""
    (tmp_path / 'answer').write_text(json.dumps({'dependencies': packages}))
    script = f'cat {tmp_path}/answer' if packages else 'echo "ERROR: no connection" >&2; exit 1'
    (tmp_path / 'pip-audit').write_text(f'#!/bin/sh\n{script}\n')
    (tmp_path / 'pip-audit').chmod(0o755)
    done = audit(f'{tmp_path}:{os.environ["PATH"]}', options)
    assert done.returncode == status
    assert printed in done.stdout + done.stderr
    assert ('NOT AUDITED' in done.stderr) == (not packages or packages == [UNKNOWN])


def test_without_pip_audit(tmp_path):
    """A user without pip-audit is told how to install it."""
    done = audit(str(tmp_path), ['--required'])
    assert done.returncode == 2
    assert 'pipx install pip-audit' in done.stderr


def audit(path, options):
    """Run the script with a PATH."""
    command = [sys.executable, SCRIPT, *options]
    return subprocess.run(command, env={'PATH': path}, capture_output=True, text=True, check=False)
