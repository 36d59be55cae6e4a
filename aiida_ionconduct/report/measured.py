"""Measured conductivities from a CSV file, and the campaigns that computed the same composition."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

COLUMNS = ('material', 'temperature_K', 'sigma_S_per_cm')
COMPOSITION_TOLERANCE = 0.01
"""The largest difference of an element's share of the atoms: cells hold only some fractions of an alloy."""


class Measured(NamedTuple):
    """A measured conductivity: ``material`` is a formula, ``source`` says who measured it."""

    material: str
    temperature_K: float
    sigma_S_per_cm: float
    source: str


def read_measured(path: str | Path) -> list[Measured]:
    """Read measured conductivities.

    :param path: a CSV file with the columns ``material`` (a formula such as Li3.25Si0.25P0.75O4), ``temperature_K``,
        ``sigma_S_per_cm``, and ``source`` if there is one; other columns are left alone. Lines that begin with # are
        comments.
    :raises ValueError: naming the line and what it must hold.
    """
    from pymatgen.core import Composition  # slow to import, needed here alone

    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text in UTF-8: save it as CSV in UTF-8.') from error
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith('#')]
    table = csv.DictReader([line for _, line in lines], skipinitialspace=True)
    if missing := [name for name in COLUMNS if name not in (table.fieldnames or [])]:
        wanted = f'its first line must name {", ".join(COLUMNS)}, with commas between'
        raise ValueError(f'{path} has no column {", ".join(missing)}: {wanted}.')
    rows = []
    for row in table:
        number = lines[table.line_num - 1][0]
        try:
            Composition(row['material'])
            temperature, sigma = float(row['temperature_K']), float(row['sigma_S_per_cm'])
            if not (temperature > 0 and sigma > 0 and math.isfinite(temperature) and math.isfinite(sigma)):
                raise ValueError('temperature and conductivity must be positive and finite')
        except (ValueError, TypeError) as error:
            needs = 'a formula, a temperature in K and a conductivity in S/cm'
            raise ValueError(f'{path}, line {number}: {error}; a line holds {needs}.') from error
        rows.append(Measured(row['material'].strip(), temperature, sigma, (row.get('source') or '').strip()))
    if not rows:
        raise ValueError(f'{path} holds no measured conductivity.')
    return rows


def beside(measured: Sequence[Measured], formulas: Mapping[str, str]) -> tuple[dict[str, list[Measured]], list[str]]:
    """Give every measured conductivity to the campaigns with its composition.

    :param formulas: the formula of each campaign, by the name of the campaign.
    :return: the measured conductivities by the name of the campaign, and the materials that no campaign has computed.
    """
    matches = {
        name: [row for row in measured if _same(row.material, formula)] for name, formula in formulas.items() if formula
    }
    known = {row for rows in matches.values() for row in rows}
    return matches, sorted({row.material for row in measured if row not in known})


def _same(material: str, formula: str) -> bool:
    """Return whether two formulas have the same shares of all elements."""
    from pymatgen.core import Composition

    shares = [Composition(text).fractional_composition.get_el_amt_dict() for text in (material, formula)]
    return all(
        abs(shares[0].get(element, 0.0) - shares[1].get(element, 0.0)) <= COMPOSITION_TOLERANCE
        for element in set().union(*shares)
    )
