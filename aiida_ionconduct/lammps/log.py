"""Readers of the text files that a run of the script of :mod:`~aiida_ionconduct.lammps.script` writes."""

from __future__ import annotations

import functools
import itertools
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.labels import printable
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import PRODUCTION, STAGE_MARK, thermo_columns

WALLTIME_MARK = 'Wall time limit reached'
LINES_AT_ONCE = 2000
"""Lines of the centres of mass that are taken apart at a time, about 100 kB of text."""
EXPLOSIONS = re.compile(
    'Fix halt condition|Lost atoms|Non-numeric|Bond atoms missing|Atom .* is out of range|no two atoms are within'
)
"""What LAMMPS says of a run that has exploded: the temperature limit of our script, its own checks, the pair style."""


class LogStage(NamedTuple):
    """What a log tells of one ``run`` command."""

    name: str
    """``equilibration`` or ``production``."""

    thermo: np.ndarray
    """Shape (rows, columns), as printed; see :func:`replica_thermo`."""

    loop_time_s: float | None
    """Wall time of the run; ``None`` when it did not come to its end."""

    n_steps: int | None
    cpu_use_percent: float | None = None
    """Processor time over wall time of the run, in percent: the mean over the processes, each with all its threads."""


class Log(NamedTuple):
    """What a log tells of a LAMMPS process."""

    version: str | None
    """The date of the LAMMPS release; None when the log ends before it."""

    stages: list[LogStage]
    errors: list[str]
    """Lines that begin with ``ERROR``."""

    out_of_walltime: bool
    complete: bool
    """LAMMPS came to the end of its script without an error."""

    peak_memory_MB: float | None = None
    """Largest resident memory of the first process; None where the script does not ask for it."""

    @property
    def production(self) -> LogStage | None:
        """The production run, if it was started."""
        return next((stage for stage in self.stages if stage.name == PRODUCTION), None)


def read_log(text: str) -> Log:
    """Read a log, complete or not; a last line that LAMMPS was writing when it was killed is left out.

    :param text: contents of the log file.
    """
    text = text[: text.rfind('\n') + 1]
    version = re.search(r'^LAMMPS \((.+?)\)', text, flags=re.MULTILINE)
    memory = re.search(r'^Maximum resident set size: (\S+) Mbyte', text, flags=re.MULTILINE)
    errors = [printable(line) for line in re.findall(r'^ERROR.*', text, flags=re.MULTILINE)]
    parts = re.split(rf'^{STAGE_MARK} (\w+)$', text, flags=re.MULTILINE)[1:]
    stages = [_read_stage(name, part) for name, part in zip(parts[::2], parts[1::2], strict=True)]
    return Log(
        version=version.group(1) if version else None,
        stages=stages,
        errors=errors,
        out_of_walltime=WALLTIME_MARK in text,
        complete='Total wall time:' in text and not errors,
        peak_memory_MB=float(memory.group(1)) if memory else None,
    )


def _read_stage(name: str, text: str) -> LogStage:
    """Read the part of a log that belongs to one run; lines between the rows, such as warnings, are left out.

    :param name: name of the stage.
    :param text: the log from the mark of the stage on.
    """
    header = re.search(r'^\s*Step\s.*\n', text, flags=re.MULTILINE)
    rows: list[list[float]] = []
    loop = re.search(r'^Loop time of (\S+) on \d+ procs for (\d+) steps', text, flags=re.MULTILINE)
    use = re.search(r'^([\d.]+)% CPU use with ', text, flags=re.MULTILINE)
    columns = len(header.group().split()) if header else 0
    for line in text[header.end() if header else len(text) : loop.start() if loop else len(text)].splitlines():
        try:
            row = [float(entry) for entry in line.split()]
        except ValueError:
            continue
        if len(row) == columns:
            rows.append(row)
    return LogStage(
        name,
        np.array(rows, dtype=float).reshape(len(rows), columns),
        float(loop.group(1)) if loop else None,
        int(loop.group(2)) if loop else None,
        float(use.group(1)) if use else None,
    )


