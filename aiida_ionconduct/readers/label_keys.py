"""Which of the properties of labelled frames are the energy, the forces and the stress, whatever they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

OTHER = re.compile(r'per_?atom|kin|formation|hull|cohes|adsor|zpe|entrop|uncert|std|var|weight|error|mae|rmse', re.I)
"""What belongs to an energy, a force or a stress without being the label."""
FREE_ENERGY = 'free_energy'


class LabelKeys(NamedTuple):
    """The names of the labels in a file where the user states them."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None


class Label(NamedTuple):
    """A label that is looked for."""

    name: str
    """What it is called in messages, in ASE, and in :class:`LabelKeys`."""
    pattern: re.Pattern[str]
    fits: Callable[[np.ndarray, Atoms], bool]
    """Whether a value has the shape of the label."""


LABELS = {
    'energy': Label('energy', re.compile(r'energ|^(e|e0|etot|toten)$', re.I), lambda value, _: value.size == 1),
    'forces': Label('forces', re.compile(r'force|^f$', re.I), lambda value, frame: value.shape == (len(frame), 3)),
    'stress': Label('stress', re.compile(r'stress|virial', re.I), lambda value, _: value.size in (6, 9)),
}


def properties(frame: Atoms) -> dict[str, Any]:
    """Return all properties of a frame by name: of its calculator, its comment line and its columns."""
    results = frame.calc.results if frame.calc else {}
    return {**frame.arrays, **frame.info, **results}


def value_of(frame: Atoms, name: str) -> np.ndarray | None:
    """Return a property of a frame as an array of numbers, or None if the frame lacks it, or it is no number."""
    try:
        return np.asarray(properties(frame)[name], dtype=float)
    except (KeyError, TypeError, ValueError):
        return None


def find_key(kind: str, frames: Sequence[Atoms], stated: str | None = None, energy_key: str = 'energy') -> str | None:
    """Return the name under which frames state a label, or None if no frame states it.

    The name that the user states is taken. Otherwise the only name that fits is taken, or of several names with equal
    values the standard name. Forces and stress may go with the name of the energy: `REF_forces` with `REF_energy`.

    :param kind: a key of :data:`LABELS`.
    :param stated: the name that the user states.
    :param energy_key: the name of the energy.
    :raises ValueError: if the stated name does not occur, or several names fit.
    """
    label = LABELS[kind]
    names = {name for frame in frames for name in properties(frame)}
    fitting = sorted(name for name in names if label.pattern.search(name) and not OTHER.search(name))
    counts = {
        name: sum(_has(label, frame, name) for frame in frames) for name in {*fitting, *([stated] if stated else [])}
    }
    if stated is not None:
        if not counts[stated]:
            raise ValueError(
                f'no frame has the {kind} under the name `{stated}`; the frames have {", ".join(sorted(names))}: give '
                f'one of these with --{kind}-key.'
            )
        return stated
    most = max(counts.values(), default=0)
    candidates = [name for name, count in counts.items() if count == most and most and name != FREE_ENERGY]
    if not candidates:
        return FREE_ENERGY if counts.get(FREE_ENERGY) else None
    partners = [name for name in candidates if name.lower() in _partners(kind, energy_key)]
    chosen = [name for name in candidates if name == kind] if _all_equal(candidates, frames) else []
    chosen = partners or chosen or candidates
    if len(chosen) > 1 and not _all_equal(chosen, frames):
        examples = ', '.join(f'`{name}` ({_example(frames, name)})' for name in sorted(chosen))
        raise ValueError(f'the frames state more than one {kind}: {examples}. Choose with --{kind}-key.')
    return sorted(chosen, key=lambda name: (name != kind, name))[0]


def _has(label: Label, frame: Atoms, name: str) -> bool:
    """Return whether a frame states a label under a name."""
    value = value_of(frame, name)
    return value is not None and label.fits(value, frame)


def _partners(kind: str, energy_key: str) -> list[str]:
    """Return how forces or stress may be called beside an energy that is not called `energy`, in lower case."""
    if kind == 'energy' or energy_key == 'energy':
        return []
    words = {'forces': ('forces', 'force'), 'stress': ('stress', 'stresses', 'virial', 'virials')}[kind]
    return [re.sub('energy|energies', word, energy_key.lower()) for word in words]


def _all_equal(names: Sequence[str], frames: Sequence[Atoms]) -> bool:
    """Return whether a label has the same values under several names."""
    for frame in frames:
        values = [value_of(frame, name) for name in names]
        first = values[0]
        for value in values[1:]:
            if first is None or value is None or first.shape != value.shape or not np.allclose(first, value, atol=1e-6):
                return False
    return True


def _example(frames: Sequence[Atoms], name: str) -> str:
    """Return the first value of a label in words."""
    values = (value_of(frame, name) for frame in frames)
    value = next((value for value in values if value is not None), None)
    return 'no value' if value is None else f'first {value.ravel()[0]:.6g}'
