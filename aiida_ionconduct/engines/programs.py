"""The list of engines: label, plugin, executable, default resources, with or without MPI, and a trial job.

The file of a site, ``aiida-ionconduct setup`` and ``doctor``, and the inputs of a campaign are all made from this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

RESOURCES = {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
"""The resources of a job that states none."""

# Several jobs share the cores, so ranks are neither bound nor counted against the number of cores.
PW_ENVIRONMENT = {'OMP_NUM_THREADS': '1', 'OMPI_MCA_rmaps_base_oversubscribe': '1'}
# Training frees and asks for the same large arrays at every step; glibc would hand them back to the system each time.
TRAINING_ENVIRONMENT = {
    'MALLOC_MMAP_THRESHOLD_': str(10**9),
    'MALLOC_TRIM_THRESHOLD_': str(2 * 10**9),
    'MALLOC_TOP_PAD_': str(2 * 10**8),
}

INPUT_FILE = 'doctor.in'
"""The name of the input file of a trial job."""
PW_INPUT = """&CONTROL
 calculation = 'scf', pseudo_dir = '.', outdir = '.'
/
&SYSTEM
 ibrav = 1, celldm(1) = 8, nat = 1, ntyp = 1, ecutwfc = 12, occupations = 'smearing', degauss = 0.05
/
&ELECTRONS
 conv_thr = 1e-3
/
ATOMIC_SPECIES
 Li 6.94 Li.upf
ATOMIC_POSITIONS crystal
 Li 0 0 0
K_POINTS gamma
"""
LAMMPS_INPUT = """units metal
atom_style atomic
lattice fcc 5.0
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 40
pair_style lj/cut 4
pair_coeff 1 1 0.01 3.4
fix thermostat all temp/csvr 300 300 0.1 1
run 1
pair_style allegro
print "pair_style allegro is there"
"""


class Trial(NamedTuple):
    """A tiny job that shows whether a program runs."""

    arguments: tuple[str, ...]
    text: str
    """What stands in the input file."""
    expected: str
    """Pattern of what the program prints when it works."""
    element: str = ''
    """The element whose pseudopotential the job needs; empty if it needs none."""


class Engine(NamedTuple):
    """One program, by the label that its code has in AiiDA."""

    plugin: str
    """Entry point of the calculation plugin."""
    executable: str
    """Its name on PATH, or among the console scripts of this Python environment."""
    trial: Trial
    resources: str
    """The section of a protocol's ``resources`` that its jobs take."""
    is_script: bool = True
    """Whether it belongs to this Python environment, rather than to the system."""
    with_mpi: bool = False
    environment: Mapping[str, str] = {}
    """Variables that its code on this machine sets."""
    is_optional: bool = False
    """Whether a campaign may do without it, so that its code need not exist."""

    @property
    def prepend_text(self) -> str:
        """Shell commands that set the variables."""
        return '\n'.join(f'export {name}={value}' for name, value in self.environment.items())


ASE_INPUT = """from ase.calculators.emt import EMT
from ase.build import bulk
crystal = bulk('Cu')
crystal.calc = EMT()
crystal.get_potential_energy()
print('ASE is there')
"""

HELP_TRIAL = Trial(('--help',), 'none', 'usage:')
# Without a configuration, nequip-train says where it has looked for one.
TRAINING_TRIAL = HELP_TRIAL._replace(expected=r'usage:|provider=hydra')

ENGINES = {
    'pw': Engine(
        plugin='quantumespresso.pw',
        executable='pw.x',
        trial=Trial(('-in', INPUT_FILE), PW_INPUT, 'JOB DONE', element='Li'),
        resources='pw',
        is_script=False,
        with_mpi=True,
        environment=PW_ENVIRONMENT,
    ),
    'nequip-train': Engine(
        plugin='ionconduct.allegro.train',
        executable='nequip-train',
        trial=TRAINING_TRIAL,
        resources='training',
        environment=TRAINING_ENVIRONMENT,
    ),
    'nequip-package': Engine(
        plugin='ionconduct.allegro.train',
        executable='nequip-package',
        trial=TRAINING_TRIAL,
        resources='training',
    ),
    'nequip-compile': Engine(
        plugin='ionconduct.allegro.compile',
        executable='nequip-compile',
        trial=HELP_TRIAL,
        resources='training',
    ),
    'lammps': Engine(
        plugin='ionconduct.lammps.md',
        executable='lmp',
        trial=Trial(('-in', INPUT_FILE), LAMMPS_INPUT, r'^pair_style allegro is there'),
        resources='md',
    ),
    'ase': Engine(  # a Python with ASE and a pretrained potential
        plugin='ionconduct.ase.sampling',
        executable='python',
        trial=Trial((INPUT_FILE,), ASE_INPUT, r'^ASE is there'),
        resources='training',
        is_optional=True,
    ),
}
"""The engines of a campaign, by the labels of their codes."""

TRIALS = {engine.plugin: engine.trial for engine in ENGINES.values()}
"""The trial jobs by plugin, since a user may give a code any label."""
