"""`PwFramesCalculation`: one input file and one run of pw.x per frame."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.datastructures import CodeRunMode
from aiida.common.exceptions import InputValidationError

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.stage_inputs import label_inputs

ENTRY_POINT = 'ionconduct.pw.frames'


@pytest.fixture
def frames(crystals):
    """Return three frames of a crystal, each further along x."""
    frames = [crystals['Li3PO4'].copy() for _ in range(3)]
    for index, frame in enumerate(frames):
        frame.positions[:, 0] += 0.25 * index
    return frames


@pytest.fixture
def inputs(pseudo_family, fixture_code, generate_structure, frames):
    """Return the inputs of the protocol, for two of the frames."""
    code = fixture_code('quantumespresso.pw')
    inputs = label_inputs(code, generate_structure(), protocol_inputs('conductivity', 'quickstart'))['pw']
    return {**inputs, 'frames': frames_to_trajectory(frames), 'indices': orm.List([2, 0])}


def positions(text):
    """Return the positions of an input file, Å."""
    lines = text.split('ATOMIC_POSITIONS angstrom\n')[1].splitlines()[:16]
    return np.array([line.split()[1:4] for line in lines], dtype=float)


def test_job_runs_the_frames_in_turn(fixture_sandbox, generate_calc_job, inputs):
    calc_info = generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    assert calc_info.codes_run_mode is CodeRunMode.SERIAL
    names = ['frame_0002', 'frame_0000']
    assert [info.cmdline_params for info in calc_info.codes_info] == [['-in', f'{name}.in'] for name in names]
    assert [info.stdout_name for info in calc_info.codes_info] == [f'{name}.out' for name in names]
    assert calc_info.retrieve_list == ['frame_*.out']
    assert sorted(fixture_sandbox.get_content_list()) == ['frame_0000.in', 'frame_0002.in', 'out', 'pseudo']
    assert len(calc_info.local_copy_list) == 3  # the pseudopotentials, once


def test_input_files_hold_the_positions(fixture_sandbox, generate_calc_job, inputs, frames):
    generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
    for name, index in {'frame_0002': 2, 'frame_0000': 0}.items():
        with fixture_sandbox.open(f'{name}.in') as handle:
            text = handle.read()
        np.testing.assert_allclose(positions(text), frames[index].positions, atol=1e-8)
        assert 'K_POINTS gamma' in text


def test_unknown_setting(fixture_sandbox, generate_calc_job, inputs):
    inputs['settings'] = orm.Dict({'gamma_only': True, 'only_initialization': True})
    with pytest.raises(InputValidationError, match='not for single frames: ONLY_INITIALIZATION'):
        generate_calc_job(ENTRY_POINT, inputs, fixture_sandbox)
