"""The LAMMPS input script of one MD run: equilibration at a temperature, then production.

It names no plugin and no accelerator, so it runs unchanged with our own pair style and with any LAMMPS that has
``pair_style allegro``. Several velocity seeds may share the run: replicas of the crystal in one box that do not see
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ase import units

STRUCTURE_FILE = 'structure.data'
START_FILE = 'start.bin'
"""The restart file of an earlier run that this one continues."""
TRAJECTORY_FILE = 'trajectory.bin'
CENTRES_FILE = 'centres_of_mass.txt'
RESTART_SUFFIX = '.restart'
"""Restart files are called ``production.restart`` and so on, after the stage they were written in; those written
periodically have a number behind."""
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
MAX_REPLICAS = 31
"""LAMMPS has 32 groups, and one of them is ``all``."""

POTENTIALS = {
    'aotinductor': ('model.nequip.pt2', 'allegro', 'model.nequip.pt2 '),
    'mliap': ('model.nequip.lmp.pt', 'mliap unified model.nequip.lmp.pt 0', ''),
}
"""By format of the model: name of its file, ``pair_style``, and what stands before the species in ``pair_coeff``."""

EXPLOSION_FACTOR = 3
"""A run whose temperature exceeds this many times the highest temperature asked for has exploded. The thermal
fluctuation of even 16 atoms is 0.2 of the mean, so no healthy run gets there."""


class Parameter(NamedTuple):
    """What a parameter must be."""

    kind: type
    valid: Callable[[Any], bool]
    requirement: str
    default: Any = None
    """``None``: the parameter must be given."""


def one_of(*choices: str, default: str) -> Parameter:
    """Return a parameter that is one of some words."""
    return Parameter(str, lambda value: value in choices, f'one of {", ".join(choices)}', default)


def are_seeds(value: list) -> bool:
    """Whether this is a list of different velocity seeds that one run can take."""
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) and 0 < seed < 2**31 for seed in value)
    return whole and len(set(value)) == len(value) and 0 < len(value) <= MAX_REPLICAS


PARAMETERS = {
    'temperature_K': Parameter(float, lambda value: value > 0, 'a positive temperature in K'),
    'timestep_fs': Parameter(float, lambda value: value > 0, 'a positive time in fs'),
    'equilibration_steps': Parameter(int, lambda value: value >= 0, 'a number of steps, 0 or more'),
    'production_steps': Parameter(int, lambda value: value > 0, 'a positive number of steps'),
    'seeds': Parameter(
        list, are_seeds, f'a list of 1 to {MAX_REPLICAS} different integers from 1 to 2147483647, one a replica'
    ),
    'ensemble': one_of('nve', 'nvt', 'npt', default='nve'),
    'thermostat': one_of('langevin', 'nose-hoover', default='langevin'),
    'frame_stride': Parameter(int, lambda value: value > 0, 'a positive number of steps', 50),
    'com_stride': Parameter(int, lambda value: value > 0, 'a positive number of steps', 5),
    'thermo_stride': Parameter(int, lambda value: value > 0, 'a positive number of steps', 50),
    'restart_stride': Parameter(int, lambda value: value >= 0, 'a number of steps, 0 for no restart files', 10000),
    'thermostat_damping_fs': Parameter(float, lambda value: value > 0, 'a positive time in fs', 100.0),
    'velocity_temperature_K': Parameter(float, lambda value: value > 0, 'a positive temperature in K'),
    'pressure_bar': Parameter(float, lambda value: abs(value) < float('inf'), 'a pressure in bar', 0.0),
    'barostat_damping_fs': Parameter(float, lambda value: value > 0, 'a positive time in fs', 1000.0),
    'momentum_epsilon': Parameter(float, lambda value: 0 <= value < 0.1, 'a number from 0 to 0.1', 0.0),
    'pressure_coupling': one_of('iso', 'aniso', 'tri', default='aniso'),
}
"""All parameters of a run. ``velocity_temperature_K``, the temperature of the first velocities, is
``temperature_K`` when it is not given; twice that brings a run from a perfect crystal to its temperature at once.
``ensemble`` is that of the production, ``thermostat`` that of the equilibration and of a production in ``nvt``.
``momentum_epsilon`` is a relative change of all momenta at the start of the production, for a twin of another run."""

STEPS = ('equilibration_steps', 'production_steps', 'frame_stride', 'com_stride', 'thermo_stride', 'restart_stride')


class Start(NamedTuple):
    """Where a run that continues another one begins."""

    stage: str
    step: int
    """In time steps of the run that begins."""


def check_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with the defaults filled in.

    :param parameters: by name, see :data:`PARAMETERS`.
    :raises ValueError: naming a parameter that is unknown, missing or out of range, and what it must be.
    """
    unknown = sorted(set(parameters) - PARAMETERS.keys())
    if unknown:
        raise ValueError(f'unknown parameters {", ".join(unknown)}; known are {", ".join(PARAMETERS)}.')
    checked = {name: entry.default for name, entry in PARAMETERS.items()} | dict(parameters)
    checked['velocity_temperature_K'] = parameters.get('velocity_temperature_K', parameters.get('temperature_K'))
    for name, entry in PARAMETERS.items():
        value = checked[name]
        if value is None:
            raise ValueError(f'the parameter {name} is missing: give {entry.requirement}.')
        kinds = (int, float) if entry.kind is float else (entry.kind,)
        if isinstance(value, bool) or not isinstance(value, kinds) or not entry.valid(value):
            raise ValueError(f'{name} is {value!r}, but must be {entry.requirement}.')
    if checked['ensemble'] == 'npt' and len(checked['seeds']) > 1:
        raise ValueError('ensemble is npt, but replicas share one cell: give one seed.')
    return checked


