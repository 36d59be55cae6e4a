"""`AimdWorkChain`: one run per temperature, each with velocities of its own."""

import numpy as np
import pytest
from aiida import orm
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_ionconduct.workchains.aimd import temperature_label


@pytest.fixture
def aimd(campaign_inputs, generate_structure, generate_workchain):
    """Return a function that makes the work chain, set up."""

    def make(temperatures=(600, 1200.5)):
        overrides = {'aimd': {'temperatures_K': list(temperatures)}}
        inputs = campaign_inputs(overrides=overrides)['aimd']
        process = generate_workchain('ionconduct.aimd', {**inputs, 'structure': generate_structure()})
        process.setup()
        return process

    return make


@pytest.mark.parametrize(
    ('temperature', 'label'),
    [(600, 'T600'), (600.0, 'T600'), (1200.5, 'T1200_5'), (0.25, 'T0_25'), (123456, 'T123456')],
)
def test_temperature_label(temperature, label):
    assert temperature_label(temperature) == label
    assert label.isidentifier()


def test_setup(aimd):
    process = aimd()
    assert process.ctx.temperatures == {'T600': 600.0, 'T1200_5': 1200.5}
    assert process.ctx.pending == ['T600', 'T1200_5']


def test_runs(aimd, submitted):
    """Both are submitted as the engine takes them, from the same crystal, from velocities that differ."""
    process = aimd()
    assert process.has_pending()
    process.run_batch()
    assert not process.has_pending()
    assert [process_class for process_class, _ in submitted] == [PwBaseWorkChain, PwBaseWorkChain]
    inputs = [inputs for _, inputs in submitted]
    assert [one.metadata.call_link_label for one in inputs] == ['T600', 'T1200_5']
    velocities = [np.array(one.pw.settings['ATOMIC_VELOCITIES']) for one in inputs]
    assert velocities[0].shape == (16, 3)
    assert not np.allclose(velocities[1], velocities[0] * np.sqrt(1200.5 / 600))
    masses = inputs[0].pw.structure.get_ase().get_masses()
    kinetic = [(masses[:, None] * one**2).sum() for one in velocities]
    assert kinetic[1] / kinetic[0] == pytest.approx(1200.5 / 600)
    assert all(one.pw.settings['gamma_only'] for one in inputs)


def test_results(aimd, child, pw_trajectory):
    process = aimd()
    process.ctx.finished = {label: child(output_trajectory=pw_trajectory()) for label in process.ctx.pending}
    process.ctx.failed = []
    assert process.results() is None
    assert set(process.outputs['trajectories']) == {'T600', 'T1200_5'}


def test_one_run_failed(aimd, child, pw_trajectory):
    """What the other one has computed is kept."""
    process = aimd()
    process.ctx.batch = process.ctx.pending
    process.has_pending()
    trajectory = pw_trajectory()
    process.ctx.child_T600, process.ctx.child_T1200_5 = child(output_trajectory=trajectory), child(exit_status=400)
    process.inspect_batch()
    exit_code = process.results()
    assert exit_code.status == 401
    assert 'The AIMD at T1200_5 failed' in exit_code.message
    assert process.outputs['trajectories'] == {'T600': trajectory}


def test_all_runs_failed(aimd, child):
    process = aimd((600,))
    process.ctx.batch = process.ctx.pending
    process.has_pending()
    process.ctx.child_T600 = child(exit_status=400)
    process.inspect_batch()
    assert process.results().status == 401


def test_seeds_differ_by_temperature(aimd):
    """The same seed for all temperatures would give the same directions of motion."""
    process = aimd((600, 900, 1200))
    starts = [process.child_inputs(label).pw for label in process.ctx.pending]
    directions = [np.array(start.settings['ATOMIC_VELOCITIES']).ravel() for start in starts]
    correlations = np.corrcoef(directions) - np.eye(3)
    assert np.abs(correlations).max() < 0.5
    assert all(isinstance(start.structure, orm.StructureData) for start in starts)
