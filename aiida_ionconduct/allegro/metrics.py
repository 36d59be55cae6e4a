"""The learning curves of a training, from the CSV file that Lightning writes."""

from __future__ import annotations

import csv
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from aiida_ionconduct.allegro.configuration import MONITORED

Row = dict[str, float]
"""The losses of an epoch, by the names of the columns."""

CURVES = {
    'train_loss': 'train_loss_epoch/weighted_sum',
    'val_energy_mae_eV_per_atom': 'val0_epoch/per_atom_energy_mae',
    'val_forces_mae_eV_per_A': 'val0_epoch/forces_mae',
}
"""Columns of the learning curves, by our names."""
COLUMNS = (*CURVES.values(), MONITORED)


def read_rows(path: pathlib.Path) -> dict[int, Row]:
    """Return the losses of every whole epoch, by epoch."""
    rows: dict[int, Row] = {}
    whole, _, _ = path.read_text().rpartition('\n')  # the last line may have been cut when the job was killed
    for line in csv.DictReader(whole.splitlines()):  # the losses of an epoch stand in several lines
        values = {name: float(value) for name, value in line.items() if value}
        rows.setdefault(int(line['epoch']), {}).update(values)
    return {epoch: row for epoch, row in sorted(rows.items()) if MONITORED in row}


def summarise(rows: Mapping[int, Row]) -> dict[str, Any]:
    """Return the learning curves by epoch and the best epoch.

    :return: ``n_epochs``, ``best_epoch`` and ``curves``. A loss that is not finite, or was not written, is None.
    """
    finite = {epoch: row[MONITORED] for epoch, row in rows.items() if math.isfinite(row[MONITORED])}
    return {
        'n_epochs': len(rows),
        'best_epoch': min(finite, key=finite.__getitem__, default=None),
        'curves': {'epoch': list(rows), **{name: list(map(_finite, curve)) for name, curve in _curves(rows).items()}},
    }


def has_diverged(rows: Mapping[int, Row]) -> bool:
    """Return whether a loss is not finite; a loss that was not written does not count."""
    losses = [loss for curve in _curves(rows).values() for loss in curve if loss is not None]
    return not all(map(math.isfinite, losses))


def _curves(rows: Mapping[int, Row]) -> dict[str, list[float | None]]:
    return {name: [row.get(column) for row in rows.values()] for name, column in CURVES.items()}


def _finite(loss: float | None) -> float | None:
    """Replace a number that JSON cannot hold by None."""
    return loss if loss is not None and math.isfinite(loss) else None
