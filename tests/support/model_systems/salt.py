"""A salt of known conductivity that the real LAMMPS runs: ions that feel nothing but Langevin's friction and noise.

With `fix langevin … zero yes` the noise sums to zero over all ions. For ions of charge q and mass m at friction time
tau,

    sigma = tau / (V h) · [sum q²/m + (sum q/m)² · sum m / N²],

at every temperature and, as LAMMPS integrates it, at every time step: summed over time, the recursion
v' = (1 - dt/tau) v + noise makes the displacement tau/m times the sum of the noise, whose variance is
2 kB T m/(tau dt h). The script asks LAMMPS for the temperature T/h, as the sum of zero heats by the factor
h = (N - 2 + <m><1/m>)/(N - 1), which is 1.37 for these masses.
"""

import io

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from scipy import constants

from aiida_ionconduct.lammps.script import Potential

FORMAT = {'aotinductor': Potential('salt', 'zero 3.0', '# ')}
"""What takes the place of the potentials in :data:`aiida_ionconduct.lammps.script.POTENTIALS`: none at all."""
CHARGES = {'Li': 1, 'I': -1}
EDGE_A, PAIRS, FRICTION_FS = 12.0, 6, 400.0
PARAMETERS = {
    'timestep_fs': 10.0,
    'equilibration_steps': 100,
    'production_steps': 2000,
    'ensemble': 'nvt',
    'thermostat': 'langevin',
    'thermostat_damping_fs': FRICTION_FS,
    'frame_stride': 10,
    'com_stride': 10,
    'thermo_stride': 500,
}
"""Runs of 20 ps with a frame every 0.1 ps; the current relaxes within 0.4 ps."""


def crystal():
    """Return the salt; where the ions are does not matter."""
    rng = np.random.default_rng(1)
    positions = rng.uniform(0, EDGE_A, (2 * PAIRS, 3))
    return Atoms(['Li'] * PAIRS + ['I'] * PAIRS, positions, cell=[EDGE_A] * 3, pbc=True)


def conductivity_S_per_cm():
    """Return the exact full conductivity."""
    symbols = crystal().get_chemical_symbols()
    charges = np.array([CHARGES[symbol] for symbol in symbols]) * constants.e
    masses = np.array([atomic_masses[atomic_numbers[symbol]] for symbol in symbols]) * constants.atomic_mass
    bracket = (charges**2 / masses).sum() + (charges / masses).sum() ** 2 * masses.sum() / len(symbols) ** 2
    n = len(masses)
    heating = (n - 2 + masses.mean() * (1 / masses).mean()) / (n - 1)
    return FRICTION_FS * 1e-15 * bracket / heating / (EDGE_A * 1e-10) ** 3 / 100


def model():
    """Return the node in the place of a compiled potential."""
    from aiida_ionconduct.data import AllegroModelData

    return AllegroModelData(io.BytesIO(b'no forces'), filename='salt.nequip.pt2', type_names=['Li', 'I'], r_max=3.0)


def inputs(code, target, max_md_ns, seeds=(1, 2, 3, 4), temperatures_K=(600.0,), max_iterations=12, **parameters):
    """Return the inputs of a ``PrecisionWorkChain``; all seeds of a round share one LAMMPS run, as replicas."""
    from aiida import orm

    options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}, 'max_wallclock_seconds': 3600}
    return {
        'md': {
            'base': {
                'md': {
                    'code': code,
                    'model': model(),
                    'trust_model': orm.Bool(True),
                    'structure': orm.StructureData(ase=crystal()),
                    'metadata': {'options': options},
                }
            },
            'parameters': orm.Dict({**PARAMETERS, **parameters}),
            'temperatures_K': orm.List(list(temperatures_K)),
            'seeds': orm.List(list(seeds)),
            'atoms_per_run': orm.Int(31 * 2 * PAIRS),
            'max_concurrent': orm.Int(2),
        },
        'analysis': orm.Dict({'charges': CHARGES, 'mobile': 'Li'}),
        'target_relative_error': orm.Float(target),
        'max_md_ns': orm.Float(max_md_ns),
        'max_iterations': orm.Int(max_iterations),
    }
