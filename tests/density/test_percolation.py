"""Percolation through the periodic cell, against a walk over the infinite lattice and a known barrier."""

from collections import deque

import numpy as np
import pytest

from aiida_ionconduct.density import percolation
from aiida_ionconduct.density.percolation import windings
from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K


def windings_by_walking(occupied):
    """Return the axes along which a walk reaches a periodic image of its grid cells, by breadth-first search."""
    shape, axes, seen = np.array(occupied.shape), set(), {}
    for start in map(tuple, np.argwhere(occupied)):
        if start in seen:
            continue
        seen[start], queue = (0, 0, 0), deque([(start, (0, 0, 0))])
        while queue:
            cell, image = queue.popleft()
            for axis in range(3):
                for step in (-1, 1):
                    place = list(cell)
                    place[axis] += step
                    there = tuple(np.array(image) + np.floor_divide(place, shape))
                    place = tuple(np.mod(place, shape))
                    if not occupied[place]:
                        continue
                    if place not in seen:
                        seen[place] = there
                        queue.append((place, there))
                    else:
                        axes |= set(np.flatnonzero(np.array(seen[place]) - there).tolist())
    return axes


def test_against_a_walk():
    """A walk finds the same axes, on random grids about the percolation threshold of the cubic lattice, 0.3116."""
    rng = np.random.default_rng(0)
    answers = set()
    for _ in range(120):
        occupied = rng.random(tuple(rng.integers(2, 6, 3))) < rng.uniform(0.2, 0.6)
        assert windings(occupied) == windings_by_walking(occupied)
        answers.add(frozenset(windings_by_walking(occupied)))
    assert len(answers) == 8  # none, each axis, each pair, all


def test_diagonal_channel():
    """A staircase that leaves through one face and comes back through another winds along both."""
    occupied = np.zeros((4, 4, 4), dtype=bool)
    for index in range(4):
        occupied[index, index, 1] = occupied[(index + 1) % 4, index, 1] = True
    assert windings(occupied) == {0, 1}


def test_barrier():
    """The barrier is recovered from Boltzmann's density in a channel along the second axis."""
    T, barrier, n = 700.0, 0.25, 24
    energy = np.full((8, n, 8), np.inf)
    energy[3:5, :, 2:4] = (barrier / 2 * (1 - np.cos(2 * np.pi * 2 * np.arange(n) / n)))[None, :, None]
    result = percolation(np.exp(-energy / (BOLTZMANN_EV_PER_K * T)), T)
    assert result['b']['percolates']
    assert result['b']['barrier_eV'] == pytest.approx(barrier, rel=1e-9)
    for axis in 'ac':
        assert result[axis] == {'percolates': False, 'bottleneck': None, 'barrier_eV': None}


def test_uniform():
    """A uniform density percolates along every axis without a barrier."""
    for axis in percolation(np.full((3, 4, 5), 0.02), 300.0).values():
        assert axis == {'percolates': True, 'bottleneck': 0.02, 'barrier_eV': 0.0}


def test_empty():
    """A density of zero percolates along no axis."""
    assert not any(axis['percolates'] for axis in percolation(np.zeros((3, 3, 3)), 300.0).values())
