"""The loop to a requested error on the real LAMMPS: a salt of known conductivity, and a trained potential."""

import time

import ase.io
import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.lammps import script
from aiida_ionconduct.workchains.precision import PrecisionWorkChain
from model_systems import salt

pytestmark = pytest.mark.integration


@pytest.fixture
def code(aiida_profile, aiida_localhost, executable, plugin):
    """LAMMPS on this machine."""
    return orm.InstalledCode(
        label=f'lmp-{time.monotonic_ns()}',
        computer=aiida_localhost,
        filepath_executable=executable('lmp'),
        default_calc_job_plugin='ionconduct.lammps.md',
        prepend_text=f'export OMP_NUM_THREADS=1 LAMMPS_PLUGIN_PATH={plugin}',
    ).store()


@pytest.fixture
def without_forces(monkeypatch):
    """Let ions feel nothing but friction and noise."""
    for name, potential in salt.FORMAT.items():
        monkeypatch.setitem(script.POTENTIALS, name, potential)


def run(inputs):
    """Run the work chain and return its node, which must have succeeded."""
    _, node = run_get_node(PrecisionWorkChain, **inputs)
    assert node.is_finished_ok, node.exit_message
    return node


def jobs_of(node):
    """Return the LAMMPS jobs below a work chain."""
    return [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]


def ran_ns(jobs):
    """Return the MD of some jobs, from where each began to where it ended."""
    total = 0.0
    for job in jobs:
        p = job.inputs.parameters.get_dict()
        begun = job.inputs.restart.base.attributes.get('step') if 'restart' in job.inputs else -p['equilibration_steps']
        total += len(p['seeds']) * (p['production_steps'] - begun) * p['timestep_fs'] * 1e-6
    return total


def test_known_conductivity(code, without_forces):
    """To 20 %: the target is met and the truth covered; MD is counted right, and more budget repeats none of it."""
    first = run(salt.inputs(code, target=0.2, max_md_ns=5.0))
    outcome = first.outputs.outcome.get_dict()
    conductivity = first.outputs.conductivities.T600.base.attributes.all
    low, high = conductivity['sigma_full_ci95']
    assert outcome['ending'] == 'converged'
    assert conductivity['sigma_full_stderr'] <= 0.2 * conductivity['sigma_full_S_per_cm']
    assert low < salt.conductivity_S_per_cm() < high
    assert outcome['md_ns'] == pytest.approx(ran_ns(jobs_of(first)), rel=1e-6)
    assert len(first.outputs.decisions) == outcome['round']

    builder = PrecisionWorkChain.get_builder_extending(first, target_relative_error=0.12)
    second = run(builder._inputs(prune=True))
    assert second.outputs.outcome['ending'] == 'converged'
    assert second.outputs.outcome['md_ns'] == pytest.approx(ran_ns(jobs_of(first) + jobs_of(second)), rel=1e-6)
    again = second.outputs.decisions.round_01
    assert again['md_ns'] == pytest.approx(outcome['md_ns'])
    for label, before in first.outputs.trajectories.items():
        after = second.outputs.trajectories[label]
        segments = [segment.uuid for segment in after.segments]
        assert segments[: len(before.segments)] == [segment.uuid for segment in before.segments]
        assert np.array_equal(after.positions[: len(before.positions)], before.positions)


def test_budget_exhausted(code, without_forces):
    """A campaign ends within its budget, says so, and tells how much the target would take."""
    node = run(salt.inputs(code, target=0.01, max_md_ns=0.25, seeds=(5, 6, 7, 8)))
    outcome = node.outputs.outcome.get_dict()
    assert outcome['ending'] == 'budget exhausted'
    assert 0.9 * 0.25 < outcome['md_ns'] <= 0.25
    assert outcome['md_ns'] == pytest.approx(ran_ns(jobs_of(node)), rel=1e-6)
    at_600_K = outcome['temperatures']['T600']
    assert at_600_K['relative_error'] > 0.01
    assert at_600_K['predicted_md_ns'] > 1.0


def test_not_diffusive(code, trained, dft_frames):
    """A crystal at 250 K with a trained potential: longer and longer, then an upper bound."""
    inputs = salt.inputs(code, target=0.2, max_md_ns=0.004, seeds=(1, 2), temperatures_K=(250.0,))
    frame = ase.io.read(dft_frames, 2)
    inputs['md']['base']['md'] |= {
        'model': AllegroModelData(trained / 'model.nequip.pt2'),
        'structure': orm.StructureData(ase=frame),
    }
    inputs['md']['parameters'] = orm.Dict(
        {
            'timestep_fs': 1.0, 'equilibration_steps': 50, 'production_steps': 400, 'frame_stride': 10,
            'com_stride': 10, 'thermo_stride': 10,
        }
    )  # fmt: skip
    inputs['analysis'] = orm.Dict({'charges': {'Li': 1, 'P': 5, 'Si': 4, 'O': -2}, 'mobile': 'Li'})
    node = run(inputs)
    outcome = node.outputs.outcome.get_dict()
    assert outcome['ending'] == 'not diffusive on this time scale'
    at_250_K = outcome['temperatures']['T250']
    assert at_250_K['relative_error'] is at_250_K['predicted_md_ns'] is None
    assert at_250_K['upper_bound'] > 0
    assert node.outputs.conductivities.T250.base.attributes.get('sigma_full_S_per_cm') is None
    lengths = [node.outputs.decisions[f'round_{index:02d}']['md_ns'] for index in range(1, outcome['round'] + 1)]
    assert lengths == sorted(lengths)
    assert outcome['round'] >= 3
    assert outcome['md_ns'] <= 0.004
