"""Symmetry operations for CIF files that name a space group without them: the group, its origin and its axes.

Of a group with two origins, or with hexagonal and rhombohedral axes, the symbol alone does not say which is meant. A
group that cannot be told is refused: without its operations most atoms of the cell would be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

OPERATIONS = (
    '_symmetry_equiv_pos_as_xyz',
    '_space_group_symop_operation_xyz',
    '_space_group_symop.operation_xyz',
    '_symmetry_equiv_pos_as_xyz_',
    '_space_group_symop_operation_xyz_',
)
NUMBERS = ('_symmetry_Int_Tables_number', '_space_group_IT_number', '_symmetry_int_tables_number')
SYMBOLS = ('_symmetry_space_group_name_H-M', '_space_group_name_H-M_alt', '_space_group_name_H-M')
HALL_SYMBOLS = ('_symmetry_space_group_name_Hall', '_space_group_name_Hall')
UNKNOWN = ('', '?', '.')
SAME = 0.01  # fractional coordinates nearer than this are the same site
TOO_NEAR_A = 1.2
SUFFIXES = {'1': '1', 'S': '1', '2': '2', 'Z': '2', 'H': 'H', 'R': 'R'}
SUFFIX = re.compile(r'\s*:\s*(\S+)$|\s*([SZHR])$')
N_HALL = 530


class Setting(NamedTuple):
    """A setting of a space group: its number, the names it has, its Hall symbol and number, and its choice.

    ``choice`` is an origin (``1``, ``2``), axes (``H``, ``R``), or begins with the unique axis of a monoclinic group.
    """

    number: int
    names: frozenset[str]
    hall_symbol: str
    hall: int
    choice: str


def complete_operations(data: dict[str, Any]) -> str | None:
    """Add the symmetry operations that a block lacks.

    The setting is the one in the symbol (``:2``, ``:R``), or that of the cell (axes), or the one with fewest atoms
    and fewest short distances (origin): atoms lie on special positions in the right one alone.

    :param data: of the block, changed in place.
    :return: a sentence about what was chosen; None if the file or the cell states it.
    :raises ValueError: if the space group cannot be told.
    """
    listed = next((data[key] for key in OPERATIONS if data.get(key)), None)
    symbol, hall_symbol = _text(data, SYMBOLS).rstrip(' :'), _text(data, HALL_SYMBOLS)
    if listed is not None:
        n_listed = len(listed) if isinstance(listed, list) else 1
        if n_listed > 1 or _plain(symbol) in (*UNKNOWN, 'p1'):
            return None
        return f'the file names the space group {symbol} and lists one operation: its sites are taken for all sites.'
    stated = next((int(data[key]) for key in NUMBERS if str(data.get(key, '')).isdigit()), None)
    suffix = SUFFIX.search(symbol)
    choice = (suffix[1] or suffix[2]) if suffix else ''
    name = symbol[: suffix.start()] if suffix else symbol
    settings = [setting for setting in _all_settings() if setting.hall_symbol == _plain(hall_symbol)]
    settings = settings or _named(name)
    if not settings and symbol in UNKNOWN and stated is not None:
        settings = _standard([setting for setting in _all_settings() if setting.number == stated])
    if not settings:
        if symbol in UNKNOWN:
            return 'the file names no space group: its sites are taken for all sites of the cell (P 1).'
        if _is_known_to_pymatgen(name):
            return None
        raise ValueError(
            f'its space group `{symbol}` is not known, and it lists no symmetry operations: add them '
            f'({OPERATIONS[0]}), or correct the symbol.'
        )
    if stated is not None and stated not in {setting.number for setting in settings}:
        raise ValueError(
            f'it names the space group `{symbol}`, no. {settings[0].number}, and states the number {stated}: correct '
            'one of them.'
        )
    chosen, note = _chosen(settings, choice, data)
    data[OPERATIONS[0]] = _xyz(*_operations(chosen.hall))
    return note


def _text(data: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the first value of some keys that says something."""
    values = [str(data[key]).strip(' \'"') for key in keys if key in data]
    return next((value for value in values if value not in UNKNOWN), '')


