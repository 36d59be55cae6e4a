"""A grid of settings of a training: from the words of the user to a set of parameters for every combination."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.parameters import nearest_key

MAX_SETTINGS = 200
RESERVED = ('max_epochs', 'schedule_epochs', 'accelerator')
"""What a study sets by itself."""

Grid = dict[str, list[Any]]
"""Values by the key of the parameter."""


def parse_grid(words: Sequence[tuple[str, str]]) -> Grid:
    """Return the values of each key of a grid.

    :param words: pairs of a key and its values, separated by commas: ``('r_max', '4,5,6')``.
    :raises ValueError: for a key that does not exist, with the nearest key that does, a value that the key cannot have,
        a key or a value that is given twice, and more than :data:`MAX_SETTINGS` combinations.
    """
    if not words:
        raise ValueError(
            'the grid is empty: give --grid with keys of the training, such as --grid r_max=4,5 l_max=1,2.'
        )
    known = [key for key in TrainingParameters.model_fields if key not in RESERVED]
    grid: Grid = {}
    for key, text in words:
        if key in RESERVED:
            raise ValueError(f'{key} cannot be in the grid: the study sets it, see --epochs and the protocol.')
        if key not in known:
            raise ValueError(f'unknown key `{key}` in the grid: {nearest_key(key, known)}')
        if key in grid:
            raise ValueError(f'{key} is given twice: put all its values into {key}={",".join(map(str, grid[key]))},….')
        grid[key] = [_value(key, word.strip()) for word in text.split(',')]
        if len(set(map(str, grid[key]))) < len(grid[key]):
            raise ValueError(f'the values of {key} in the grid, {text}, are not all different.')
    n_settings = math.prod(map(len, grid.values()))
    if n_settings > MAX_SETTINGS:
        counts = ' × '.join(f'{len(values)} {key}' for key, values in grid.items())
        raise ValueError(
            f'the grid has {n_settings} settings ({counts}), and at most {MAX_SETTINGS} are tried: take fewer values.'
        )
    return grid


def combinations(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Return the settings of every combination by label: ``model_001`` and so on."""
    rows = itertools.product(*grid.values())
    return {f'model_{number:03d}': dict(zip(grid, row, strict=True)) for number, row in enumerate(rows, start=1)}


def _value(key: str, word: str) -> Any:
    """Return a value of a key from a word.

    :raises ParameterError: if the key cannot have it.
    """
    value = yaml.safe_load(word) if word else None
    if isinstance(value, str):  # YAML takes 1e-3 for a text
        try:
            value = float(value)
        except ValueError:
            value = word
    return getattr(TrainingParameters.check({key: value}), key)
