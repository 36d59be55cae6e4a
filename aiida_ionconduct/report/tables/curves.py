"""The curves of a result as CSV files."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from aiida_ionconduct.report.result import Campaign

UNITS = {'msd': 'A2', 'charge_msd': 'e2A2', 'running_sigma': 'S_per_cm', 'plateau_sigma': 'S_per_cm'}
"""The unit of the curves whose names begin so."""


def write_curves(data: Campaign, folder: Path) -> list[Path]:
    """Write the curves at each temperature: displacements and running conductivities, and the scan of the estimator.

    :param folder: is made.
    :return: the files, two for each temperature.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for result in data.conductivities:
        scan = {name: curve for name, curve in result.curves.items() if name.startswith('plateau_')}
        lags = {name: curve for name, curve in result.curves.items() if name not in scan}
        for kind, curves in (('displacements', lags), ('plateau', scan)):
            path = folder / f'{kind}_{result.temperature_K:g}K.csv'
            _write(path, curves)
            written.append(path)
    return written


def _write(path: Path, curves: Mapping[str, np.ndarray]) -> None:
    """Write curves as columns."""
    with path.open('w', newline='', encoding='utf-8') as stream:
        writer = csv.writer(stream, lineterminator='\n')
        writer.writerow([header(name) for name in curves])
        writer.writerows(itertools.zip_longest(*(curve.tolist() for curve in curves.values()), fillvalue=''))


def header(name: str) -> str:
    """Return the name of a curve with its unit at the end, also that of a standard error."""
    unit = next((unit for begin, unit in UNITS.items() if name.startswith(begin)), '')
    return name if not unit or name.endswith(f'_{unit}') else f'{name}_{unit}'
