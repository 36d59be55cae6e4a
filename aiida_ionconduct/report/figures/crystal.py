"""A crystal as a drawing: two views of its cell, atoms coloured by element, a legend. SVG without a script."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors

from aiida_ionconduct.report.figures.colours import INK, MUTED

WIDTH, HEIGHT, MARGIN, GAP = 860.0, 380.0, 36.0, 40.0
"""Of both views together, in pixels."""
LARGEST_A = 90.0  # pixels per Å of a small cell
TURN_DEG = (7.0, 9.0)  # a view along a cell vector is turned a little, so that atoms do not hide each other
FACE = 5e-3  # an atom within this fraction of a face is drawn on the opposite face as well
BOND_TOLERANCE, BOND_WIDTH_A = 1.12, 0.12
SAME_PLACE_A = 0.3  # atoms that are nearer to each other than this share a place and are not bonded
SURFACE = 0.92  # where a bond begins, as a share of the radius of its atom
NAME_DISTANCE = 24  # pixels from an edge to its name
UNBOUND = frozenset(('Li', 'Na', 'K', 'Rb', 'Cs', 'Ag', 'Mg', 'Ca', 'Sr', 'Ba'))
"""Ions without drawn bonds: they show the framework, through which these ions move."""
ANIONS = frozenset(('H', 'N', 'O', 'F', 'S', 'Cl', 'Se', 'Br', 'Te', 'I'))
SPARE_COLOURS = ('#1f6fd1', '#c2352f', '#2f8f4e', '#b08900', '#7a3fa0', '#0f8c93', '#b0508e', '#6b6f78')
"""For an element whose usual colour is too near to that of another element of the crystal."""
NEAR_COLOURS = 0.28  # distance of two RGB colours, each between 0 and 1
OUTLINE = '#3c4148'


class _View(NamedTuple):
    """A view along a cell vector; the rows of ``axes`` point to the right, up, and to the eye."""

    along: str
    axes: np.ndarray


class _Part(NamedTuple):
    """A piece of the drawing, and how near to the eye it is, in Å."""

    depth: float
    svg: str


class _Scene(NamedTuple):
    """What every view shows: the atoms with their images (n, 3) in Å, their species, bonds by index, and colours."""

    cell: np.ndarray
    places: np.ndarray
    sites: list[Mapping[str, float]]
    bonds: list[tuple[int, int]]
    colours: Mapping[str, str]

    @property
    def outline(self) -> np.ndarray:
        """The points that must be within the drawing, (n, 3), Å."""
        return np.vstack([self.places, np.array(list(np.ndindex(2, 2, 2))) @ self.cell])


class _Frame(NamedTuple):
    """Where a view is drawn: ``middle`` of it in Å is at ``place`` in pixels; ``scale`` in pixels per Å."""

    axes: np.ndarray
    middle: np.ndarray
    place: np.ndarray
    scale: float

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return points (n, 3) as pixels (n, 2), y downwards."""
        flat = (np.atleast_2d(points) @ self.axes[:2].T - self.middle) * self.scale
        return np.asarray(self.place + flat * (1, -1))


