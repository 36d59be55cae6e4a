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
    """Write the curves at each temperature: displacements and running conductivities, scan of the estimator, spectrum.

    :param folder: is made.
    :return: the files, three for each temperature; without charges there is no spectrum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for result in data.conductivities:
        kinds: dict[str, dict[str, np.ndarray]] = {'displacements': {}, 'plateau': {}, 'spectrum': {}}
        for name, curve in result.curves.items():
            kinds[next((kind for kind in kinds if name.startswith(f'{kind}_')), 'displacements')][name] = curve
        for kind, curves in kinds.items():
            if not curves:
                continue
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
