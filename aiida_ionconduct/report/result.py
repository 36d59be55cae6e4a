"""The plain data of a campaign, as everything that shows them takes them: no AiiDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from aiida_ionconduct.structures.site_table import SiteRow


@dataclass
class Conductivity:
    """The result at one temperature: flat attributes, and curves (1-d arrays)."""

    attributes: dict[str, Any]
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    pk: int | None = None
    uuid: str | None = None

    @property
    def temperature_K(self) -> float:
        """Temperature."""
        return float(self.attributes['temperature_K'])


@dataclass
class StageRun:
    """A stage as it ran: all processes that a work chain called for one purpose."""

    title: str
    process: str
    state: str
    jobs: list[tuple[str, int]] = field(default_factory=list)
    """The title of a job and how many jobs have it."""
    from_cache: int = 0
    pks: list[int] = field(default_factory=list)
    start_s: float = 0.0
    wall_time_s: float = 0.0


@dataclass
class StageCost:
    """What a stage has cost so far."""

    label: str
    n_jobs: int
    n_cached: int
    """Jobs that were taken from the cache, and have cost nothing."""
    core_hours: float
    gpu_hours: float
    planned_core_hours: float | None
    """As estimated at the submission; None if that is not known."""
    accounted: bool
    """Whether all of it stands in the accounting of a scheduler."""


@dataclass
class MdSpeed:
    """How fast the jobs of a stage of molecular dynamics were, as LAMMPS states it: the medians over its jobs."""

    label: str
    n_jobs: int
    n_atoms: int
    """Of all seeds that share a job."""
    cores: int
    step_ms: float
    ps_per_day: float
    """Of one seed; the seeds of a job run side by side."""


@dataclass
class Flow:
    """Data that a stage made, or that were given, and the stages that used them, by index; None is the campaign."""

    title: str
    count: int
    pks: list[int]
    source: int | None
    targets: list[int]


class StoredStudy(TypedDict):
    """A study that ``aiida-ionconduct study`` has stored."""

    pk: int
    attributes: dict[str, Any]
    arrays: dict[str, np.ndarray]


class TwinRuns(TypedDict):
    """Finished twin runs: ``difference_A`` is (pairs, frames), ``lyapunov`` the fitted exponent and its meaning."""

    pk: int
    time_ps: np.ndarray
    difference_A: np.ndarray
    lyapunov: dict[str, Any]


class IonDensity(TypedDict):
    """The density of the mobile ions (nx, ny, nz) in 1/Å³, the other atoms (atoms, 3) and the cell (3, 3) in Å."""

    density: np.ndarray
    framework: np.ndarray
    cell: np.ndarray
    n_frames: int


class AgainstAimd(TypedDict):
    """The potential beside AIMD at one temperature, each by ``Allegro`` and ``AIMD``.

    ``r_A`` holds the middles of the bins of ``rdf``, which is by pair; ``msd`` holds lags in ps and displacements in
    Å².
    """

    r_A: np.ndarray
    rdf: dict[str, dict[str, np.ndarray]]
    msd: dict[str, tuple[np.ndarray, np.ndarray]]


class CrystalCell(TypedDict):
    """A crystal: ``cell`` (3, 3) and ``positions`` (sites, 3) in Å, and the occupancies of each site by species.

    ``rows`` tell what was substituted where when the cell was made; they are empty where nothing was.
    ``volume_change`` is that of the relaxation, relative; None for a cell that was not relaxed.
    """

    cell: Sequence[Sequence[float]]
    positions: Sequence[Sequence[float]]
    sites: Sequence[Mapping[str, float]]
    rows: list[SiteRow]
    volume_change: float | None


class Details(TypedDict, total=False):
    """What only the page shows: ``blocks``, ``density`` and ``aimd`` are by temperature in K, cold to hot."""

    crystal: CrystalCell

    blocks: dict[float, dict[str, Any]]
    density: dict[float, IonDensity]
    aimd: dict[float, AgainstAimd]
    studies: dict[str, list[StoredStudy]]
    twins: list[TwinRuns]
    decisions: list[dict[str, Any]]


@dataclass
class Campaign:
    """What a campaign made. Every field but the first may be empty: a page of half a campaign is still a page."""

    process: dict[str, Any]
    composition: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    conductivities: list[Conductivity] = field(default_factory=list)
    arrhenius: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)
    disorder: dict[str, Any] = field(default_factory=dict)
    error_sources: dict[str, Any] = field(default_factory=dict)
    """What the profile knows of errors beyond the runs, see :mod:`aiida_ionconduct.report.graph.error_sources`."""
    expansion: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The mean cell at each temperature beside the cell at 0 K, by label; empty without `expand`."""
    stages: list[StageRun] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    costs: list[StageCost] = field(default_factory=list)
    speeds: list[MdSpeed] = field(default_factory=list)
    codes: list[dict[str, str]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    details: Details = field(default_factory=Details)
    """Empty unless asked for: only the page shows them, and they take seconds to compute."""

    @property
    def attributes(self) -> list[dict[str, Any]]:
        """Attributes of the conductivities, cold to hot."""
        return [conductivity.attributes for conductivity in self.conductivities]
