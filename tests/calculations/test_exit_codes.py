"""The rule for exit codes: a status below 400 has its cause outside the inputs, so the cache must not repeat it."""

import pytest
from aiida.engine import CalcJob
from aiida.plugins import CalculationFactory
from aiida.plugins.entry_point import get_entry_point_names

BUILT_IN = set(CalcJob.spec().exit_codes)
JOBS = [name for name in get_entry_point_names('aiida.calculations') if name.startswith('ionconduct.')]


def test_all_jobs_are_found():
    assert JOBS == ['ionconduct.allegro.compile', 'ionconduct.allegro.train', 'ionconduct.lammps.md']


@pytest.mark.parametrize('name', JOBS)
def test_rule(name):
    codes = {label: code for label, code in CalculationFactory(name).spec().exit_codes.items() if label not in BUILT_IN}
    assert codes
    for label, code in codes.items():
        assert label.startswith('ERROR_')
        assert 300 <= code.status < 500
        assert code.invalidates_cache == (code.status < 400), label
