"""Twin runs on the real LAMMPS: a Lennard-Jones liquid against its tangent space."""

import io
import time

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.lammps import script
from aiida_ionconduct.workchains.twins import TwinsWorkChain
from model_systems.argon import Argon

pytestmark = pytest.mark.integration
EPSILON = 1e-6
PAIRS = 6


def test_lennard_jones(aiida_profile, aiida_localhost, executable, monkeypatch):
    """Six pairs of 108 atoms near the triple point; the exponent is the growth rate of a tangent vector."""
    argon = Argon()
    monkeypatch.setitem(script.POTENTIALS, 'aotinductor', argon.potential)
    code = orm.InstalledCode(
        label=f'lmp-{time.monotonic_ns()}',
        computer=aiida_localhost,
        filepath_executable=executable('lmp'),
        default_calc_job_plugin='ionconduct.lammps.md',
        prepend_text='export OMP_NUM_THREADS=1',
    ).store()
    temperature_K = argon.temperature * argon.epsilon_eV / 8.617343e-5
    model = AllegroModelData(io.BytesIO(b'argon'), filename='argon.nequip.pt2', type_names=['Ar'], r_max=8.5)
    _, node = run_get_node(
        TwinsWorkChain,
        md={
            'base': {
                'md': {
                    'code': code,
                    'model': model,
                    'trust_model': orm.Bool(True),
                    'structure': orm.StructureData(ase=argon.atoms()),
                    'metadata': {
                        'options': {
                            'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1},
                            'max_wallclock_seconds': 1800,
                        }
                    },
                }
            },
            'parameters': orm.Dict(
                {
                    'timestep_fs': 5.0,
                    'equilibration_steps': 4000,
                    'production_steps': 6000,
                    # Weakly damped, or the crystal, which is metastable here, does not melt.
                    'velocity_temperature_K': 6 * temperature_K,
                    'thermostat_damping_fs': 2000.0,
                    'frame_stride': 20,
                    'com_stride': 200,
                    'thermo_stride': 200,
                }
            ),
            'temperatures_K': orm.List([temperature_K]),
            'seeds': orm.List(list(range(1, PAIRS + 1))),
            'atoms_per_run': orm.Int(108 * PAIRS),
        },
        momentum_epsilon=orm.Float(EPSILON),
    )
    assert node.is_finished_ok, node.exit_message
    lyapunov = node.outputs.lyapunov.get_dict()
    assert lyapunov['n_pairs'] == PAIRS
    assert lyapunov['warnings'] == []
    assert 'Averages do not need that' in lyapunov['meaning']
    references = [run for label, run in node.outputs.trajectories.items() if label.startswith('reference_')]
    assert max(argon.order(run.positions[0]) for run in references) < 0.4
    exact, error = argon.exponent()
    measured = lyapunov['exponent_per_ps']
    print(f'{measured:.3f} ± {lyapunov["stderr"]:.3f} /ps, in tangent space {exact:.3f} ± {error:.3f} /ps')
    assert measured == pytest.approx(exact, rel=0.1)
    difference = node.outputs.divergence.get_array('difference_A')
    assert difference.shape == (PAIRS, 301)
    assert np.median(difference[:, 1]) < 1e-3
    assert np.median(difference[:, -1]) > 0.5  # by then nothing is left in common
    mean = np.mean([run.thermo['temperature_K'].mean() for run in references])
    assert mean == pytest.approx(temperature_K, rel=0.1)