def _chosen(settings: list[Setting], choice: str, data: dict[str, Any]) -> tuple[Setting, str | None]:
    """Return the setting that a file means, and a sentence about an origin that was found by its atoms.

    :param settings: that have the name of the group.
    :param choice: that the symbol states, or an empty string.
    """
    by_choice = {setting.choice: setting for setting in settings}
    if len(by_choice) == 1:
        return settings[0], None
    if 'H' in by_choice:
        return by_choice['H' if abs(_value(data['_cell_angle_gamma']) - 120) < 0.5 else 'R'], None
    stated = SUFFIXES.get(choice.upper(), choice)
    if stated in by_choice:
        return by_choice[stated], None
    if '1' in by_choice:
        ranks = {origin: _rank(_sites(data, *_operations(by_choice[origin].hall))) for origin in by_choice}
        best = min(ranks, key=lambda origin: (ranks[origin], -int(origin)))
        return by_choice[best], (
            f'the file gives neither symmetry operations nor the origin of its space group: origin choice {best} is '
            f'taken, with {ranks[best][0]} sites in the cell.'
        )
    angles = {axis: abs(_value(data[f'_cell_angle_{angle}']) - 90) for axis, angle in zip('bca', _ANGLES, strict=True)}
    axis = max(angles, key=lambda axis: angles[axis])  # of a monoclinic group; b, if all angles are 90°
    return next((setting for setting in settings if setting.choice.strip('-').startswith(axis)), settings[0]), None


_ANGLES = ('beta', 'gamma', 'alpha')  # between the other axes than b, c and a


def _named(name: str) -> list[Setting]:
    """Return the settings with a name, also with a name of the older tables (``F m 3 m``)."""
    plain = _plain(name)
    for trial in (plain, re.sub(r'^([pfi][a-z])3', r'\1-3', plain)):
        settings = [setting for setting in _all_settings() if trial in setting.names]
        if settings:
            return settings
    return []


def _standard(settings: list[Setting]) -> list[Setting]:
    """Return the settings of a group in its standard orientation: one, two origins, or a unique axis b, c or a."""
    if len({setting.choice for setting in settings} & {'1', '2', 'H', 'R'}) == 2:
        return settings
    first = {setting.choice.strip('-')[:1]: setting for setting in reversed(settings)}
    return list(first.values()) if set(first) <= {'a', 'b', 'c'} and settings[0].number < 16 else settings[:1]


@cache
def _all_settings() -> tuple[Setting, ...]:
    """Return all settings of all space groups."""
    import spglib

    settings = []
    for hall in range(1, N_HALL + 1):
        group = spglib.get_spacegroup_type(hall)
        if group is None:
            continue
        names = [group.international_full]
        if 2 < group.number < 16:  # `P 1 21/c 1` is `P 21/c` in short; the other names are those of the standard axes
            names.append(' '.join(word for word in group.international_full.split() if word != '1'))
        else:
            names += [group.international_short, *group.international.split('=')]
        settings.append(
            Setting(group.number, frozenset(map(_plain, names)), _plain(group.hall_symbol), hall, group.choice)
        )
    return tuple(settings)


def _plain(name: str) -> str:
    """Return a symbol in small letters, without spaces, underscores and brackets."""
    return re.sub(r'[\s_()]', '', name).lower()


def _is_known_to_pymatgen(name: str) -> bool:
    """Return whether pymatgen knows a symbol, such as of a triclinic cell with a centring."""
    from pymatgen.symmetry.groups import SpaceGroup

    try:
        SpaceGroup(name.replace(' ', ''))
    except ValueError:
        return False
    return True


def _operations(hall: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotations and translations of a setting by its Hall number."""
    import spglib

    symmetry: Any = spglib.get_symmetry_from_database(hall)
    return symmetry['rotations'], symmetry['translations']


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
