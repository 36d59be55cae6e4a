"""Whether positions are folded into the cell, and unwrapping them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aiida_ionconduct.readers._text import survey_frames, unwrap_frames
from aiida_ionconduct.readers.frames import Frames
from aiida_ionconduct.readers.trajectory import Assumption

HAIR = 1e-3
"""How far beyond a window of one cell vector rounding may put a wrapped atom, in cell vectors."""
LOOSE = 1.6
"""In cell vectors, the widest range of positions that are folded now and then only, or molecule by molecule."""
RISK_NOTED, RISK_REFUSED = 0.01, 0.05
"""Shares of the mean-squared step of a species that unwrapping may lose."""


class Survey(NamedTuple):
    """Of all frames: the ranges of the fractional positions (3,), jumps beyond half a cell, and near whole cells."""

    ranges: np.ndarray
    jumps: int
    whole: int


def _boxes(cells: np.ndarray) -> np.ndarray:
    """Return the cells as (1 or frames, 3, 3)."""
    return np.ascontiguousarray(np.reshape(cells, (-1, 3, 3)), dtype=float)


def survey(positions: np.ndarray, cells: np.ndarray, name: str) -> Survey:
    """Look at where the positions are.

    :param positions: (frames, atoms, 3), Å.
    :param cells: (3, 3) or (frames, 3, 3), Å.
    :raises ValueError: if a position is not finite.
    """
    ranges, jumps = np.empty((len(positions), 2, 3)), np.zeros((len(positions), 3), dtype=np.int64)
    positions = np.ascontiguousarray(positions, dtype=float)
    survey_frames(positions, np.ascontiguousarray(np.linalg.inv(_boxes(cells))), ranges, jumps)
    if jumps[:, 2].any():
        raise ValueError(f'frame {int(np.argmax(jumps[:, 2] > 0))} of `{name}` has a position that is not a number.')
    width = ranges[:, 1].max(axis=0) - ranges[:, 0].min(axis=0)
    return Survey(width, int(jumps[:, 0].sum()), int(jumps[:, 1].sum()))


def unwrap(
    positions: np.ndarray,
    cells: np.ndarray,
    symbols: list[str] | None = None,
    dt_ps: float | None = None,
    *,
    notes: list[str] | None = None,
) -> np.ndarray:
    """Return positions without the jumps at the borders of the cell: every atom takes the shortest way.

    How much of the motion is lost where two steps in sequence would be folded tells how much of it is lost in single
    steps: hops that come at random, two of them between two frames, grow with the square of the time.

    :param positions: (frames, atoms, 3), Å; changed in place if they are a contiguous array of float64.
    :param cells: (3, 3), or one for each frame, vectors as rows.
    :param symbols: of the atoms, as the steps of each species are looked at.
    :param dt_ps: time between two frames in ps, for the message.
    :param notes: a note is appended if the steps are long.
    :return: (frames, atoms, 3), Å.
    :raises ValueError: if steps are so long that their direction is ambiguous.
    """
    positions = np.require(positions, float, ('C', 'W'))
    boxes = _boxes(cells)
    shape = positions.shape[1:]
    names, groups = np.unique(symbols or ['atoms'] * shape[0], return_inverse=True)
    longest, sums = np.zeros((len(positions), 2)), np.zeros((len(names), 3, 3))
    inverses = np.ascontiguousarray(np.linalg.inv(boxes))
    unwrap_frames(
        positions,
        boxes,
        inverses,
        np.empty(shape),
        np.zeros(shape),
        longest,
        groups.astype(np.intp),
        np.zeros(shape),
        sums,
    )
    # Two steps lose four times as often as one.
    risks = sums[:, :, 1] / 4 / np.maximum(sums[:, :, 0], 1e-300)
    group, _ = np.unravel_index(int(np.argmax(risks)), risks.shape)
    risk = float(risks.max())
    every = '' if dt_ps is None else f' (every {dt_ps * min(0.5, 0.4 * RISK_NOTED / max(risk, 1e-9)):.2g} ps)'
    advice = (
        f'Write frames more often{every}, or unwrapped (xu yu zu or ix iy iz in a LAMMPS dump); if the positions are '
        'unwrapped already, give --unwrapped.'
    )
    if risk > RISK_REFUSED:
        raise ValueError(
            f'the positions are wrapped and the frames too far apart to unwrap them: atoms of {names[group]} move '
            f'so far between two frames that about {100 * risk:.0f} % of the mean-squared displacement would be lost. '
            f'{advice}'
        )
    ambiguous = sums[:, :, 2] / np.maximum(sums[:, :, 0], 1e-300)
    frame = int(np.argmax(longest[:, 0]))
    if ambiguous.max() > RISK_REFUSED:
        atom, axis = divmod(int(longest[frame, 1]), 3)
        raise ValueError(
            f'between frames {frame - 1} and {frame}, atom {atom} moves by {longest[frame, 0]:.2f} of cell vector '
            f'{"abc"[axis]}: in wrapped coordinates the direction of so long a step is ambiguous. {advice}'
        )
    risk = max(risk, float(ambiguous.max()))
    if risk > RISK_NOTED and notes is not None:
        notes.append(
            f'WARNING: the positions are wrapped, and atoms of {names[group]} move so far between two frames '
            f'that about {100 * risk:.1f} % of their mean-squared displacement may be lost. {advice}'
        )
    return positions


def remove_wrapping(frames: Frames, wrapped: bool | None, dt_ps: float | None = None) -> None:
    """Unwrap the positions where they are folded into the cell, and note by what that is known.

    :param wrapped: what the user says, None if nothing.
    :param dt_ps: time between two frames in ps, for messages.
    :raises ValueError: as :func:`unwrap`, or if the positions may be wrapped and may be unwrapped.
    """
    name = str(frames.path)
    if frames.cells is None:
        if wrapped or frames.fractional:
            raise ValueError(f'`{name}` states no cell to unwrap its positions: give --structure FILE.')
        if not np.isfinite(frames.positions).all():
            raise ValueError(f'`{name}` has a position that is not a number.')
        frames.assumptions.append(Assumption('wrapping', 'unwrapped', 'no cell is known'))
        return
    if frames.fractional:
        frames.positions, frames.fractional = frames.positions @ frames.cells, False
    where = survey(frames.positions, frames.cells, name)
    folded, source = _is_folded(frames, where, wrapped)
    value = 'wrapped, every atom unwrapped the shortest way' if folded else 'unwrapped'
    frames.assumptions.append(Assumption('wrapping', value, source))
    if not folded:
        return
    if wrapped is None and frames.wrapping == 'wrapped':
        frames.notes.append(
            'the dump has neither unwrapped coordinates nor image flags: every atom was unwrapped the shortest way.'
        )
    elif wrapped is None and frames.wrapping_source != 'XDATCAR':
        frames.notes.append(f'{source}: they were taken as wrapped, and unwrapped.')
    frames.positions = unwrap(frames.positions, frames.cells, frames.symbols, dt_ps, notes=frames.notes)


def _is_folded(frames: Frames, where: Survey, wrapped: bool | None) -> tuple[bool, str]:
    """Return whether positions are folded into the cell, and by what that is known.

    :raises ValueError: if they may be and may not be.
    """
    inside, loose = (where.ranges <= 1 + HAIR).all(), (where.ranges <= LOOSE).all()
    if wrapped is not None:
        return wrapped, '--wrapped' if wrapped else '--unwrapped'
    if frames.wrapping == 'unwrapped':
        if inside and where.whole:
            frames.notes.append(
                f'WARNING: {frames.wrapping_source} say that the positions are unwrapped, but they all lie in one cell '
                'and jump by whole cell vectors. Give --wrapped if they are wrapped.'
            )
        return False, frames.wrapping_source
    if inside:
        return True, 'all positions lie in the cell'
    if not where.jumps:  # then unwrapping would change nothing
        return False, 'positions leave the cell, and none jumps by half of it'
    if loose and where.whole > 0.5 * where.jumps:
        return True, 'the positions lie about the cell and jump by whole cell vectors'
    if where.whole > 0.9 * where.jumps:
        raise ValueError(
            f'the positions in `{frames.path}` leave the cell, but also jump by whole cell vectors: give --wrapped if '
            'they are folded into the cell, --unwrapped if not.'
        )
    return False, 'positions leave the cell'