def crystal_drawing(
    cell: np.ndarray,
    positions: np.ndarray,
    sites: Sequence[Mapping[str, float]],
    *,
    background: str | None = None,
) -> str:
    """Return an SVG document with two orthographic views of a cell and a legend.

    An atom on a face, an edge or a corner of the cell is drawn at all of its places. A partly occupied site is a pie of
    its species, open where it is empty.

    :param cell: (3, 3), cell vectors as rows, Å.
    :param positions: (sites, 3), Å.
    :param sites: occupancies by chemical symbol, for each site.
    :param background: a colour; None is transparent.
    """
    colours = element_colours([symbol for site in sites for symbol in site])
    places, owners = _with_images(cell, positions)
    shown = [sites[owner] for owner in owners]
    scene = _Scene(cell, places, shown, _bonds(places, shown), colours)
    views = _views(cell)
    flat = [scene.outline @ view.axes[:2].T for view in views]
    sizes = np.array([np.ptp(points, axis=0) for points in flat]) + 2 * max(_radius(site) for site in sites)
    total, tallest = sizes[:, 0].sum(), sizes[:, 1].max()
    scale = float(min((WIDTH - 2 * MARGIN - GAP) / total, (HEIGHT - 2 * MARGIN) / tallest, LARGEST_A))
    height = tallest * scale + 2 * MARGIN
    left = (WIDTH - total * scale - GAP) / 2
    body = []
    for view, points, size in zip(views, flat, sizes, strict=True):
        x = left + size[0] * scale / 2
        middle = (points.max(axis=0) + points.min(axis=0)) / 2
        body.append(_panel(view, scene, _Frame(view.axes, middle, np.array([x, height / 2]), scale)))
        body.append(_text((x, height + 4), f'seen along {view.along}', colour=MUTED))
        left += size[0] * scale + GAP
    legend, bottom = _legend(sites, colours, height + 20)
    ground = '' if background is None else f'<rect width="100%" height="100%" fill="{background}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}pt" height="{bottom:.0f}pt" '
        f'viewBox="0 0 {WIDTH:g} {bottom:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="13">'
        f'<defs>{_gradients(colours)}</defs>{ground}{"".join(body)}{legend}</svg>'
    )


def element_colours(symbols: Sequence[str]) -> dict[str, str]:
    """Return a colour for each element: the usual colours (Jmol), or others where two would be mistaken."""
    colours: dict[str, str] = {}
    for symbol in sorted(set(symbols), key=lambda symbol: atomic_numbers[symbol]):
        usual = '#' + ''.join(f'{round(255 * channel):02x}' for channel in jmol_colors[atomic_numbers[symbol]])
        choices = [usual, *SPARE_COLOURS]
        free = [
            choice
            for choice in choices
            if all(np.linalg.norm(_rgb(choice) - _rgb(other)) > NEAR_COLOURS for other in colours.values())
        ]
        colours[symbol] = free[0] if free else usual
    return colours


# Geometry -----------------------------------------------------------------------------------------------------------


def _views(cell: np.ndarray) -> list[_View]:
    """Return the views along the two shortest cell vectors, which show the largest faces."""
    lengths = np.linalg.norm(cell, axis=1)
    views = []
    for along in sorted(np.argsort(lengths, kind='stable')[:2], reverse=True):
        first, second = sorted((axis for axis in range(3) if axis != along), key=lambda axis: -lengths[axis])
        eye = cell[along] / lengths[along]
        right = cell[first] - (cell[first] @ eye) * eye
        right /= np.linalg.norm(right)
        up = np.cross(eye, right)
        if up @ cell[second] < 0:  # seen from the other side, so that the vector points up
            eye, up = -eye, -up
        up_turn, side_turn = np.radians(TURN_DEG)
        about_right = np.array(
            [[1, 0, 0], [0, math.cos(up_turn), -math.sin(up_turn)], [0, math.sin(up_turn), math.cos(up_turn)]]
        )
        about_up = np.array(
            [[math.cos(side_turn), 0, -math.sin(side_turn)], [0, 1, 0], [math.sin(side_turn), 0, math.cos(side_turn)]]
        )
        views.append(_View('abc'[along], about_right @ about_up @ np.array([right, up, eye])))
    return views


