"""What a training costs, from its parameters: an estimate that tells a minute from a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Core seconds on one core of a 2023 server, for 48 scalar features, l_max 2, one layer and a cutoff of 4.5 Å.
TRAINING_ATOM_EPOCH_S = 4e-4
MD_ATOM_STEP_S = 1.5e-4
COMPILE_S = 30.0
SMALLEST_SIZE = 0.2
"""The least relative size: a small model does not become faster without limit."""


def relative_size(parameters: Mapping[str, Any]) -> float:
    """Return the cost of an epoch relative to the model of the quickstart: it grows with features and neighbours.

    :param parameters: all of :class:`~aiida_ionconduct.allegro.parameters.TrainingParameters`, by name.
    """
    p = parameters
    size = p['num_scalar_features'] / 48 * (p['l_max'] / 2) ** 2 * p['num_layers'] * (p['r_max'] / 4.5) ** 3
    return float(max(size, SMALLEST_SIZE))


def training_seconds(parameters: Mapping[str, Any], n_atoms: float, n_epochs: int) -> float:
    """Return the core seconds of the epochs of a training.

    :param parameters: as for :func:`relative_size`.
    :param n_atoms: atoms of all frames together.
    """
    return n_epochs * n_atoms * TRAINING_ATOM_EPOCH_S * relative_size(parameters)