def with_half_timestep(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the same run, in time, with half the time step."""
    values = check_parameters(parameters)
    halved = {'timestep_fs': values['timestep_fs'] / 2} | {name: 2 * values[name] for name in STEPS}
    return {**parameters, **halved}


def thermo_columns(parameters: Mapping[str, Any]) -> list[str]:
    """Return our names of the thermodynamic columns of one replica; the pressure is that of a run of one alone.

    :param parameters: see :data:`PARAMETERS`.
    """
    values = check_parameters(parameters)
    columns = list(THERMO.values())
    if values['ensemble'] == 'npt':
        return columns + list(CELL_THERMO.values())
    return columns if len(values['seeds']) == 1 else columns[:-1]


def explosion_temperature(values: Mapping[str, Any]) -> float:
    """Return the temperature in K above which a run has exploded.

    :param values: checked parameters.
    """
    return EXPLOSION_FACTOR * max(values['temperature_K'], values['velocity_temperature_K'])


def explosion_energy(values: Mapping[str, Any]) -> float:
    """Return the change of total energy, eV/atom, that would heat a crystal to :func:`explosion_temperature`."""
    return 3 * units.kB * (explosion_temperature(values) - values['temperature_K'])


def md_script(
    species: list[str],
    n_atoms: int,
    parameters: Mapping[str, Any],
    start: Start | None = None,
    timeout_s: int | None = None,
    model_format: str = 'aotinductor',
) -> str:
    """Return the input script.

    Equilibration is Langevin dynamics unless asked otherwise: it thermalises every mode of a small, nearly harmonic
    crystal within a few damping times, where a Nosé–Hoover chain lets the energy slosh between bath and phonons, and
    it makes seeds independent. The random forces sum to zero, so the centre of mass stays at rest.

    Steps are counted from 0 at the start of production. Frames (unwrapped, sorted by atom) and the centres of mass of
    the species both start there.

    Replicas are copies of the crystal in one box, the first ``n_atoms`` atoms the first one, with velocities from the
    data file. Neighbours of another replica are excluded, so the potential sees as many disjoint graphs.

    :param species: chemical symbol of each atom type, see :func:`~aiida_ionconduct.lammps.structure.species_order`.
    :param n_atoms: atoms of one replica.
    :param parameters: see :data:`PARAMETERS`.
    :param start: continue from :data:`START_FILE`.
    :param timeout_s: LAMMPS stops by itself, in good order, after this wall time.
    :param model_format: one of :data:`POTENTIALS`.
    :raises ValueError: as :func:`check_parameters`.
    """
    values = check_parameters(parameters)
    groups = {'all': values['seeds'][0]} if len(values['seeds']) == 1 else {f'seed{s}': s for s in values['seeds']}
    _, pair_style, pair_coeff = POTENTIALS[model_format]
    lines = [
        *system_lines(values, groups, n_atoms, start),
        f'pair_style {pair_style}',
        f'pair_coeff * * {pair_coeff}{" ".join(species)}',
        'neigh_modify every 1 delay 0 check yes',
        f'timestep {values["timestep_fs"] / 1000:.10g}',
        f'thermo {values["thermo_stride"]}',
        *thermo_lines(values, groups),
    ]
    if timeout_s is not None:
        lines.append(f'timer timeout 00:00:{timeout_s} every 10')
    if values['equilibration_steps'] and (start is None or start.stage == EQUILIBRATION):
        lines += equilibration_lines(values, groups, start)
    if values['momentum_epsilon'] and (start is None or start.stage == EQUILIBRATION):
        lines += kick_lines(values)
    if values['ensemble'] == 'npt':
        pressure = f'{values["pressure_bar"]:.10g} ' * 2 + f'{values["barostat_damping_fs"] / 1000:.10g}'
        lines.append(f'fix integrate all npt {nose_hoover(values)} {values["pressure_coupling"]} {pressure}')
    else:
        if values['ensemble'] == 'nvt':
            done = start.step if start and start.stage == PRODUCTION else 0
            lines += thermostat_lines(values, groups, values['equilibration_steps'] + done + 1)
        else:
            lines.append('fix integrate all nve')
        lines += trajectory_lines(values, species, n_atoms)
    lines += [
        *restart_lines(PRODUCTION, values),
        f'print "{STAGE_MARK} {PRODUCTION}"',
        f'run {values["production_steps"]} upto',
        f'write_restart {PRODUCTION}{RESTART_SUFFIX}',
        'label end',
    ]
    return '\n'.join(lines) + '\n'


def system_lines(values: dict, groups: dict[str, int], n_atoms: int, start: Start | None) -> list[str]:
    """Read the atoms and make the replicas known."""
    if start is None:
        lines = ['units metal', 'atom_style atomic', f'read_data {STRUCTURE_FILE}']
    else:
        lines = [f'read_restart {START_FILE}', f'reset_timestep {start.step}']
    if values['ensemble'] == 'npt' and values['pressure_coupling'] == 'tri':
        lines.append('change_box all triclinic')
    if len(groups) > 1:
        lines.append('fix molecules all property/atom mol ghost yes')
        for index, group in enumerate(groups):
            first, last = index * n_atoms + 1, (index + 1) * n_atoms
            lines += [f'set atom {first}*{last} mol {index + 1}', f'group {group} id {first}:{last}']
        lines.append('neigh_modify exclude molecule/inter all')
    elif start is None:
        temperature, seed = values['velocity_temperature_K'], values['seeds'][0]
        lines.append(f'velocity all create {temperature:.10g} {seed} mom yes rot no dist gaussian')
    return lines


def thermo_lines(values: dict, groups: dict[str, int]) -> list[str]:
    """Print the thermodynamic columns of every replica, and stop the run when one of them explodes."""
    if len(groups) == 1:
        keywords = [*THERMO, *(CELL_THERMO if values['ensemble'] == 'npt' else ())]
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
    stride, highest = values['thermo_stride'], explosion_temperature(values)
    return [
        *lines,
        f'thermo_style custom {" ".join(keywords)}',
        'thermo_modify format float %.16g lost error flush yes',
        *(
            f'fix explosion_{group} all halt {stride} v_temperature_{group} > {highest:.10g} error hard'
            for group in groups
        ),
    ]


def equilibration_lines(values: dict, groups: dict[str, int], start: Start | None) -> list[str]:
    """Run the equilibration and leave the script when the wall time ends within it."""
    steps = values['equilibration_steps']
    lines = thermostat_lines(values, groups, start.step if start else 0)
    fixes = [line.split()[1] for line in lines]
    return [
        *lines,
        *restart_lines(EQUILIBRATION, values),
        f'print "{STAGE_MARK} {EQUILIBRATION}"',
        f'run {steps} upto',
        f'if "$(step) < {steps}" then "write_restart {EQUILIBRATION}{RESTART_SUFFIX}" "jump SELF end"',
        *(f'unfix {name}' for name in fixes),
        'reset_timestep 0',
    ]


def thermostat_lines(values: dict, groups: dict[str, int], steps_done: int) -> list[str]:
    """Integrate at a temperature, each replica with a thermostat of its own.

    The state of a Nosé–Hoover chain is in the restart file. Langevin dynamics has none but its random numbers, which
    go on from another seed, so that none come twice.
    """
    if values['thermostat'] == 'nose-hoover':
        return [f'fix thermostat_{group} {group} nvt {nose_hoover(values)}' for group in groups]
    # The generator of fix langevin takes seeds up to 900000000 only.
    return ['fix integrate all nve'] + [
        f'fix thermostat_{group} {group} langevin {from_to(values)} {(seed + steps_done) % 899999000 + 1} zero yes'
        for group, seed in groups.items()
    ]


def nose_hoover(values: dict) -> str:
    """Return the arguments of a Nosé–Hoover thermostat."""
    return f'temp {from_to(values)}'


def from_to(values: dict) -> str:
    """Return the temperature at the start and the end of a run, and the damping time."""
    return f'{values["temperature_K"]:.10g} ' * 2 + f'{values["thermostat_damping_fs"] / 1000:.10g}'


def trajectory_lines(values: dict, species: list[str], n_atoms: int) -> list[str]:
    """Write frames, and more often the centre of mass of every species in every replica."""
    stride = values['com_stride']
    return [
        f'variable species atom floor((id-1)/{n_atoms})*{len(species)}+type',
        'compute species all chunk/atom v_species nchunk once ids once compress no',
        'compute centres all com/chunk species',
        f'fix centres all ave/time {stride} 1 {stride} c_centres[*] mode vector file {CENTRES_FILE} format " %.16g"',
        f'dump trajectory all custom {values["frame_stride"]} {TRAJECTORY_FILE} xu yu zu',
        'dump_modify trajectory sort id',
    ]


def kick_lines(values: dict) -> list[str]:
    """Multiply every component of every momentum by 1 + epsilon times a normal number."""
    epsilon, seed = values['momentum_epsilon'], values['seeds'][0]
    return [
        f'variable kicked_{axis} atom v{axis}*(1+{epsilon:.10g}*normal(0,1,{(seed + offset) % 899999000 + 1}))'
        for offset, axis in enumerate('xyz')
    ] + ['velocity all set v_kicked_x v_kicked_y v_kicked_z']


def restart_lines(stage: str, values: dict) -> list[str]:
    """Write restart files now and then, two in turn, so that one is whole whenever the run is killed."""
    names = ' '.join(f'{stage}{RESTART_SUFFIX}.{number}' for number in (1, 2))
    return [f'restart {values["restart_stride"]} {names}'] if values['restart_stride'] else []
