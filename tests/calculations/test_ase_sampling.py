"""The inputs of a sampling job, and what is refused before it is submitted."""

import json
import re

import ase.io
import pytest
from aiida import orm
from ase.build import bulk

from aiida_ionconduct.calculations.ase_sampling import SCRIPT, AseSamplingCalculation
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.sampling import sampler
from aiida_ionconduct.sampling.tasks import single_tasks

OPTIONS = {'resources': {'num_machines': 1}, 'max_wallclock_seconds': 3600}


@pytest.fixture
def inputs(fixture_code):
    """Inputs of a job that labels two cells of copper."""
    cells = [bulk('Cu', cubic=True), bulk('Cu', cubic=True, a=3.7)]
    return {
        'code': fixture_code('ionconduct.ase.sampling'),
        'cells': frames_to_trajectory(cells),
        'tasks': orm.List(single_tasks(2, 'rattled')),
        'teacher': orm.Dict({'title': 'EMT', 'target': 'ase.calculators.emt.EMT', 'arguments': {}}),
        'dynamics': orm.Dict({'timestep_fs': 2.0, 'friction_per_ps': 10.0, 'max_force_eV_per_A': 30.0}),
        'metadata': {'options': OPTIONS},
    }


def test_files(inputs, fixture_sandbox, generate_calc_job):
    """The settings, the cells and the script; the frames are retrieved only until they are parsed."""
    calc_info = generate_calc_job('ionconduct.ase.sampling', inputs, fixture_sandbox)
    assert sorted(fixture_sandbox.get_content_list()) == sorted([sampler.SETTINGS, sampler.CELLS, SCRIPT])
    with fixture_sandbox.open(sampler.SETTINGS) as handle:
        settings = json.load(handle)
    assert settings['tasks'] == single_tasks(2, 'rattled')
    assert 1800 <= settings['max_time_s'] < 3600  # it stops by itself before the scheduler does
    assert len(ase.io.read(fixture_sandbox.get_abs_path(sampler.CELLS), ':')) == 2
    assert calc_info.codes_info[0].cmdline_params == [SCRIPT]
    assert calc_info.retrieve_temporary_list == [sampler.FRAMES]


def test_frames_of_an_earlier_job_are_copied(inputs, fixture_sandbox, generate_calc_job):
    restart = orm.SinglefileData.from_string('1\n', filename=sampler.FRAMES).store()
    calc_info = generate_calc_job('ionconduct.ase.sampling', {**inputs, 'restart': restart}, fixture_sandbox)
    assert calc_info.local_copy_list == [(restart.uuid, sampler.FRAMES, sampler.EARLIER)]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'tasks': []}, 'there are no tasks'),
        ({'tasks': [{'index': 2, 'kind': 'single', 'source': 'hops'}]}, r'cells \[2\], but there are 2'),
        ({'teacher': {'title': 'EMT'}}, 'lacks arguments, target'),
    ],
)
def test_refused(inputs, changes, message):
    kinds, ports = {'tasks': orm.List, 'teacher': orm.Dict}, AseSamplingCalculation.spec().inputs
    changed = {**inputs, **{name: kinds[name](value) for name, value in changes.items()}}
    error = ports.validate(ports.pre_process(changed))
    assert error is not None
    assert re.search(message, error.message)
