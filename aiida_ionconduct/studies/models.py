"""Which settings of a potential are worth their cost: force error against time, and what each setting contributes.

Trainings by successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): all settings are trained for a few
epochs, and a part of them goes on. Ranked by the error alone, every small and fast model would be stopped, because the
large models have the least errors; but the question is which model is the fastest that suffices. Settings are therefore
ranked by error and time: first those of the Pareto front, then the front of the rest, and so on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

CRITERION = re.compile(r'\s*forces\s*<\s*(?P<number>[^\s<a-zA-Z]+(?:e[+-]?\d+)?)\s*(?P<unit>m?eV/(?:A|Å))\s*')
UNITS = {'meV/A': 1e-3, 'eV/A': 1.0}
EXAMPLE = 'forces<50meV/A'


class Point(NamedTuple):
    """What a setting is judged by: smaller is better in both."""

    error: float
    """The force error, in eV/Å."""
    time: float
    """The time of the dynamics, in µs per atom and step."""


def pareto_front(points: Mapping[str, Point]) -> list[str]:
    """Return the labels of the points that no other point beats, the fastest first.

    A point beats another if it is not worse in error and time, and better in one of them.
    """
    front: list[str] = []
    least = math.inf
    for label, point in sorted(points.items(), key=lambda item: (item[1].time, item[1].error, item[0])):
        equal = bool(front) and points[front[-1]] == point
        if point.error < least or equal:
            front.append(label)
            least = point.error
    return front


def survivors(points: Mapping[str, Point], n_kept: int) -> list[str]:
    """Return the labels of the settings that go on, the best first.

    Pareto front after Pareto front is taken. Of the front that does not fit as a whole, the settings with the least
    errors are taken.

    :param points: of the settings whose training and run have ended well.
    :param n_kept: number of settings that go on.
    """
    left, kept = dict(points), list[str]()
    while left and len(kept) < n_kept:
        front = sorted(pareto_front(left), key=lambda label: (left[label].error, left[label].time, label))
        kept += front[: n_kept - len(kept)]
        for label in front:
            del left[label]
    return kept


def n_surviving(n_settings: int, keep: float) -> int:
    """Return how many of some settings go on: a fraction, rounded up, of what there is at least one."""
    return min(n_settings, max(1, math.ceil(n_settings * keep - 1e-9)))


def rung_sizes(n_settings: int, epochs: Sequence[int], keep: float) -> list[int]:
    """Return how many settings are trained on every rung, if no training fails."""
    sizes = [n_settings]
    for _ in epochs[1:]:
        sizes.append(n_surviving(sizes[-1], keep))
    return sizes


def main_effects(settings: Mapping[str, Mapping[str, Any]], values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return by how much every value of every setting changes a quantity, on average over the other settings.

    The quantity is fitted by least squares to a sum of contributions, one for each setting, which are zero on average
    over the values of the setting. On a full grid these are the means over all models with the value, less the mean
    over all models. If models are missing, the fit takes account of what they had in common.

    :param settings: by label, the settings of each model.
    :param values: the quantity by label; models without it are left out.
    :return: by key and by value as text, in the unit of the quantity; keys with a single value are left out.
    """
    known = [label for label in settings if label in values]
    columns: list[tuple[str, str]] = []
    for key in _keys(settings):
        levels = list(dict.fromkeys(level_name(settings[label][key]) for label in known))
        columns += [(key, level) for level in levels] if len(levels) > 1 else []
    if not columns:
        return {}
    design = np.array(
        [[1.0] + [float(level_name(settings[label][key]) == level) for key, level in columns] for label in known]
    )
    keys = list(dict.fromkeys(key for key, _ in columns))
    sums = np.array([[0.0] + [float(key == other) for other, _ in columns] for key in keys])
    target = np.array([values[label] for label in known] + [0.0] * len(keys))
    # The rows of the sums can be met exactly, so their weight does not change the fit of a design of full rank.
    solution = np.linalg.lstsq(np.vstack([design, sums]), target, rcond=None)[0]
    effects: dict[str, dict[str, float]] = {}
    for (key, level), effect in zip(columns, solution[1:], strict=True):
        effects.setdefault(key, {})[level] = float(effect)
    return effects


def level_name(value: Any) -> str:
    """Return a value of a setting as text: ``4`` for 4.0."""
    return f'{value:g}' if isinstance(value, float) else str(value)


def spread(effects: Mapping[str, float]) -> float:
    """Return the largest less the smallest effect of the values of a setting."""
    return max(effects.values()) - min(effects.values())


def force_limit(criterion: str) -> float:
    """Return the limit of a criterion such as ``forces<50meV/A``, in eV/Å.

    :raises ValueError: for anything else.
    """
    match = CRITERION.fullmatch(criterion)
    try:
        limit = float(match['number']) * UNITS[match['unit'].replace('Å', 'A')] if match else math.nan
    except ValueError:
        limit = math.nan
    if not (limit > 0 and math.isfinite(limit)):
        raise ValueError(
            f'the criterion `{criterion}` is not understood: give the largest force error in meV/A or eV/A, such as '
            f'--choose "{EXAMPLE}".'
        )
    return limit


def fastest_that_suffices(points: Mapping[str, Point], limit: float) -> str:
    """Return the label of the fastest setting with a force error below a limit.

    :param limit: in eV/Å.
    :raises ValueError: if there is none, with the least error of all.
    """
    enough = {label: point for label, point in points.items() if point.error < limit}
    if enough:
        return min(enough, key=lambda label: (enough[label].time, enough[label].error, label))
    if not points:
        raise ValueError('no setting has both a force error and a time: see the reasons in the table.')
    best = min(points, key=lambda label: points[label].error)
    raise ValueError(
        f'no setting has a force error below {1000 * limit:.3g} meV/A: the least is {1000 * points[best].error:.3g} '
        f'meV/A ({best}). Raise the limit, train for more epochs (--epochs), or add frames.'
    )


def _keys(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the keys of all settings, in the order in which they occur."""
    return list(dict.fromkeys(key for values in settings.values() for key in values))
