"""What a file states, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from aiida_ionconduct.readers.trajectory import Assumption

Wrapping = Literal['unwrapped', 'wrapped', 'unknown']
CUT = 'the file ends within a frame, which was left out.'
PACKED_CUT = 'the packed file is cut or damaged: the whole frames before that were read.'


@dataclass(kw_only=True)
class Clock:
    """Numbers of the frames that grow with time, (frames,).

    ``unit_ps`` is the time in ps of a difference of one, None if the file does not tell; ``is_step`` if the numbers
    count MD steps, ``is_count`` if they may count the frames as well (XDATCAR).
    """

    name: str
    values: np.ndarray
    unit_ps: float | None = None
    is_step: bool = False
    is_count: bool = False


@dataclass(kw_only=True)
class Frames:
    """The frames of a file.

    ``positions`` are (frames, atoms, 3) in Å; ``cells`` (3, 3) or (frames, 3, 3) in Å, vectors as rows; ``words`` name
    the species of each atom and ``types`` are the words of its LAMMPS type, both as they stand in the file; ``symbols``
    follow from them. ``charges`` are (atoms,) in e, ``masses`` (atoms,) in u. ``by_id`` is the column by which atoms
    were sorted, ``fractional`` tells whether the positions wait for a cell, ``unit`` is the unit that the positions had
    and its length in Å.
    """

    path: Path
    positions: np.ndarray
    cells: np.ndarray | None = None
    wrapping: Wrapping = 'unknown'
    wrapping_source: str = 'the format does not tell'
    fractional: bool = False
    unit: tuple[str, float] | None = None
    by_id: str | None = None
    words: list[str] | None = None
    words_source: str = ''
    types: list[str] | None = None
    symbols: list[str] | None = None
    clocks: list[Clock] = field(default_factory=list)
    dt_ps: float | None = None
    dt_source: str = ''
    temperature_K: float | None = None
    charges: np.ndarray | None = None
    masses: np.ndarray | None = None
    paths: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    assumptions: list[Assumption] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin the list of files."""
        self.paths = self.paths or [self.path]

    def cell_of(self, frame: int) -> np.ndarray | None:
        """Return the cell of a frame, (3, 3) in Å."""
        return self.cells if self.cells is None or self.cells.ndim == 2 else self.cells[frame]

    def keep(self, chosen: np.ndarray | slice) -> None:
        """Keep only some frames.

        :param chosen: a slice, or (frames,), whether each frame is kept.
        """
        self.positions = self.positions[chosen]
        if self.cells is not None and self.cells.ndim == 3:
            self.cells = self.cells[chosen]
        for clock in self.clocks:
            clock.values = clock.values[chosen]

    def mean_cell(self) -> np.ndarray | None:
        """Return the mean cell over all frames, (3, 3) in Å."""
        if self.cells is None or self.cells.ndim == 2:
            return self.cells
        mean: np.ndarray = self.cells.mean(axis=0)
        return mean

    def steps(self) -> np.ndarray | None:
        """Return the numbers of the MD steps, (frames,), None if the file has none."""
        return next((clock.values for clock in self.clocks if clock.is_step), None)
