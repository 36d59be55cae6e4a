"""The rule for exit codes: a status below 400 has its cause outside the inputs, so caching must not reuse the job."""

import pytest
from aiida.plugins import CalculationFactory
from aiida.plugins.entry_point import get_entry_point_names

JOBS = [name for name in get_entry_point_names('aiida.calculations') if name.startswith('ionconduct.')]

NOT_IN_THE_HASH = {('ionconduct.allegro.train', 410)}
"""Jobs that a larger machine may finish: what they ask for is no part of their hash."""


def test_all_jobs_are_listed():
    names = ('allegro.compile', 'allegro.evaluate', 'allegro.train', 'ase.sampling', 'lammps.md', 'pw.frames')
    assert [f'ionconduct.{name}' for name in names] == JOBS


@pytest.mark.parametrize('name', JOBS)
def test_exit_codes_below_400_are_not_cached(name):
    job = CalculationFactory(name)
    inherited = set(job.__base__.spec().exit_codes)
    codes = {label: code for label, code in job.spec().exit_codes.items() if label not in inherited}
    assert codes
    for label, code in codes.items():
        assert label.startswith('ERROR_')
        assert 300 <= code.status < 500
        assert code.invalidates_cache == (code.status < 400 or (name, code.status) in NOT_IN_THE_HASH), label