def _with_images(cell: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the atoms in the cell and their images on opposite faces, (n, 3), and the atom that each one is."""
    fractional = (positions @ np.linalg.inv(cell)) % 1.0
    fractional[fractional > 1 - FACE] -= 1
    places, owners = [], []
    for owner, place in enumerate(fractional):
        shifts = [(0, 1) if abs(value) < FACE else (0,) for value in place]
        for shift in np.array(np.meshgrid(*shifts, indexing='ij')).reshape(3, -1).T:
            places.append(place + shift)
            owners.append(owner)
    return np.array(places) @ cell, np.array(owners)


def _bonds(places: np.ndarray, sites: Sequence[Mapping[str, float]]) -> list[tuple[int, int]]:
    """Return the pairs of a cation of the framework and an anion that are bonded, by the covalent radii."""
    symbols = [max(site, key=lambda symbol: site[symbol]) for site in sites]
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])
    full = np.array([sum(site.values()) > 0.5 for site in sites])
    anion = np.array([symbol in ANIONS for symbol in symbols]) & full
    cation = np.array([symbol not in ANIONS | UNBOUND or symbol == 'H' for symbol in symbols]) & full
    first, second = np.flatnonzero(cation), np.flatnonzero(anion)
    distances = np.linalg.norm(places[first][:, None] - places[second], axis=2)
    near = (distances > SAME_PLACE_A) & (distances < BOND_TOLERANCE * (radii[first][:, None] + radii[second]))
    return [(int(first[i]), int(second[j])) for i, j in np.argwhere(near)]


def _radius(site: Mapping[str, float]) -> float:
    """Return the radius in Å with which a site is drawn."""
    return max(0.2 + 0.28 * float(covalent_radii[atomic_numbers[symbol]]) for symbol in site)


# Pieces -------------------------------------------------------------------------------------------------------------


def _panel(view: _View, scene: _Scene, frame: _Frame) -> str:
    """Return a view: the edges behind the atoms, the atoms and bonds from back to front, and the edges before them."""
    flat, depths = frame.pixels(scene.places), scene.places @ view.axes[2]
    parts = [
        _Part(float(depth), _atom(point, site, frame.scale, scene.colours))
        for point, depth, site in zip(flat, depths, scene.sites, strict=True)
    ]
    for bond in scene.bonds:
        parts += [_half_bond(scene, frame, start, end) for start, end in (bond, bond[::-1])]
    atoms = ''.join(part.svg for part in sorted(parts, key=lambda part: part.depth))
    behind, before = _edges(view, scene.cell, frame)
    return (
        f'<g style="stroke: {MUTED}" stroke-width="1" stroke-dasharray="4 3" fill="none">{behind}</g>'
        f'<g stroke="{OUTLINE}" stroke-width="0.7" stroke-linecap="round">{atoms}</g>'
        f'<g style="stroke: {INK}" stroke-width="1.1" fill="none">{before}</g>{_names(view, scene.cell, frame)}'
    )


def _half_bond(scene: _Scene, frame: _Frame, start: int, end: int) -> _Part:
    """Return the half of a bond at its first atom, in the colour of that atom, from the surface of the atom on."""
    site, place = scene.sites[start], scene.places[start]
    half = (scene.places[end] - place) / 2
    surface = place + half * min(1.0, SURFACE * _radius(site) / float(np.linalg.norm(half)))
    (x1, y1), (x2, y2) = frame.pixels(np.array([surface, place + half]))
    colour, width = scene.colours[max(site, key=lambda symbol: site[symbol])], BOND_WIDTH_A * frame.scale
    line = f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-width="{width:.1f}"/>'
    return _Part(float(surface @ frame.axes[2]), line)


def _atom(point: np.ndarray, site: Mapping[str, float], scale: float, colours: Mapping[str, str]) -> str:
    """Return the circle of an atom, or the pie of a partly occupied or shared site."""
    x, y, radius = *point, _radius(site) * scale
    if len(site) == 1 and sum(site.values()) > 0.999:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="url(#ball-{next(iter(site))})"/>'
    slices, angle = [], -math.pi / 2
    for symbol, amount in site.items():
        end = angle + 2 * math.pi * min(amount, 1.0)
        if amount > 0.999:
            slices.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colours[symbol]}"/>')
            break
        points = [(x + radius * math.cos(phi), y + radius * math.sin(phi)) for phi in (angle, end)]
        (x1, y1), (x2, y2) = points
        slices.append(
            f'<path d="M{x:.1f} {y:.1f}L{x1:.1f} {y1:.1f}A{radius:.1f} {radius:.1f} 0 {int(end - angle > math.pi)} 1 '
            f'{x2:.1f} {y2:.1f}Z" fill="{colours[symbol]}"/>'
        )
        angle = end
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#ffffff"/>{"".join(slices)}'


def _edges(view: _View, cell: np.ndarray, frame: _Frame) -> tuple[str, str]:
    """Return the three edges behind the atoms, at the farthest corner, and the nine others."""
    corners = [np.array(corner) for corner in np.ndindex(2, 2, 2)]
    farthest = min(corners, key=lambda corner: float(corner @ cell @ view.axes[2]))
    lines: dict[bool, list[str]] = {True: [], False: []}
    for corner in corners:
        for axis in range(3):
            if corner[axis]:
                continue
            end = corner + np.eye(3, dtype=int)[axis]
            (x1, y1), (x2, y2) = frame.pixels(np.array([corner, end]) @ cell)
            is_behind = any((tip == farthest).all() for tip in (corner, end))
            lines[is_behind].append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')
    return ''.join(lines[True]), ''.join(lines[False])


def _names(view: _View, cell: np.ndarray, frame: _Frame) -> str:
    """Return the names of the two cell vectors in the plane, each beside an edge at the rim of the view."""
    centre = frame.pixels(np.full(3, 0.5) @ cell)[0]
    names = []
    for axis, name in enumerate('abc'):
        if name == view.along:
            continue
        others = [other for other in range(3) if other != axis]
        middles = []
        for corner in np.ndindex(2, 2):
            place = np.zeros(3)
            place[axis], place[others] = 0.5, corner
            middles.append(frame.pixels(place @ cell)[0])
        # Of the four parallel edges: the lowest for a horizontal vector, the one farthest left for an upright one.
        ends = frame.pixels(np.array([np.zeros(3), np.eye(3)[axis]]) @ cell)
        horizontal = abs(ends[1] - ends[0])[0] > abs(ends[1] - ends[0])[1]
        middle = max(middles, key=lambda point: point[1] if horizontal else -point[0])
        outwards = (middle - centre) / max(np.linalg.norm(middle - centre), 1e-9)
        x, y = middle + NAME_DISTANCE * outwards
        names.append(_text((x, y + 4), name, italic=True))
    return ''.join(names)


def _legend(sites: Sequence[Mapping[str, float]], colours: Mapping[str, str], top: float) -> tuple[str, float]:
    """Return the legend, and where the drawing ends: each element with its number of atoms in the cell."""
    amounts: Counter[str] = Counter()
    for site in sites:
        for symbol, amount in site.items():
            amounts[symbol] += amount  # type: ignore[assignment]  # a site may hold a part of an atom
    entries = [(symbol, f'{symbol} {amounts[symbol]:.4g}') for symbol in colours]
    if any(sum(site.values()) < 0.999 for site in sites):
        entries.append(('', 'empty'))
    width = 92.0
    per_row = int((WIDTH - 2 * MARGIN) // width)
    pieces = []
    for row in range(-(-len(entries) // per_row)):
        in_row = entries[row * per_row : (row + 1) * per_row]
        x = (WIDTH - width * len(in_row)) / 2 + 12
        for symbol, words in in_row:
            fill = f'url(#ball-{symbol})' if symbol else '#ffffff'
            y = top + 14 + 24 * row
            pieces.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="{fill}" stroke="{OUTLINE}" stroke-width="0.7"/>'
            )
            pieces.append(_text((x + 13, y + 4.5), words, anchor='start'))
            x += width
    return ''.join(pieces), top + 30 + 24 * (-(-len(entries) // per_row) - 1)


def _gradients(colours: Mapping[str, str]) -> str:
    """Return the shading of the balls."""
    pieces = []
    for symbol, colour in colours.items():
        light, dark = _mixed(colour, '#ffffff', 0.65), _mixed(colour, '#000000', 0.28)
        pieces.append(
            f'<radialGradient id="ball-{symbol}" cx="0.36" cy="0.34" r="0.72"><stop offset="0" stop-color="{light}"/>'
            f'<stop offset="0.45" stop-color="{colour}"/><stop offset="1" stop-color="{dark}"/></radialGradient>'
        )
    return ''.join(pieces)


def _text(
    place: tuple[float, float], words: str, *, colour: str = INK, anchor: str = 'middle', italic: bool = False
) -> str:
    style = ' font-style="italic"' if italic else ''
    x, y = place
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style} style="fill: {colour}">{words}</text>'


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255


def _mixed(colour: str, other: str, share: float) -> str:
    """Return a colour with a share of another."""
    channels = (1 - share) * _rgb(colour) + share * _rgb(other)
    return '#' + ''.join(f'{round(255 * channel):02x}' for channel in channels)
