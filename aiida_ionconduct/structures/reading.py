"""One reader of crystals: what a file states, with partial occupancies, as a pymatgen structure."""

from __future__ import annotations

import math
import pathlib
import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import ase.io
from ase import Atoms
from ase.data import atomic_numbers

from aiida_ionconduct.structures.checks import check_cell
from aiida_ionconduct.structures.settings import complete_operations

if TYPE_CHECKING:
    from pymatgen.core import Structure

OCCUPANCY_TOLERANCE = 1.02  # occupancies of one site that sum to a little more than one are rounded numbers
SITE_LOOP = '_atom_site_fract_x'
TYPE, LABEL, OCCUPANCY = '_atom_site_type_symbol', '_atom_site_label', '_atom_site_occupancy'
MIXED = re.compile(r'\s*(\d*\.?\d+)\s*\*?\s*([A-Z][a-z]?)[\d+-]*\s*')
GROUP = re.compile(r'OH2?|H[23]O|O[Ww]|H[Ww]|[Ww]at|WAT|NH[234]?|[NC]O[23]|S?CN|[BA]l?H4|[PS]O4|B1[02]H1[02]')
ATOM = re.compile(r'([A-Z][A-Za-z]?)(\d*\.?\d*[+-]?\d*)')
ION = re.compile(r'([A-Z][a-z]?)(?:(\d+)([+-])|([+-])(\d*))$')
LAST_ELEMENT = 103  # lawrencium; symbols of heavier elements are something else, such as BH4
UNKNOWN = ('?', '.')  # values of a CIF
CHATTER = (
    'Set OLD_ERROR',
    'Invalid CIF file',
    'Issues encountered',
    'No structure parsed',
    'No _symmetry',
    'Some occupancies',
)
VACANT = re.compile(r'(Va|Vac|VAC|Vc|[Vv]acancy|□)\d*')  # type symbols of sites that hold nothing
CELL = [f'_cell_{name}' for name in ('length_a', 'length_b', 'length_c', 'angle_alpha', 'angle_beta', 'angle_gamma')]
ATTACHED = '_atom_site_attached_hydrogens'
BINARY_FORMATS = ('.traj', '.nc', '.db')


class Crystal(NamedTuple):
    """A crystal as its file states it.

    ``structure`` has partial occupancies and no oxidation states; ``oxidation`` are the states that the file gives, by
    chemical symbol; ``notes`` are sentences about the file.
    """

    structure: Structure
    oxidation: dict[str, int]
    notes: tuple[str, ...]


def read_structure(path: str | pathlib.Path, block: str | None = None) -> Crystal:
    """Return the crystal in a structure file.

    A CIF is read by pymatgen, any other file by ASE.

    :param path: of the file.
    :param block: name of the data block of a CIF with several crystals.
    :raises ValueError: if the file cannot be read, holds no crystal, or holds several and ``block`` names none of them.
    """
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
    except OSError as exception:
        raise ValueError(f'the structure file `{path}` cannot be read: {exception.strerror}.') from exception
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError:
        text = content.decode('latin-1')
    is_cif = path.suffix.lower() in ('.cif', '.mcif') or re.match(r'(\s*#.*\n|\s*\n)*\s*data_', text) is not None
    if (b'\0' in content or content.startswith(b'\x80')) and (is_cif or path.suffix.lower() not in BINARY_FORMATS):
        raise ValueError(f'the structure file `{path}` cannot be read: it is not text.')
    if is_cif:
        return _read_cif(text, path, block)
    if block is not None:
        raise ValueError(f'the structure file `{path}` is no CIF, so it has no data block `{block}`.')
    return _read_other(text, path)


# CIF ------------------------------------------------------------------------------------------------------------------


