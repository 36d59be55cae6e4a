"""What the user says about trajectory files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiida_ionconduct.readers.formats import TrajectoryFormat


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """What the user says about the files; None for what is left to the files.

    :param file_format: the format, else recognised by the first bytes and the name.
    :param types: chemical symbols of the types 1, 2, … of a LAMMPS dump, or of the groups of an old XDATCAR.
    :param structure: file with the symbols and the cell that the trajectory does not state.
    :param wrapped: True if positions are folded into the cell, False if they are unwrapped.
    :param timestep_fs: MD time step in fs.
    :param dt_ps: time between two frames in ps.
    :param nblock: number of MD steps between two frames.
    :param discard_ps: time in ps that is left out at the beginning of every run.
    :param temperature_K: temperature in K.
    """

    file_format: TrajectoryFormat | None = None
    types: Sequence[str] | None = None
    structure: str | Path | None = None
    wrapped: bool | None = None
    timestep_fs: float | None = None
    dt_ps: float | None = None
    nblock: int | None = None
    discard_ps: float = 0.0
    temperature_K: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be.

        :raises ValueError: naming the option.
        """
        for name in ('timestep_fs', 'dt_ps', 'nblock', 'temperature_K'):
            value = getattr(self, name)
            if value is not None and not 0 < value < float('inf'):
                raise ValueError(f'--{name.removesuffix("_K").replace("_", "-")} must be above zero, not {value:g}.')
        if not 0 <= self.discard_ps < float('inf'):
            raise ValueError(f'--discard-ps must not be negative, {self.discard_ps:g} is.')
