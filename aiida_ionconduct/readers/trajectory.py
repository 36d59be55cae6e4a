"""What reading a file gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


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

    ``dt_ps`` is the time between two frames in ps; ``charges`` are in e and ``masses`` in u, (atoms,); ``paths`` are
    the files that the run was joined from; ``assumptions`` say what the numbers rest on.
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
