"""Supercells in which every atom is far from its own images, without more atoms than needed.

The *image distance* of a cell is its shortest lattice vector. It is compared with the side of a cube of the same
volume: the ratio is at most 2^(1/6) = 1.12, in a face-centred cubic lattice, 1 in a cube, and small in a needle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import minkowski_reduce

COMPACT = 0.7  # ratio from which the smallest repetition of the cell along its vectors is taken
GENERAL_RATIO = 0.85  # ratio at which the search over more cells and other vectors ends
MAX_GROWTH = 2  # the search ends at this multiple of the smallest number of cells
MIN_IMAGE_DISTANCE_A = 10.0
N_TIES = 100  # lattices with the same image distance of which the roundest is taken
BATCH = 2000  # lattices tried at a time


def image_distance(cell: np.ndarray) -> float:
    """Return the distance from an atom to its nearest periodic image in Å, to 1e-6 Å.

    :param cell: (3, 3), vectors as rows, Å.
    """
    reduced, _ = minkowski_reduce(np.asarray(cell))
    return round(float(np.linalg.norm(reduced, axis=1).min()), 6)


def supercell_matrix(cell: np.ndarray, n_atoms: int, n_atoms_min: int, *, max_growth: float = MAX_GROWTH) -> np.ndarray:
    """Return the vectors of a compact supercell with enough atoms, in units of the cell's vectors.

    The smallest repetition along the cell's vectors is taken if it is compact. Otherwise the number of cells grows
    until a lattice is round enough, whether its vectors are multiples of the cell's vectors (preferred) or sums of
    them. If none is, the lattice with the largest ratio of image distance to size is taken.

    :param cell: (3, 3), vectors as rows, Å.
    :param n_atoms: atoms in that cell.
    :param n_atoms_min: atoms wanted, at least.
    :param max_growth: largest number of cells as a multiple of the smallest; 1 keeps to the smallest number.
    :return: (3, 3), integers with a positive determinant, the number of cells; diagonal for a repetition.
    """
    cell = np.asarray(cell, dtype=float)
    n_min = -(-n_atoms_min // n_atoms)
    repetition = _best_repetition(cell, n_min)
    if _ratio(repetition @ cell) >= COMPACT:
        return repetition
    best, best_ratio = repetition, _ratio(repetition @ cell)
    for n_cells in range(n_min, max(n_min, math.floor(max_growth * n_min)) + 1):
        for matrix in (_best_repetition(cell, n_cells), _best_lattice(cell, n_cells)):
            ratio = _ratio(matrix @ cell)
            if ratio >= GENERAL_RATIO:
                return matrix
            if ratio > best_ratio + 1e-6:
                best, best_ratio = matrix, ratio
    return best


def enough_atoms(cell: np.ndarray, n_atoms: int, n_atoms_min: int, distance_A: float) -> int:
    """Return the least number of atoms, at least ``n_atoms_min``, whose supercell has images far enough apart.

    :param cell: (3, 3), vectors as rows, Å.
    :param n_atoms: atoms in that cell.
    :param distance_A: least distance of images.
    :raises ValueError: if that takes more than :data:`MAX_GROWTH` times the atoms, with the number.
    """
    n_min = -(-n_atoms_min // n_atoms)
    # No lattice of n cells has images farther apart than the face-centred cubic lattice of its volume.
    n_least = distance_A**3 / (math.sqrt(2) * abs(np.linalg.det(cell)))
    first: float | None = None
    for n_cells in itertools.count(n_min):
        wanted = max(n_cells * n_atoms, n_atoms_min)
        if first is not None and n_cells < n_least:
            continue
        distance = image_distance(supercell_matrix(cell, n_atoms, wanted) @ cell)
        first = distance if first is None else first
        if distance < distance_A:
            continue
        if n_cells <= MAX_GROWTH * n_min:
            return n_atoms_min if n_cells == n_min else wanted
        raise ValueError(
            f'in a supercell of {n_atoms_min} atoms an atom is {first:.1f} Å from its nearest periodic image, and at '
            f'least {distance_A:g} Å are wanted: set n_atoms_min to {wanted}, or insist on the small cell with '
            f'min_image_distance_A: {math.floor(10 * first) / 10:g}.'
        )
    raise AssertionError  # the count has no end


def build_supercell(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """Return the supercell with these vectors, its arrays repeated with it.

    :param matrix: (3, 3), of :func:`supercell_matrix`.
    """
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        repeated: Atoms = atoms.repeat(tuple(int(n) for n in np.diag(matrix)))
    else:
        repeated = make_supercell(atoms, matrix)
    return repeated


def supercell_text(matrix: np.ndarray) -> str:
    """Return the cells of a supercell in words, such as ``2×2×1 cells`` or ``13 cells``."""
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        return f'{"×".join(str(int(n)) for n in np.diag(matrix))} cells'
    return f'{round(np.linalg.det(matrix))} cells'


def _ratio(cell: np.ndarray) -> float:
    """Return the image distance by the side of a cube of the same volume."""
    return image_distance(cell) / float(np.cbrt(abs(np.linalg.det(cell))))


def _best_repetition(cell: np.ndarray, n_cells: int) -> np.ndarray:
    """Return the repetition along the cell's vectors that has the largest image distance, as a diagonal matrix."""
    divisors = [n for n in range(1, n_cells + 1) if n_cells % n == 0]
    candidates = [
        (a, b, n_cells // (a * b)) for a, b in itertools.product(divisors, repeat=2) if n_cells % (a * b) == 0
    ]
    return np.diag(max(candidates, key=lambda counts: (image_distance(cell * np.array(counts)[:, None]), counts)))


def _best_lattice(cell: np.ndarray, n_cells: int) -> np.ndarray:
    """Return the most compact basis of the lattice of so many cells that has the largest image distance.

    The lattices are enumerated by their Hermite normal forms (Hart and Forcade 2008, 10.1103/PhysRevB.77.224115). A
    lattice contains a vector v of the cell's lattice if v adj(H) is a multiple of the number of cells.
    """
    reduced, basis = minkowski_reduce(cell)
    radius = 1.13 * (n_cells * abs(np.linalg.det(cell))) ** (1 / 3)  # beyond the image distance of any lattice
    vectors = _vectors_within(reduced, radius)
    lengths = np.round(np.linalg.norm(vectors @ reduced, axis=1), 6)
    forms = _hermite_normal_forms(n_cells)
    shortest = np.empty(len(forms))
    for begin in range(0, len(forms), BATCH):
        batch = forms[begin : begin + BATCH]
        contained = (np.einsum('vi,hij->hvj', vectors, _adjugates(batch)) % n_cells == 0).all(axis=2)
        shortest[begin : begin + BATCH] = lengths[contained.argmax(axis=1)]  # the vectors are sorted by length
    ties = forms[shortest >= shortest.max() - 1e-6][:N_TIES]
    bases = [_reduced_basis(form, reduced) for form in ties]
    chosen = min(bases, key=lambda rows: (round(float(((rows @ reduced) ** 2).sum()), 4), rows.tolist()))
    matrix = np.rint(chosen @ basis).astype(int)
    return np.asarray(matrix if np.linalg.det(matrix) > 0 else -matrix)


def _reduced_basis(form: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the Minkowski-reduced basis of a lattice, in units of the cell's vectors."""
    _, steps = minkowski_reduce(form @ cell)
    return np.asarray(steps @ form)


def _vectors_within(cell: np.ndarray, radius: float) -> np.ndarray:
    """Return the lattice vectors up to a length as integer coefficients, the shortest first; one of each v and −v."""
    counts = np.floor(radius * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in counts), indexing='ij'), -1).reshape(-1, 3)
    grid = grid[len(grid) // 2 + 1 :]  # the grid is symmetric about its middle, the zero vector
    lengths = np.linalg.norm(grid @ cell, axis=1)
    order = np.argsort(lengths, kind='stable')
    return np.asarray(grid[order[lengths[order] <= radius]])


def _hermite_normal_forms(determinant: int) -> np.ndarray:
    """Return all 3×3 Hermite normal forms of a determinant, (n, 3, 3)."""

    def forms() -> Iterator[tuple[int, ...]]:
        for a in range(1, determinant + 1):
            if determinant % a:
                continue
            for b in range(1, determinant // a + 1):
                if (determinant // a) % b:
                    continue
                c = determinant // (a * b)
                for d, e, f in itertools.product(range(b), range(c), range(c)):
                    yield (a, d, e, 0, b, f, 0, 0, c)

    return np.array(list(forms())).reshape(-1, 3, 3)


def _adjugates(matrices: np.ndarray) -> np.ndarray:
    """Return the adjugates of upper triangular integer matrices, (n, 3, 3)."""
    a, d, e, _, b, f, _, _, c = matrices.reshape(-1, 9).T
    zero = np.zeros_like(a)
    return np.stack([b * c, -d * c, d * f - b * e, zero, a * c, -a * f, zero, zero, a * b], axis=-1).reshape(-1, 3, 3)
