"""What every reader returns, and what all readers need: unwrapping, and the time between frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.readers._text import unwrap_frames

LONGEST_STEP = 0.4
"""In cell vectors: the direction of a longer step between two wrapped frames is ambiguous."""
INSIDE = 1e-6
"""How far outside the cell, in cell vectors, rounding may put a wrapped atom."""


class Assumption(NamedTuple):
    """Something that the analysis rests on, and where it is known from; three texts, as they are printed."""

    subject: str
    value: str
    source: str


@dataclass
class Trajectory:
    """Frames of one run.

    ``positions`` are unwrapped, (frames, atoms, 3) in Å; ``cell`` is the mean cell, (3, 3), vectors as rows. What the
    file does not state is None. ``steps`` are the numbers of the MD steps and ``times_ps`` the times of the frames.
    ``notes`` say what was done to the data that the user should know.

    ``dt_ps`` is the time between two frames in ps; ``charges`` are in e and ``masses`` in u, (atoms,); ``paths`` are the
    files that the run was joined from; ``assumptions`` say what the numbers rest on.
    """

    positions: np.ndarray
    symbols: list[str] | None = None
    cell: np.ndarray | None = None
    steps: np.ndarray | None = None
    times_ps: np.ndarray | None = None
    temperature_K: float | None = None
    notes: list[str] = field(default_factory=list)
    dt_ps: float | None = None
    charges: np.ndarray | None = None
    masses: np.ndarray | None = None
    paths: list[Path] = field(default_factory=list)
    assumptions: list[Assumption] = field(default_factory=list)

    def interval_ps(self, timestep_fs: float | None = None) -> float | None:
        """Return the time between two frames in ps, from their times or from their steps; None if neither is known.

        :param timestep_fs: MD time step, to turn steps into times.
        :raises ValueError: if the frames are not equally spaced.
        """
        if self.times_ps is not None:
            times = self.times_ps
        elif self.steps is not None and timestep_fs is not None:
            times = self.steps * timestep_fs / 1000
        else:
            return None
        gaps = np.diff(times)
        if not len(gaps):
            return None
        wrong = ~(np.abs(gaps - gaps[0]) <= 1e-6 * abs(gaps[0]) + 1e-9)
        if wrong.any() or gaps[0] <= 0:
            frame = int(np.argmax(wrong))
            raise ValueError(
                f'the frames are not equally spaced in time: {gaps[0]:g} ps at first, {gaps[frame]:g} ps after frame '
                f'{frame}. Write each frame once, at a constant interval.'
            )
        return float((times[-1] - times[0]) / len(gaps))


def unwrap(positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return positions without the jumps at the borders of the cell: every atom takes the shortest way.

    :param positions: (frames, atoms, 3), Å; changed in place if they are a contiguous array of float64.
    :param cells: (3, 3), or one for each frame, vectors as rows.
    :return: (frames, atoms, 3), Å.
    :raises ValueError: if a step is so long that its direction is ambiguous.
    """
    positions = np.require(positions, float, ('C', 'W'))
    boxes = np.ascontiguousarray(np.reshape(cells, (-1, 3, 3)), dtype=float)
    last, images = np.empty(positions.shape[1:]), np.zeros(positions.shape[1:])
    longest = np.zeros((len(positions), 2))
    unwrap_frames(positions, boxes, np.ascontiguousarray(np.linalg.inv(boxes)), last, images, longest)
    frame = int(np.argmax(longest[:, 0]))
    if longest[frame, 0] > LONGEST_STEP:
        atom, axis = divmod(int(longest[frame, 1]), 3)
        raise ValueError(
            f'between frames {frame - 1} and {frame}, atom {atom} moves by {longest[frame, 0]:.2f} of cell vector '
            f'{"abc"[axis]}: in wrapped coordinates the direction of so long a step is ambiguous. Write frames more '
            'often, or unwrapped (xu yu zu or ix iy iz in a LAMMPS dump).'
        )
    return positions


def unwrap_if_inside(positions: np.ndarray, cells: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return positions unwrapped if all of them lie in the cell, and unchanged otherwise.

    :param positions: (frames, atoms, 3), Å.
    :param cells: (3, 3), or one for each frame, vectors as rows.
    :param notes: a note is appended if the positions are unwrapped.
    :raises ValueError: as :func:`unwrap`.
    """
    fractional = positions @ np.linalg.inv(cells)
    if fractional.min() < -INSIDE or fractional.max() > 1 + INSIDE:
        return positions
    notes.append('all positions lie in the cell: they were taken as wrapped, and unwrapped.')
    return unwrap(positions, cells)
