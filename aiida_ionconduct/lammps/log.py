"""Readers of the text files that a run of the script of :mod:`~aiida_ionconduct.lammps.script` writes."""

from __future__ import annotations

import io
import re
from typing import NamedTuple

import numpy as np

from .script import STAGE_MARK

WALLTIME_MARK = 'Wall time limit reached'


class Stage(NamedTuple):
    """One ``run`` command."""

    name: str
    """``equilibration`` or ``production``."""

    thermo: np.ndarray
    """Shape (rows, columns), the columns those of :data:`~aiida_ionconduct.lammps.script.THERMO`."""

    loop_time_s: float | None
    """Wall time of the run; ``None`` when it did not come to its end."""

    n_steps: int | None


class Log(NamedTuple):
    """What a log tells."""

    version: str | None
    stages: list[Stage]
    errors: list[str]
    out_of_walltime: bool
    complete: bool
    """LAMMPS came to the end of its script."""

    @property
    def production(self) -> Stage | None:
        """The production run, if it was started."""
        return next((stage for stage in self.stages if stage.name == 'production'), None)


def read_log(text: str) -> Log:
    """Read a log, be it complete or not; a line that was being written when LAMMPS was killed is left out.

    :param text: contents of the log file.
    """
    text = text[: text.rfind('\n') + 1]
    version = re.search(r'^LAMMPS \((.+?)\)', text, flags=re.MULTILINE)
    errors = re.findall(r'^ERROR.*', text, flags=re.MULTILINE)
    parts = re.split(rf'^{STAGE_MARK} (\w+)$', text, flags=re.MULTILINE)[1:]
    stages = [read_stage(name, part) for name, part in zip(parts[::2], parts[1::2], strict=True)]
    return Log(
        version and version.group(1), stages, errors, WALLTIME_MARK in text, 'Total wall time:' in text and not errors
    )


def read_stage(name: str, text: str) -> Stage:
    """Read the part of a log that belongs to one run; lines between the rows, such as warnings, are passed over.

    :param name: name of the stage.
    :param text: from the mark of the stage on.
    """
    header = re.search(r'^\s*Step\s.*\n', text, flags=re.MULTILINE)
    rows: list[list[float]] = []
    loop = re.search(r'^Loop time of (\S+) on \d+ procs for (\d+) steps', text, flags=re.MULTILINE)
    columns = len(header.group().split()) if header else 0
    for line in text[header.end() if header else len(text) : loop.start() if loop else len(text)].splitlines():
        try:
            row = [float(entry) for entry in line.split()]
        except ValueError:
            continue
        if len(row) == columns:
            rows.append(row)
    return Stage(
        name,
        np.array(rows, dtype=float).reshape(len(rows), columns),
        float(loop.group(1)) if loop else None,
        int(loop.group(2)) if loop else None,
    )


def read_centres_of_mass(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the output of ``fix ave/time``, up to its last whole line.

    :param text: contents of the file.
    :return: steps, shape (n,), and unwrapped centres of mass in Å, shape (n, species, 3).
    """
    table = np.loadtxt(io.StringIO(text[: text.rfind('\n') + 1]), comments='#', ndmin=2)
    return table[:, 0].astype(int), table[:, 1:].reshape(len(table), -1, 3)
