"""The LAMMPS input script of one MD run: equilibration at a temperature, then production.

It names no plugin and no accelerator, so it runs unchanged with our own pair style and with any LAMMPS that has
``pair_style allegro``. Several velocity seeds may share the run: replicas of the crystal in one box that do not see
each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.lammps.parameters import MdParameters, ProductionThermostat

STRUCTURE_FILE = 'structure.data'
START_FILE = 'start.bin'
"""The restart file of an earlier run that this one continues."""
TRAJECTORY_FILE = 'trajectory.bin'
CENTRES_FILE = 'centres_of_mass.txt'
ENERGY_FILE, FORCES_FILE = 'energy.txt', 'forces.txt'
"""What an evaluation of one structure writes."""
RESTART_SUFFIX = '.restart'
"""Restart files are called ``production.restart`` and so on, after the stage they were written in; the files
written on the way end in a number."""
STAGE_MARK = 'ionconduct stage:'
EQUILIBRATION, PRODUCTION = 'equilibration', 'production'

THERMO = {
    'step': 'step',
    'temp': 'temperature_K',
    'pe': 'potential_energy_eV',
    'ke': 'kinetic_energy_eV',
    'etotal': 'total_energy_eV',
    'press': 'pressure_bar',
}
"""LAMMPS' keywords and our names of the thermodynamic columns, in order; energies are of the whole cell."""
CELL_THERMO = {name: f'cell_{name}_A' for name in ('lx', 'ly', 'lz', 'xy', 'xz', 'yz')}
"""Further columns of a run at constant pressure."""
THERMOSTAT_ENERGY = 'thermostat_energy_eV'
"""Further column of a run with stochastic velocity rescaling: the energy that the thermostat has taken out since the
start of the production. Its sum with the total energy is conserved."""


class Potential(NamedTuple):
    """How LAMMPS is given a compiled model."""

    filename: str
    pair_style: str
    coefficients: str
    """What stands before the species in ``pair_coeff``."""


POTENTIALS = {
    'aotinductor': Potential('model.nequip.pt2', 'allegro', 'model.nequip.pt2 '),
    'mliap': Potential('model.nequip.lmp.pt', 'mliap unified model.nequip.lmp.pt 0', ''),
}
"""By the format of the model."""


class Start(NamedTuple):
    """Where a run begins that continues another run."""

    stage: str
    step: int
    """In time steps of the run that begins."""


def thermo_columns(run: MdParameters) -> list[str]:
    """Return our names of the thermodynamic columns of one replica; the pressure is known of a run of one seed only."""
    columns = list(THERMO.values())
    if run.ensemble == 'npt':
        return columns + list(CELL_THERMO.values())
    columns = columns if len(run.seeds) == 1 else columns[:-1]
    return [*columns, THERMOSTAT_ENERGY] if run.has_csvr else columns


def langevin_heating(masses: Sequence[float] | np.ndarray) -> float:
    """Return by what factor ``fix langevin … zero yes`` exceeds the temperature that it is given.

    LAMMPS subtracts the mean random force from every atom, whatever its mass. The random forces, of variance
    c m_i, then bring c/2 (N - 2 + <m><1/m>) of energy per time into the atoms, where the friction takes out c/2 (N - 1)
    at the temperature asked for. Equal masses give 1.

    :param masses: of the atoms of one group, in any unit.
    """
    masses = np.asarray(masses, dtype=float)
    n = len(masses)
    return 1.0 if n < 2 else float((n - 2 + masses.mean() * (1 / masses).mean()) / (n - 1))