def _read_cif(text: str, path: pathlib.Path, block: str | None) -> Crystal:
    """Return the crystal in a data block of a CIF."""
    from pymatgen.io.cif import CifParser  # slow to import, needed here alone

    # pymatgen warns of rounded coordinates and the like, which do no harm; its warnings also say why a file cannot be
    # read.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            parser = CifParser.from_str(text, occupancy_tolerance=OCCUPANCY_TOLERANCE)
            name, data = _block(parser._cif.data, path, block)
            oxidation, formula = _stated_states(data), str(data.get('_chemical_formula_sum', ''))
            _split_mixed_sites(data)
            notes = _checked_sites(data, path)
            if note := complete_operations(data):
                notes.append(note)
            parser._cif.data = {name: parser._cif.data[name]}
            structure = parser.parse_structures(primitive=False)[0]
            structure.remove_oxidation_states()
        except Exception as exception:
            if isinstance(exception, _RefusedError):
                raise
            why = _why([str(exception), *(str(warning.message) for warning in caught)]) or type(exception).__name__
            raise ValueError(f'the structure file `{path}` cannot be read: {why}') from exception
    for site in structure:
        if made_up := re.search(r'_fix(\d+)$', site.label):  # pymatgen's name for a site such as `Cl,Br1`
            site.label = ''.join(sorted(element.symbol for element in site.species.elements)) + made_up[1]
    return Crystal(_checked(structure, path), oxidation, (*_absent_elements(structure, formula), *notes))


def _why(sentences: list[str]) -> str:
    """Return why pymatgen cannot read a block, without its words about itself."""
    lines = [line.strip() for sentence in sentences for line in sentence.splitlines()]
    for line in lines:
        if match := re.fullmatch(r'Occupancy ([\d.]+) exceeded tolerance\.', line):
            return f'the occupancies of a site sum to {float(match[1]):g}, and at most 1 is possible: correct them.'
    told = [line for line in dict.fromkeys(lines) if line and not line.startswith(CHATTER)]
    return ' '.join(told or list(dict.fromkeys(line for line in lines if line)))


class _RefusedError(ValueError):
    """The file holds several crystals, no crystal, or sites that are no atoms."""


