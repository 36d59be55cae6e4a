"""The LAMMPS input script of one MD run: equilibration at a temperature, then production at constant energy.

It names no plugin and no accelerator, so it runs unchanged with our own pair style and with any LAMMPS that has
``pair_style allegro``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

STRUCTURE_FILE = 'structure.data'
MODEL_FILE = 'model.nequip.pt2'
TRAJECTORY_FILE = 'trajectory.bin'
CENTRES_FILE = 'centres_of_mass.txt'
RESTART_FILE = 'final.restart'
STAGE_MARK = 'ionconduct stage:'

THERMO = {
    'step': 'step',
    'temp': 'temperature_K',
    'pe': 'potential_energy_eV',
    'ke': 'kinetic_energy_eV',
    'etotal': 'total_energy_eV',
    'press': 'pressure_bar',
}
"""LAMMPS' keywords and our names of the thermodynamic columns, in order; energies are of the whole cell."""

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


PARAMETERS = {
    'temperature_K': Parameter(float, lambda value: value > 0, 'a positive temperature in K'),
    'timestep_fs': Parameter(float, lambda value: value > 0, 'a positive time in fs'),
    'equilibration_steps': Parameter(int, lambda value: value >= 0, 'a number of steps, 0 or more'),
    'production_steps': Parameter(int, lambda value: value > 0, 'a positive number of steps'),
    'seed': Parameter(int, lambda value: 0 < value < 2**31, 'an integer from 1 to 2147483647'),
    'frame_stride': Parameter(int, lambda value: value > 0, 'a positive number of steps', 50),
    'com_stride': Parameter(int, lambda value: value > 0, 'a positive number of steps', 5),
    'thermo_stride': Parameter(int, lambda value: value > 0, 'a positive number of steps', 50),
    'thermostat_damping_fs': Parameter(float, lambda value: value > 0, 'a positive time in fs', 100.0),
    'velocity_temperature_K': Parameter(float, lambda value: value > 0, 'a positive temperature in K'),
}
"""All parameters of a run. ``velocity_temperature_K``, the temperature of the first velocities, is
``temperature_K`` when it is not given; twice that brings a run from a perfect crystal to its temperature at once."""


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
        kinds = (int,) if entry.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not entry.valid(value):
            raise ValueError(f'{name} is {value!r}, but must be {entry.requirement}.')
    return checked


def md_script(species: list[str], parameters: Mapping[str, Any], timeout_s: int | None = None) -> str:
    """Return the input script.

    Equilibration is Langevin dynamics: it thermalises every mode of a small, nearly harmonic crystal within a few
    damping times, where a Nosé–Hoover chain lets the energy slosh between bath and phonons, and it makes seeds
    independent. The random forces sum to zero, so the centre of mass stays at rest. Production is plain NVE.

    Steps are counted from 0 at the start of production. Frames (unwrapped, sorted by atom) and the centres of mass of
    the species both start there.

    :param species: chemical symbol of each atom type, see :func:`~aiida_ionconduct.lammps.structure.species_order`.
    :param parameters: see :data:`PARAMETERS`.
    :param timeout_s: LAMMPS stops by itself, in good order, after this wall time.
    :raises ValueError: as :func:`check_parameters`.
    """
    values = check_parameters(parameters)
    highest = EXPLOSION_FACTOR * max(values['temperature_K'], values['velocity_temperature_K'])
    centres = [f'c_com_{symbol}[{axis}]' for symbol in species for axis in (1, 2, 3)]
    lines = [
        'units metal',
        'atom_style atomic',
        f'read_data {STRUCTURE_FILE}',
        'pair_style allegro',
        f'pair_coeff * * {MODEL_FILE} {" ".join(species)}',
        'neigh_modify every 1 delay 0 check yes',
        f'timestep {values["timestep_fs"] / 1000:.10g}',
        f'thermo {values["thermo_stride"]}',
        f'thermo_style custom {" ".join(THERMO)}',
        'thermo_modify format float %.16g lost error flush yes',
        f'velocity all create {values["velocity_temperature_K"]:.10g} {values["seed"]} mom yes rot no dist gaussian',
        'variable temperature equal temp',
        f'fix explosion all halt {values["thermo_stride"]} v_temperature > {highest:.10g} error hard',
        'fix integrate all nve',
    ]
    if timeout_s is not None:
        lines.append(f'timer timeout 00:00:{timeout_s} every 10')
    if values['equilibration_steps']:
        # The generator of fix langevin takes seeds up to 900000000 only.
        lines += [
            f'print "{STAGE_MARK} equilibration"',
            f'fix thermostat all langevin {values["temperature_K"]:.10g} {values["temperature_K"]:.10g} '
            f'{values["thermostat_damping_fs"] / 1000:.10g} {values["seed"] % 899999000 + 1} zero yes',
            f'run {values["equilibration_steps"]}',
            'unfix thermostat',
            'reset_timestep 0',
        ]
    lines += [f'group {symbol} type {number}' for number, symbol in enumerate(species, start=1)]
    lines += [f'compute com_{symbol} {symbol} com' for symbol in species]
    lines += [
        f'fix centres all ave/time {values["com_stride"]} 1 {values["com_stride"]} {" ".join(centres)} '
        f'file {CENTRES_FILE} format " %.16g"',
        f'dump trajectory all custom {values["frame_stride"]} {TRAJECTORY_FILE} xu yu zu',
        'dump_modify trajectory sort id',
        f'print "{STAGE_MARK} production"',
        f'run {values["production_steps"]}',
        f'write_restart {RESTART_FILE}',
    ]
    return '\n'.join(lines) + '\n'