def md_script(
    species: Sequence[str],
    n_atoms: int,
    run: MdParameters,
    *,
    start: Start | None = None,
    timeout_s: int | None = None,
    model_format: str = 'aotinductor',
    masses: Sequence[float] | None = None,
    pair_options: str = '',
    report_memory: bool = False,
) -> str:
    """Return the input script.

    Equilibration is Langevin dynamics by default: it thermalises every mode of a small, nearly harmonic crystal within
    a few damping times, where a Nosé–Hoover chain lets the energy slosh between bath and phonons, and it makes seeds
    independent. The random forces sum to zero, so the centre of mass stays at rest; the heating by this is corrected
    (:func:`langevin_heating`).

    The production is at constant energy, or with a thermostat, of which stochastic velocity rescaling (Bussi, Donadio
    and Parrinello 2007, 10.1063/1.2408420) leaves the diffusion alone: it scales all velocities alike.

    Steps are counted from 0 at the start of production. Frames (unwrapped, sorted by atom) and the centres of mass of
    the species both start there.

    Replicas are copies of the crystal in one box, the first ``n_atoms`` atoms the first one, with velocities from the
    data file. Neighbours of another replica are excluded, so the potential sees as many disjoint graphs.

    :param species: chemical symbol of each atom type, see :func:`~aiida_ionconduct.lammps.structure.species_order`.
    :param n_atoms: atoms of one replica.
    :param start: continue from :data:`START_FILE`.
    :param timeout_s: LAMMPS stops by itself, in good order, after this wall time.
    :param model_format: a key of :data:`POTENTIALS`.
    :param masses: of the atoms of one replica, in u; equal masses by default.
    :param pair_options: what follows the pair style: :attr:`~aiida_ionconduct.lammps.parameters.PairStyle.options`.
    :param report_memory: whether LAMMPS writes its peak memory into the log.
    """
    heating = 1.0 if masses is None else langevin_heating(masses)
    groups = {'all': run.seeds[0]} if len(run.seeds) == 1 else {f'seed{s}': s for s in run.seeds}
    potential = POTENTIALS[model_format]
    before_production = start is None or start.stage == EQUILIBRATION
    lines = [
        *_system_lines(run, groups, n_atoms, start),
        f'pair_style {potential.pair_style}{pair_options}',
        f'pair_coeff * * {potential.coefficients}{" ".join(species)}',
        'neigh_modify every 1 delay 0 check yes',
        f'timestep {run.timestep_fs / 1000:.10g}',
        f'thermo {run.thermo_stride}',
        *_thermo_lines(run, groups),
    ]
    if timeout_s is not None:
        lines.append(f'timer timeout 00:00:{timeout_s} every 10')
    if run.equilibration_steps and before_production:
        lines += _equilibration_lines(run, groups, start, heating)
    if run.momentum_epsilon and before_production:
        lines += _kick_lines(run)
    lines += _integration_lines(run, groups, 0 if start is None or before_production else start.step, heating)
    if run.ensemble != 'npt':
        lines += _trajectory_lines(run, species, n_atoms)
    lines += [
        *_restart_lines(PRODUCTION, run),
        f'print "{STAGE_MARK} {PRODUCTION}"',
        f'run {run.production_steps} upto',
        f'write_restart {PRODUCTION}{RESTART_SUFFIX}',
        *(['info memory out log'] if report_memory else []),
        'label end',
    ]
    return '\n'.join(lines) + '\n'


def single_point_script(species: Sequence[str], model_format: str = 'aotinductor') -> str:
    """Return the input script of one evaluation: the energy goes to :data:`ENERGY_FILE`, forces to :data:`FORCES_FILE`.

    :param species: chemical symbol of each atom type, see :func:`~aiida_ionconduct.lammps.structure.species_order`.
    :param model_format: a key of :data:`POTENTIALS`.
    """
    potential = POTENTIALS[model_format]
    lines = [
        'units metal',
        'atom_style atomic',
        f'read_data {STRUCTURE_FILE}',
        f'pair_style {potential.pair_style}',
        f'pair_coeff * * {potential.coefficients}{" ".join(species)}',
        'thermo_style custom step pe',
        f'dump forces all custom 1 {FORCES_FILE} fx fy fz',
        'dump_modify forces sort id format float %.16g',
        'run 0',
        'variable energy equal pe',
        f'print "$(v_energy:%.16g)" file {ENERGY_FILE}',
    ]
    return '\n'.join(lines) + '\n'