def replica_thermo(table: np.ndarray, n_replicas: int) -> np.ndarray:
    """Return the thermodynamic table of every replica.

    :param table: shape (rows, columns): the step, then the columns of one replica after the other.
    :return: shape (replicas, rows, columns), the step first; columns as
        :func:`~aiida_ionconduct.lammps.script.thermo_columns` names them.
    """
    steps = np.broadcast_to(table[None, :, :1], (n_replicas, len(table), 1))
    own = table[:, 1:].reshape(len(table), n_replicas, (table.shape[1] - 1) // n_replicas).swapaxes(0, 1)
    return np.concatenate([steps, own], axis=2)


def read_centres_of_mass(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the output of ``fix ave/time … mode vector``, up to the first block that is not whole.

    The file of a long run of many replicas has hundreds of megabytes, so a few blocks at a time are read.

    :return: steps, shape (n,), and unwrapped centres of mass in Å, shape (n, rows of a block, 3).
    :raises ValueError: if there is no whole block.
    """
    with path.open('rb') as file:
        n_lines = sum(part.count(b'\n') for part in iter(functools.partial(file.read, 2**20), b''))
        file.seek(0)
        lines: Iterator[bytes] = (line for line in file if line.endswith(b'\n') and not line.startswith(b'#'))
        first = next(lines, b'')
        if not first:
            raise ValueError('the file of the centres of mass ends before its first block.')
        n_rows = int(first.split()[1])
        lines = itertools.chain([first], lines)
        length, size = 1 + n_rows, 2 + 4 * n_rows
        steps = np.empty(n_lines // length, dtype=int)
        centres = np.empty((len(steps), n_rows, 3))
        n_blocks, at_once = 0, -(-LINES_AT_ONCE // length)
        while numbers := b''.join(itertools.islice(lines, at_once * length)).split():
            blocks = np.array(numbers[: len(numbers) // size * size], dtype=float).reshape(-1, size)
            whole = (blocks[:, 1] == n_rows) & (blocks[:, 2::4] == np.arange(1, n_rows + 1)).all(axis=1)
            n_whole = len(blocks) if whole.all() else int(np.argmin(whole))
            damaged, blocks = n_whole < len(blocks), blocks[:n_whole]
            part = slice(n_blocks, n_blocks + len(blocks))
            steps[part], centres[part] = blocks[:, 0], blocks[:, 2:].reshape(-1, n_rows, 4)[:, :, 1:]
            n_blocks += n_whole
            if damaged:
                break
    if not n_blocks:
        raise ValueError('the file of the centres of mass ends within its first block.')
    return steps[:n_blocks], centres[:n_blocks]


def find_explosion(log: Log, run: MdParameters, n_atoms: int) -> str | None:
    """Return how a run exploded, or None for a run that did not.

    A run has exploded when LAMMPS says so, when energies are not finite, or when the temperature or the total energy
    has run away.

    :param log: the log of a run, which may still be running.
    :param n_atoms: atoms of one replica.
    """
    for error in log.errors:
        if EXPLOSIONS.search(error):
            return error
    columns = thermo_columns(run)
    for stage in log.stages:
        if not len(stage.thermo):
            continue
        for seed, table in zip(run.seeds, replica_thermo(stage.thermo, len(run.seeds)), strict=True):
            thermo = dict(zip(columns, table.T, strict=True))
            total = thermo['total_energy_eV'] / n_atoms
            checks = {'energies are not finite': ~np.isfinite(table).all(axis=1)}
            checks['the temperature ran away'] = thermo['temperature_K'] > run.explosion_temperature_K
            if stage.name == PRODUCTION:
                checks['the total energy ran away'] = abs(total - total[0]) > run.explosion_energy_eV
            for detail, bad in checks.items():
                if bad.any():
                    return f'{detail} at step {thermo["step"][bad.argmax()]:.0f} of the {stage.name} (seed {seed})'
    return None