def _block(blocks: dict[str, Any], path: pathlib.Path, block: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name and the data of the block that holds the crystal.

    :raises ValueError: if the choice is not clear, naming the blocks.
    """
    names = {name.removeprefix('data_'): name for name in blocks if SITE_LOOP in blocks[name].data}
    listed = ', '.join(names)
    if not names:
        raise _RefusedError(f'the structure file `{path}` has no data block with coordinates of atoms.')
    if block is not None and block not in names:
        raise _RefusedError(f'`{path}` has no data block `{block}` with coordinates: choose one of {listed}.')
    if block is None and len(names) > 1:
        raise _RefusedError(
            f'`{path}` holds {len(names)} crystals, in the data blocks {listed}: choose one with --block, such as '
            f'--block {next(iter(names))}.'
        )
    name = names[block or next(iter(names))]
    return name, blocks[name].data


def _split_mixed_sites(data: dict[str, Any]) -> None:
    """Replace a site such as ``0.50Cl + 0.50Br``, which pymatgen would read as chlorine, by one site for each species.

    :param data: of the block, changed in place.
    """
    types = data.get(TYPE) or data.get(LABEL)
    if not isinstance(types, list):
        return
    parts: list[list[tuple[float, str]]] = []
    for symbol in types:
        words = str(symbol).split('+')
        matches = [MIXED.fullmatch(word) for word in words]
        species = [(float(match[1]), match[2]) for match in matches if match and match[2] in atomic_numbers]
        parts.append(species if len(species) == len(words) else [])
    if not any(parts):
        return
    n_sites = len(types)
    columns = [key for key, column in data.items() if key.startswith('_atom_site_') and isinstance(column, list)]
    columns = [key for key in columns if len(data[key]) == n_sites]
    data.setdefault(OCCUPANCY, ['1'] * n_sites)
    rows: dict[str, list[str]] = {key: [] for key in {*columns, TYPE, LABEL, OCCUPANCY}}
    for index, species in enumerate(parts):
        for share, symbol in species or [(1.0, '')]:
            for key in columns:
                rows[key].append(data[key][index])
            if OCCUPANCY not in columns:
                rows[OCCUPANCY].append('1')
            if symbol:
                total = _number(rows[OCCUPANCY][-1])
                rows[OCCUPANCY][-1] = str(share * total)
                for key in (TYPE, LABEL):
                    rows[key][-1:] = [symbol if key == TYPE else f'{symbol}{index + 1}']
            for key in (TYPE, LABEL):
                if len(rows[key]) < len(rows[OCCUPANCY]):
                    rows[key].append(symbol or str(types[index]))
    data.update(rows)


def _checked_sites(data: dict[str, Any], path: pathlib.Path) -> list[str]:
    """Give sites their default occupancy, and refuse sites that pymatgen would drop or read as another atom.

    :param data: of the block, changed in place.
    :return: notes about sites that hold nothing, which are removed.
    :raises ValueError: if a site has no coordinates, or is a group of atoms, naming it.
    """
    if missing := [name for name in CELL if name not in data]:
        raise _RefusedError(f'`{path}` does not give its cell: {", ".join(missing)} is missing.')
    if isinstance(data.get(OCCUPANCY), list):
        data[OCCUPANCY] = ['1' if value in UNKNOWN else value for value in data[OCCUPANCY]]
    types = data.get(TYPE) or data.get(LABEL)
    if not isinstance(types, list):
        return []
    labels = data.get(LABEL) or types
    kept = [index for index, symbol in enumerate(types) if not VACANT.fullmatch(str(symbol))]
    for index in kept:
        if problem := _problem_of_site(data, index, str(types[index])):
            raise _RefusedError(f'the site {labels[index]} of `{path}` {problem}.')
    notes = [f'the site {labels[i]} is a vacancy and is left out.' for i in range(len(types)) if i not in kept]
    if any(re.match('[DT](?![a-z])', str(symbol)) for symbol in types):
        notes.append('deuterium and tritium are calculated as hydrogen, with the mass of hydrogen.')
    if len(kept) < len(types):
        n_sites = len(types)
        for key, column in data.items():
            if key.startswith('_atom_site_') and isinstance(column, list) and len(column) == n_sites:
                data[key] = [column[index] for index in kept]
    return notes


def _problem_of_site(data: dict[str, Any], index: int, symbol: str) -> str | None:
    """Return what is wrong with a site that pymatgen would drop or read as another atom; None if it is an atom.

    :param data: of the block.
    :param index: of the site.
    :param symbol: its type symbol, or its label where there are no type symbols.
    """
    if any(str(data[f'_atom_site_fract_{axis}'][index]) in UNKNOWN for axis in 'xyz'):
        return 'has no coordinates: give them, or remove the site if it is empty'
    symbol = symbol.strip() if TYPE in data else re.match('[A-Za-z]*', symbol.strip())[0]  # type: ignore[index]  # matches always
    group = GROUP.fullmatch(symbol.rstrip('+-')) if TYPE in data or len(symbol) > 1 else None
    if group and (TYPE in data or group[0].upper() not in ('OW', 'HW', 'SC', 'CN')):
        return f'is a group of atoms, `{group[0]}`: give each of its atoms a site of its own, hydrogen included'
    if TYPE in data:
        match = ATOM.fullmatch(symbol)
        if match is None or not (match[1] in 'DT' or 0 < atomic_numbers.get(match[1].title(), 0) <= LAST_ELEMENT):
            return f'has the type `{symbol}`, which is no element: correct it'
    occupancy = data[OCCUPANCY][index] if OCCUPANCY in data else '1'
    if not (share := _number(occupancy, math.nan)) >= 0:
        return f'has the occupancy {occupancy}, which is no number from 0 to 1: correct it'
    if share > 0 and ATTACHED in data and _number(data[ATTACHED][index], 0.0) > 0:
        return f'has {data[ATTACHED][index]} hydrogen atoms attached that have no sites of their own: add them'
    return None


def _number(text: str, default: float = 1.0) -> float:
    """Return a CIF number without its standard uncertainty; what is not a number is the default."""
    try:
        return float(str(text).split('(')[0])
    except ValueError:
        return default


def _stated_states(data: dict[str, Any]) -> dict[str, int]:
    """Return the oxidation states in the type symbols (``Na1+``) or in the table of atom types of a block."""
    symbols, numbers = data.get('_atom_type_symbol'), data.get('_atom_type_oxidation_number')
    states: dict[str, set[float]] = {}
    if isinstance(symbols, list) and isinstance(numbers, list) and len(symbols) == len(numbers):
        for symbol, number in zip(symbols, numbers, strict=True):
            element = re.match('[A-Z][a-z]?', str(symbol))
            if element and re.fullmatch(r'[+-]?\d+(\.\d+)?', str(number)):
                states.setdefault(_plain(element[0]), set()).add(float(number))
    else:
        for symbol in data.get(TYPE) or []:
            if match := ION.fullmatch(str(symbol)):
                sign, size = match[3] or match[4], match[2] or match[5] or 1
                states.setdefault(_plain(match[1]), set()).add(float(f'{sign}{size}'))
    whole = {element: int(next(iter(values))) for element, values in states.items() if len(values) == 1}
    return {element: state for element, state in whole.items() if state}


def _plain(symbol: str) -> str:
    """Return the chemical symbol of an isotope's symbol: deuterium is hydrogen."""
    return 'H' if symbol in ('D', 'T') else symbol


def _absent_elements(structure: Structure, formula: str) -> list[str]:
    """Return a note about elements that the file names in its formula and lists no site of."""
    named = {element for element in re.findall('[A-Z][a-z]?', formula) if element in atomic_numbers}
    present = {element.symbol for element in structure.composition.elements}
    absent = sorted(named - present - ({'H', 'D'} if present & {'H', 'D'} else set()))
    if not absent:
        return []
    return [f'the file states the formula {formula.strip()} and lists no site of {", ".join(absent)}.']


# Other formats --------------------------------------------------------------------------------------------------------


def _read_other(text: str, path: pathlib.Path) -> Crystal:
    """Return the crystal in a file that ASE reads, the last frame of several."""
    from pymatgen.core import Structure
    from pymatgen.io.ase import AseAtomsAdaptor

    _check_counts(text, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            atoms = cast('Atoms', ase.io.read(path))
    except (Exception, MemoryError) as exception:
        why = f'ASE does not understand it ({type(exception).__name__}: {exception})'
        if _has_no_symbols(text):
            why = (
                'it names no elements: write their symbols on the sixth line of the POSCAR, above the numbers of atoms'
            )
        raise ValueError(f'the structure file `{path}` cannot be read: {why}.'.replace('..', '.')) from exception
    if not set(atoms.symbols) <= set(atomic_numbers) - {'X'}:
        raise ValueError(f'the structure file `{path}` names no elements for its atoms.')
    check_cell(atoms)
    plain = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    return Crystal(Structure.from_sites(AseAtomsAdaptor.get_structure(plain).sites), {}, ())


def _check_counts(text: str, path: pathlib.Path) -> None:
    """Refuse a file that announces more atoms than it has lines, before a library tries to make room for them.

    :raises ValueError: with both numbers.
    """
    lines = text.splitlines()
    if 'xyz' in path.suffix.lower():
        start = 0
        while start < len(lines) and lines[start].strip():
            if not re.fullmatch(r'\s*\d+\s*', lines[start]):
                return
            n_atoms = int(lines[start])
            if start + 2 + n_atoms > len(lines):
                raise ValueError(
                    f'the structure file `{path}` announces {n_atoms} atoms and has {len(lines) - start} lines: it is '
                    'cut short or its header is wrong.'
                )
            start += 2 + n_atoms
        return
    for line in lines[:20]:
        words = line.split()
        counts = words if all(word.isdigit() for word in words) else words[:1] if words[1:2] == ['atoms'] else []
        for count in counts:
            if count.isdigit() and int(count) > len(text):
                raise ValueError(
                    f'the structure file `{path}` announces {count} atoms and has {len(text)} characters: its header '
                    'is wrong.'
                )


def _has_no_symbols(text: str) -> bool:
    """Return whether a text is a POSCAR of the old kind: the sixth line has the numbers of atoms, not the symbols."""
    lines = [line.split() for line in text.splitlines()[:8]]
    return (
        len(lines) == 8 and [len(line) for line in lines[2:5]] == [3, 3, 3] and all(word.isdigit() for word in lines[5])
    )


def _checked(structure: Structure, path: pathlib.Path) -> Structure:
    """Return a structure whose species are elements.

    :raises ValueError: if one is a dummy, such as ``X`` for an unknown atom.
    """
    for element in structure.composition.elements:
        if element.symbol not in atomic_numbers and element.symbol != 'D':
            raise ValueError(f'the structure file `{path}` has a site of `{element}`, which is no element.')
    if 'D' in {element.symbol for element in structure.composition.elements}:
        structure.replace_species({'D': 'H'})
    return structure