def _integration_lines(run: MdParameters, groups: dict[str, int], steps_done: int, heating: float) -> list[str]:
    """Integrate the production.

    :param steps_done: steps of the production before this run.
    :param heating: see :func:`langevin_heating`.
    """
    if run.ensemble == 'npt':
        pressure = f'{run.pressure_bar:.10g} ' * 2 + f'{run.barostat_damping_fs / 1000:.10g}'
        bath = _from_to(run.temperature_K, run.thermostat_damping_fs)
        return [f'fix integrate all npt temp {bath} {run.pressure_coupling} {pressure}']
    if run.ensemble == 'nvt':
        lines = _thermostat_lines(
            run.production_thermostat or run.thermostat,
            run.temperature_K,
            run.production_damping_fs or run.thermostat_damping_fs,
            groups=_other_seeds(groups, run.equilibration_steps + steps_done + 1),
            heating=heating,
        )
        if run.has_csvr:
            lines += [f'variable thermostat_energy_{group} equal f_thermostat_{group}' for group in groups]
        return lines
    return ['fix integrate all nve']


def _system_lines(run: MdParameters, groups: dict[str, int], n_atoms: int, start: Start | None) -> list[str]:
    """Read the atoms and tell LAMMPS which atoms belong to which replica."""
    if start is None:
        lines = ['units metal', 'atom_style atomic', f'read_data {STRUCTURE_FILE}']
    else:
        lines = [f'read_restart {START_FILE}', f'reset_timestep {start.step}']
    if run.ensemble == 'npt' and run.pressure_coupling == 'tri':
        lines.append('change_box all triclinic')
    if len(groups) > 1:
        lines.append('fix molecules all property/atom mol ghost yes')
        for index, group in enumerate(groups):
            first, last = index * n_atoms + 1, (index + 1) * n_atoms
            lines += [f'set atom {first}*{last} mol {index + 1}', f'group {group} id {first}:{last}']
        lines.append('neigh_modify exclude molecule/inter all')
    elif start is None:
        temperature, seed = run.first_temperature_K, run.seeds[0]
        lines.append(f'velocity all create {temperature:.10g} {seed} mom yes rot no dist gaussian')
    return lines


def _thermo_lines(run: MdParameters, groups: dict[str, int]) -> list[str]:
    """Print the thermodynamic columns of every replica, and stop the run when a replica explodes."""
    if len(groups) == 1:
        energy = ['v_thermostat_energy_all'] if run.has_csvr else []
        keywords = [*THERMO, *(CELL_THERMO if run.ensemble == 'npt' else ()), *energy]
        lines = ['variable temperature_all equal temp']
    else:
        keywords, lines = ['step'], ['compute energies all pe/atom']
        for group in groups:
            lines += [
                f'compute temperature_{group} {group} temp',
                f'compute pe_{group} {group} reduce sum c_energies',
                f'compute ke_{group} {group} ke',
                f'variable temperature_{group} equal c_temperature_{group}',
                f'variable etotal_{group} equal c_pe_{group}+c_ke_{group}',
            ]
            keywords += [f'c_temperature_{group}', f'c_pe_{group}', f'c_ke_{group}', f'v_etotal_{group}']
            if run.has_csvr:
                keywords.append(f'v_thermostat_energy_{group}')
    if run.has_csvr:  # before the production there is no such thermostat
        lines += [f'variable thermostat_energy_{group} equal 0' for group in groups]
    stride, highest = run.thermo_stride, run.explosion_temperature_K
    return [
        *lines,
        f'thermo_style custom {" ".join(keywords)}',
        'thermo_modify format float %.16g lost error flush yes',
        *(
            f'fix explosion_{group} all halt {stride} v_temperature_{group} > {highest:.10g} error hard'
            for group in groups
        ),
    ]


