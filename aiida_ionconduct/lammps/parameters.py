"""The parameters of an MD run, and what follows from them without LAMMPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ase import units
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from aiida_ionconduct.parameters import Parameters

MAX_REPLICAS = 31
"""LAMMPS has 32 groups, and one of them is ``all``."""

EXPLOSION_FACTOR = 3
"""A run whose temperature exceeds this many times the highest temperature asked for has exploded. The thermal
fluctuation of even 16 atoms is 0.2 of the mean, so no healthy run gets there."""

Ensemble = Literal['nve', 'nvt', 'npt']
Thermostat = Literal['langevin', 'nose-hoover']
ProductionThermostat = Literal['csvr', 'langevin', 'nose-hoover']
PressureCoupling = Literal['iso', 'aniso', 'tri']


class RunParameters(Parameters):
    """An MD run at any temperature and with any seeds: an equilibration, then a production."""

    timestep_fs: float = Field(gt=0, description='time step, in fs')
    equilibration_steps: int = Field(ge=0, description='time steps of the equilibration')
    production_steps: int = Field(gt=0, description='time steps of the production')
    ensemble: Ensemble = Field(default='nve', description='ensemble of the production')
    thermostat: Thermostat = Field(
        default='langevin', description='thermostat of the equilibration, and of a production without its own'
    )
    production_thermostat: ProductionThermostat | None = Field(
        default=None,
        description='thermostat of a production in `nvt`; `csvr` (stochastic velocity rescaling) keeps the temperature '
        'without disturbing the diffusion; null takes the thermostat of the equilibration',
    )
    frame_stride: int = Field(default=50, gt=0, description='time steps between two frames')
    com_stride: int = Field(default=5, gt=0, description='time steps between two centres of mass of the species')
    thermo_stride: int = Field(default=50, gt=0, description='time steps between two rows of thermodynamic data')
    restart_stride: int = Field(
        default=10000, ge=0, description='time steps between two restart files; 0 for no restart files on the way'
    )
    thermostat_damping_fs: float = Field(default=100.0, gt=0, description='damping time of the thermostat, in fs')
    production_damping_fs: float | None = Field(
        default=None,
        gt=0,
        description='damping time of the thermostat in the production, in fs; null takes `thermostat_damping_fs`',
    )
    velocity_temperature_K: float | None = Field(
        default=None,
        gt=0,
        description='temperature of the first velocities, in K, by default that of the run; twice that temperature '
        'brings a run from a perfect crystal to its temperature at once',
    )
    pressure_bar: float = Field(default=0.0, description='pressure in `npt`, in bar')
    barostat_damping_fs: float = Field(default=1000.0, gt=0, description='damping time of the barostat in `npt`, in fs')
    momentum_epsilon: float = Field(
        default=0.0,
        ge=0,
        lt=0.1,
        description='relative random change of all momenta at the start of the production, for a twin of another run',
    )
    pressure_coupling: PressureCoupling = Field(
        default='aniso',
        description='which cell parameters change in `npt`: all alike, the lengths, or lengths and angles',
    )


class MdParameters(RunParameters):
    """An MD run at a temperature, of one velocity seed or of several as replicas."""

    temperature_K: float = Field(gt=0, description='temperature, in K')
    seeds: list[int] = Field(description='seeds of the first velocities, one per replica')

    @field_validator('seeds')
    @classmethod
    def _check_seeds(cls, seeds: list[int]) -> list[int]:
        in_range = all(0 < seed < 2**31 for seed in seeds)
        if not (in_range and len(set(seeds)) == len(seeds) and 0 < len(seeds) <= MAX_REPLICAS):
            raise ValueError(f'must be a list of 1 to {MAX_REPLICAS} different integers from 1 to 2147483647')
        return seeds

    @model_validator(mode='after')
    def _check_replicas(self) -> Self:
        if self.ensemble == 'npt' and len(self.seeds) > 1:
            raise ValueError('ensemble is npt, but replicas share one cell: give one seed.')
        return self

    @property
    def first_temperature_K(self) -> float:
        """Temperature of the first velocities."""
        return self.temperature_K if self.velocity_temperature_K is None else self.velocity_temperature_K

    @property
    def has_csvr(self) -> bool:
        """Whether the production runs with stochastic velocity rescaling."""
        return self.ensemble == 'nvt' and self.production_thermostat == 'csvr'

    @property
    def explosion_temperature_K(self) -> float:
        """Temperature above which the run has exploded."""
        return EXPLOSION_FACTOR * max(self.temperature_K, self.first_temperature_K)

    @property
    def explosion_energy_eV(self) -> float:
        """Change of the total energy per atom that would heat a crystal to the temperature of an explosion."""
        return 3 * units.kB * (self.explosion_temperature_K - self.temperature_K)


Edges = Literal['host', 'device', 'skin']


class PairStyle(Parameters):
    """How the pair style of this package finds the pairs of atoms that the model sees; forces are the same."""

    edges: Edges | None = Field(
        default=None,
        description='where the pairs within the cutoff are taken from the neighbour list at every step: on the '
        '`host`, on the `device` of the model, or nowhere, so that the model gets the pairs in the `skin` as well; '
        'null takes the host on cpu, the device on cuda',
    )
    pad: bool | None = Field(
        default=None,
        description='whether the numbers of atoms and pairs are rounded up, so that few shapes occur; null: no',
    )

    @property
    def options(self) -> str:
        """The options of ``pair_style allegro``, each with a space before it; none where nothing is stated."""
        edges = '' if self.edges is None else f' edges {self.edges}'
        return edges if self.pad is None else f'{edges} pad {"yes" if self.pad else "no"}'


class CommandLine(PairStyle):
    """How LAMMPS is called: the settings of a run that do not change its results."""

    kokkos_gpus: int | None = Field(
        default=None, ge=1, description='the number of GPUs of a machine, for a LAMMPS built with Kokkos'
    )
    cmdline: list[str] = Field(default=[], description='further words of the command line')
    report_memory: bool = Field(
        default=False, description='whether LAMMPS writes into its log how much memory it has needed'
    )

    def arguments(self) -> list[str]:
        """Return the words of the command line; Kokkos runs one process on each of the GPUs of a machine."""
        if self.kokkos_gpus is None:
            return list(self.cmdline)
        kokkos = ['-k', 'on', 'g', str(self.kokkos_gpus), '-sf', 'kk']
        return [*kokkos, '-pk', 'kokkos', 'newton', 'on', 'neigh', 'half', *self.cmdline]


STEPS = ('equilibration_steps', 'production_steps', 'frame_stride', 'com_stride', 'thermo_stride', 'restart_stride')


def with_half_timestep(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the same run, in time, with half the time step.

    :param parameters: see :class:`MdParameters`.
    """
    checked = MdParameters.check(parameters)
    halved = {'timestep_fs': checked.timestep_fs / 2} | {name: 2 * getattr(checked, name) for name in STEPS}
    return {**parameters, **halved}
