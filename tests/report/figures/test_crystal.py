"""The drawing of a crystal: every atom in both views, images on faces, pies, colours that can be told apart."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from aiida_ionconduct.report.figures.crystal import NEAR_COLOURS, crystal_drawing, element_colours
from aiida_ionconduct.structures import crystal

CUBE = np.diag([5.0, 6.0, 7.0])
SVG = '{http://www.w3.org/2000/svg}'


def drawn(cell, positions, sites):
    """Return the root of the drawing."""
    return ET.fromstring(crystal_drawing(np.asarray(cell, dtype=float), np.asarray(positions, dtype=float), sites))


def balls(root, symbol):
    """Return the centres of the atoms of an element, the legend left out, in pixels."""
    circles = [circle for group in root.iter(f'{SVG}g') for circle in group.iter(f'{SVG}circle')]
    return [
        (float(circle.get('cx')), float(circle.get('cy')))
        for circle in circles
        if circle.get('fill') == f'url(#ball-{symbol})'
    ]


def texts(root):
    """Return all texts of the drawing."""
    return [text.text for text in root.iter(f'{SVG}text')]


@pytest.mark.parametrize(
    ('fraction', 'n'), [((0.5, 0.5, 0.5), 1), ((0, 0.5, 0.5), 2), ((0, 0, 0.5), 4), ((0, 0, 0), 8)]
)
def test_atom_on_a_face_edge_or_corner_is_drawn_at_all_of_its_places(fraction, n):
    assert len(balls(drawn(CUBE, [np.array(fraction) @ CUBE], [{'Li': 1.0}]), 'Li')) == 2 * n


def test_two_views_along_the_shortest_vectors_and_names_of_the_others():
    words = texts(drawn(CUBE, [[2, 2, 2]], [{'Li': 1.0}]))
    assert [word for word in words if word.startswith('seen')] == ['seen along b', 'seen along a']
    assert sorted(word for word in words if len(word) == 1) == ['a', 'b', 'c', 'c']


def test_legend_counts_each_atom_once():
    atoms = crystal('beta-Li3PO4')
    words = texts(drawn(atoms.cell.array, atoms.positions, [{symbol: 1.0} for symbol in atoms.symbols]))
    assert {'Li 6', 'P 2', 'O 8'} <= set(words)


def test_partly_occupied_and_shared_sites_are_pies():
    root = drawn(CUBE, [[2, 2, 2], [1, 3, 3]], [{'Li': 0.25}, {'Ge': 0.5, 'P': 0.5}])
    slices = [path for path in root.iter(f'{SVG}path') if 'A' in path.get('d')]
    assert len(slices) == 2 * 3
    assert 'empty' in texts(root)
    assert {'Li 0.25', 'P 0.5', 'Ge 0.5'} <= set(texts(root))


def test_atoms_in_front_are_drawn_last():
    """Seen along b from its end, the atom with the largest y is the nearest."""
    root = drawn(np.diag([9.0, 4.0, 9.5]), [[4, 1, 4], [4, 3, 4], [4, 2, 4]], [{'Li': 1.0}, {'O': 1.0}, {'P': 1.0}])
    assert texts(root)[2] == 'seen along b'
    panel = next(group for group in root.iter(f'{SVG}g') if group.find(f'{SVG}circle') is not None)
    order = [circle.get('fill') for circle in panel.iter(f'{SVG}circle')]
    assert order == ['url(#ball-Li)', 'url(#ball-P)', 'url(#ball-O)']


def test_everything_lies_within_the_drawing():
    """Also in an oblique cell, whose corners reach far."""
    cell = np.array([[6.0, 0, 0], [-3.0, 5.2, 0], [1.0, 2.0, 9.0]])
    root = drawn(cell, np.random.default_rng(0).random((20, 3)) @ cell, [{'Na': 1.0}] * 20)
    _, _, width, height = map(float, root.get('viewBox').split())
    for path in root.iter(f'{SVG}path'):
        numbers = np.array(re.findall(r'-?\d+\.\d+', path.get('d')), dtype=float).reshape(-1, 2)
        assert (numbers > 0).all()
        assert (numbers < (width, height)).all()


def test_bonds_join_framework_and_anions_but_no_mobile_ion():
    root = drawn(CUBE, [[2, 2, 2], [3.5, 2, 2], [2, 4, 2]], [{'P': 1.0}, {'O': 1.0}, {'Li': 1.0}])
    lines = [path for path in root.iter(f'{SVG}path') if path.get('stroke-width') not in (None, '1', '1.1')]
    assert len(lines) == 2 * 2  # two halves in two views


def test_atoms_at_one_place_are_drawn():
    root = drawn(CUBE, [[2, 2, 2], [2, 2, 2]], [{'P': 1.0}, {'O': 1.0}])
    assert len(balls(root, 'P')) == len(balls(root, 'O')) == 2


@pytest.mark.parametrize('symbols', [['Li', 'Na', 'K'], ['La', 'Zr', 'Y', 'O'], ['Li', 'P', 'S', 'Cl', 'Ge', 'Si']])
def test_elements_of_a_crystal_have_colours_that_differ(symbols):
    colours = element_colours(symbols)
    channels = [np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for colour in colours.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(channels, 2)) > NEAR_COLOURS
    assert colours == element_colours(symbols[::-1])