def _equilibration_lines(run: MdParameters, groups: dict[str, int], start: Start | None, heating: float) -> list[str]:
    """Run the equilibration and leave the script when the wall time ends within it."""
    steps = run.equilibration_steps
    lines = _thermostat_lines(
        run.thermostat,
        run.temperature_K,
        run.thermostat_damping_fs,
        groups=_other_seeds(groups, start.step if start else 0),
        heating=heating,
    )
    fixes = [line.split()[1] for line in lines]
    return [
        *lines,
        *_restart_lines(EQUILIBRATION, run),
        f'print "{STAGE_MARK} {EQUILIBRATION}"',
        f'run {steps} upto',
        f'if "$(step) < {steps}" then "write_restart {EQUILIBRATION}{RESTART_SUFFIX}" "jump SELF end"',
        *(f'unfix {name}' for name in fixes),
        'reset_timestep 0',
    ]


def _thermostat_lines(
    thermostat: ProductionThermostat,
    temperature_K: float,
    damping_fs: float,
    *,
    groups: dict[str, int],
    heating: float,
) -> list[str]:
    """Integrate at a temperature, each replica with a thermostat of its own.

    The state of a Nosé–Hoover chain is in the restart file. The state of Langevin dynamics is its random numbers alone:
    a run that goes on takes another seed, so that no random force comes twice. Velocity rescaling takes its random
    numbers from the restart file, or from another seed where the number of processes has changed.

    :param groups: the seed of the random numbers by group.
    :param heating: see :func:`langevin_heating`.
    """
    if thermostat == 'nose-hoover':
        return [f'fix thermostat_{group} {group} nvt temp {_from_to(temperature_K, damping_fs)}' for group in groups]
    if thermostat == 'csvr':
        style, last = f'temp/csvr {_from_to(temperature_K, damping_fs)}', ''
    else:
        style, last = f'langevin {_from_to(temperature_K / heating, damping_fs)}', ' zero yes'
    return ['fix integrate all nve'] + [
        f'fix thermostat_{group} {group} {style} {seed}{last}' for group, seed in groups.items()
    ]


def _other_seeds(groups: dict[str, int], steps_done: int) -> dict[str, int]:
    """Return seeds of random numbers that differ with the step, by group; LAMMPS takes seeds up to 900000000 only."""
    return {group: (seed + steps_done) % 899999000 + 1 for group, seed in groups.items()}


def _from_to(temperature_K: float, damping_fs: float) -> str:
    """Return the temperature at the start and the end of a run, and the damping time."""
    return f'{temperature_K:.10g} ' * 2 + f'{damping_fs / 1000:.10g}'


def _trajectory_lines(run: MdParameters, species: Sequence[str], n_atoms: int) -> list[str]:
    """Write frames, and more often the centre of mass of every species in every replica."""
    stride = run.com_stride
    return [
        f'variable species atom floor((id-1)/{n_atoms})*{len(species)}+type',
        'compute species all chunk/atom v_species nchunk once ids once compress no',
        'compute centres all com/chunk species',
        f'fix centres all ave/time {stride} 1 {stride} c_centres[*] mode vector file {CENTRES_FILE} format " %.16g"',
        f'dump trajectory all custom {run.frame_stride} {TRAJECTORY_FILE} xu yu zu',
        'dump_modify trajectory sort id',
    ]


def _kick_lines(run: MdParameters) -> list[str]:
    """Multiply every component of every momentum by 1 + epsilon times a normal number."""
    epsilon, seed = run.momentum_epsilon, run.seeds[0]
    return [
        f'variable kicked_{axis} atom v{axis}*(1+{epsilon:.10g}*normal(0,1,{(seed + offset) % 899999000 + 1}))'
        for offset, axis in enumerate('xyz')
    ] + ['velocity all set v_kicked_x v_kicked_y v_kicked_z']


def _restart_lines(stage: str, run: MdParameters) -> list[str]:
    """Write restart files now and then, two in turn: whenever the run is killed, one of the two files is whole."""
    names = ' '.join(f'{stage}{RESTART_SUFFIX}.{number}' for number in (1, 2))
    return [f'restart {run.restart_stride} {names}'] if run.restart_stride else []
