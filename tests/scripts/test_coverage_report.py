"""Tests of ``scripts/coverage_report.py`` on a module of a few lines."""

import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / 'scripts' / 'coverage_report.py'
MODULE = 'def half(x):\n    if x:\n        return 1\n    return 2\n\n\nhalf(0)\n'


@pytest.fixture
def run(tmp_path):
    """Return a function that runs Python in an empty folder, apart from the measurement of this very test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith('COV')}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_files_below_the_threshold_and_the_total(run, tmp_path):
    """Of five statements one, and of two branches one, is not run: 5 of 7 are covered."""
    (tmp_path / 'half.py').write_text(MODULE)
    run('-m', 'coverage', 'run', '--branch', 'half.py')
    assert run(SCRIPT) == (
        0,
        'Below 90 %:\n  71.4 %  half.py\n'
        'Coverage of statements and branches: 71.4 % (5 statements, 2 branches, 1 files)\n',
    )
    assert run(SCRIPT, '50')[1].startswith('No file is below 50 %.\n')


def test_without_a_measurement(run):
    """Who has not measured yet is told how."""
    assert run(SCRIPT) == (1, 'Nothing has been measured yet. Run: make test\n')
