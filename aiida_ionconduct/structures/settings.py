"""Symmetry operations for CIF files that name a space group without them: the origin and the axes are chosen.

Of a group with two origins, or with hexagonal and rhombohedral axes, the symbol alone does not say which is meant.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

OPERATIONS = ('_symmetry_equiv_pos_as_xyz', '_space_group_symop_operation_xyz')
NUMBERS = ('_symmetry_Int_Tables_number', '_space_group_IT_number')
SYMBOLS = ('_symmetry_space_group_name_H-M', '_space_group_name_H-M_alt')
SAME = 0.01  # fractional coordinates nearer than this are the same site
TOO_NEAR_A = 1.2
SUFFIXES = {'1': '1', 'S': '1', '2': '2', 'Z': '2', 'H': 'H', 'R': 'R'}


def complete_operations(data: dict[str, Any]) -> str | None:
    """Add the symmetry operations that a block lacks, if its group has several origins or axes.

    The setting is the one in the symbol (``:2``, ``:R``), or that of the cell (axes), or the one with fewest atoms
    and fewest short distances (origin): atoms lie on special positions in the right one alone.

    :param data: of the block, changed in place.
    :return: a sentence about an origin that was chosen; None if the file or the cell states it.
    """
    symbol = next((str(data[key]).strip(" '") for key in SYMBOLS if key in data), '')
    suffix = re.search(r'\s*(?::\s*([12HRSZ])|\s([SZHR]))$', symbol, flags=re.IGNORECASE)
    stated = SUFFIXES[(suffix[1] or suffix[2]).upper()] if suffix else None
    number = _number(data, symbol[: suffix.start()] if suffix else symbol)
    if number is None or any(isinstance(data.get(key), list) for key in OPERATIONS):
        return None
    settings = _settings(number)
    if len(settings) < 2:
        return None
    note = None
    if stated not in settings:
        if 'H' in settings:
            stated = 'H' if abs(_value(data['_cell_angle_gamma']) - 120) < 0.5 else 'R'
        else:
            ranks = {choice: _rank(_sites(data, *settings[choice])) for choice in settings}
            stated = min(ranks, key=lambda choice: (ranks[choice], -int(choice)))
            note = (
                f'the file gives neither symmetry operations nor the origin of its space group: origin choice {stated} '
                f'is taken, with {ranks[stated][0]} sites in the cell.'
            )
    data[OPERATIONS[0]] = _xyz(*settings[stated])
    return note


def _number(data: dict[str, Any], symbol: str) -> int | None:
    """Return the number of the space group that a block states or names; None if there is none."""
    from pymatgen.symmetry.groups import SpaceGroup

    stated = next((str(data[key]) for key in NUMBERS if str(data.get(key, '')).isdigit()), None)
    if stated is not None:
        return int(stated)
    try:
        return int(SpaceGroup(symbol.replace(' ', '')).int_number)
    except ValueError:
        return None


def _settings(number: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the rotations and translations of a space group by origin choice or axes; none if that is unique."""
    import spglib

    settings = {}
    for hall in range(1, 531):
        group = spglib.get_spacegroup_type(hall)
        if group is None or group.number != number or group.choice not in ('1', '2', 'H', 'R'):
            continue
        symmetry = spglib.get_symmetry_from_database(hall)
        if symmetry is not None:
            settings[group.choice] = (symmetry['rotations'], symmetry['translations'])
    return settings


def _sites(data: dict[str, Any], rotations: np.ndarray, translations: np.ndarray) -> Atoms:
    """Return the sites in the cell as atoms without names."""
    columns = [data[f'_atom_site_fract_{axis}'] for axis in 'xyz']
    positions: list[np.ndarray] = []
    for words in zip(*columns, strict=True):
        point = np.array([_value(word) for word in words])
        images: list[np.ndarray] = []
        for image in (rotations @ point + translations) % 1:
            differences = [image - other - np.round(image - other) for other in images]
            if not any(np.abs(difference).max() < SAME for difference in differences):
                images.append(image)
        positions += images
    lengths = [_value(data[f'_cell_length_{axis}']) for axis in 'abc']
    angles = [_value(data[f'_cell_angle_{angle}']) for angle in ('alpha', 'beta', 'gamma')]
    return Atoms(f'X{len(positions)}', scaled_positions=positions, cell=[*lengths, *angles], pbc=True)


def _rank(atoms: Atoms) -> tuple[int, float]:
    """Return the number of sites and the number of pairs of sites that are too near to each other."""
    return len(atoms), len(neighbor_list('i', atoms, TOO_NEAR_A))


def _value(word: object) -> float:
    """Return a CIF number without its standard uncertainty."""
    return float(str(word).split('(')[0])


def _xyz(rotations: np.ndarray, translations: np.ndarray) -> list[str]:
    """Return operations as text, such as ``-x+1/2, y, z``."""
    from pymatgen.core import SymmOp

    pairs = zip(rotations, translations, strict=True)
    return [SymmOp.from_rotation_and_translation(*pair).as_xyz_str() for pair in pairs]
