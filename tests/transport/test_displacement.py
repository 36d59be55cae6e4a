"""Mean-squared displacements against brute force and reference values of real data."""

import numpy as np
import pytest

from aiida_ionconduct.transport import mean_squared_displacement
from aiida_ionconduct.transport.displacement import (
    as_positions,
    as_track,
    refuse_wrapped,
    simple_displacement,
    species_displacements,
)


def brute_force(x):
    """Average over all origins and particles, lag by lag."""
    x = np.asarray(x, dtype=float)
    return np.array([((x[k:] - x[: len(x) - k]) ** 2).sum(axis=-1).mean() for k in range(len(x))])


@pytest.fixture
def walk():
    return np.cumsum(np.random.default_rng(0).normal(size=(301, 7, 3)), axis=0)


def test_simple_equals_brute_force(walk):
    np.testing.assert_allclose(mean_squared_displacement(walk), brute_force(walk), rtol=1e-10, atol=0)


def test_vibrations_far_from_the_origin():
    x = 1e4 + 0.1 * np.random.default_rng(1).normal(size=(400, 5, 3))
    np.testing.assert_allclose(mean_squared_displacement(x), brute_force(x), rtol=1e-10, atol=0)


@pytest.mark.parametrize('dimension', [1, 2, 3])
def test_many_chunks_of_particles(monkeypatch, dimension):
    monkeypatch.setattr('aiida_ionconduct.transport.displacement.CHUNK_BYTES', 2**14)
    x = np.cumsum(np.random.default_rng(2).normal(size=(100, 23, dimension)), axis=0)
    np.testing.assert_allclose(mean_squared_displacement(x), brute_force(x), rtol=1e-10, atol=0)


@pytest.mark.parametrize('layout', ['float32', 'fortran', 'strided', 'reversed', 'big-endian', 'integer', 'read-only'])
def test_any_layout(walk, layout):
    x = {
        'float32': walk.astype(np.float32),
        'fortran': np.asfortranarray(walk),
        'strided': walk[::2, 1::3],
        'reversed': walk[::-1, ::-1, ::-1],
        'big-endian': walk.astype('>f8'),
        'integer': np.round(10 * walk).astype(int),
        'read-only': walk.copy(),
    }[layout]
    x.flags.writeable = layout != 'read-only'
    np.testing.assert_allclose(mean_squared_displacement(x), brute_force(x), rtol=1e-10, atol=0)


def test_memory_mapped(walk, tmp_path):
    np.save(tmp_path / 'walk.npy', walk.astype(np.float32))
    mapped = np.load(tmp_path / 'walk.npy', mmap_mode='r')
    np.testing.assert_allclose(mean_squared_displacement(mapped), brute_force(mapped), rtol=1e-10, atol=0)


def test_changes_of_a_private_mapping_are_kept(walk, tmp_path):
    """Memory of a mapped file is freed after reading, but not changes of the user that the file does not have."""
    np.save(tmp_path / 'walk.npy', walk)
    mapped = np.load(tmp_path / 'walk.npy', mmap_mode='c')
    mapped *= 2
    np.testing.assert_allclose(mean_squared_displacement(mapped), brute_force(2 * walk), rtol=1e-10, atol=0)
    assert (mapped == 2 * walk).all()


def test_fewer_lags_are_the_same_lags(walk):
    full = mean_squared_displacement(walk)
    for longest in (0, 1, 150, 300):
        np.testing.assert_allclose(simple_displacement(as_track(walk), longest), full[: longest + 1], rtol=1e-10)


def test_species_displacements(walk):
    species = np.array([1, 0, 0, 1, 2, 1, 1])
    expected = np.stack([(walk - walk[0])[:, species == number].sum(axis=1) for number in range(3)])
    np.testing.assert_allclose(species_displacements(walk, species), expected, rtol=0, atol=1e-11)


def test_unaligned_fields_of_a_record(walk):
    records = np.zeros(len(walk), dtype=[('step', 'i1'), ('x', 'f8', walk.shape[1:])])
    records['x'] = walk
    np.testing.assert_allclose(mean_squared_displacement(records['x']), brute_force(walk), rtol=1e-10, atol=0)


@pytest.mark.parametrize('origins', [None, 1, 10])
def test_block_equals_brute_force(walk, origins):
    block, count = 40, origins or 1
    stride = block if origins is None else block + origins
    expected = [
        np.mean([((walk[o + i + k] - walk[o + i]) ** 2).sum(axis=-1).mean() for o, i in pairs])
        for k in range(block + 1)
        for pairs in [[(o, i) for o in range(0, len(walk) - block - count + 1, stride) for i in range(count)]]
    ]
    result = mean_squared_displacement(walk, method='block', block=block, origins=origins)
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=0)


# Brute force over all origins, from the provenance described in data/README.md; lags in frames.
LAGS = [1, 2, 3, 10, 50, 100]
LITHIUM = [0.4453792246, 0.7068690557, 0.8919592110, 1.6002958257, 5.1122445324, 8.9338520865]
COLLECTIVE = [0.3936598694, 0.6588094598, 0.7621655571, 1.1963789191, 1.4945133363, 3.7960596711]


def test_argyrodite_lithium(argyrodite):
    lithium = argyrodite['pos'][:, argyrodite['species'] == 'Li']
    np.testing.assert_allclose(mean_squared_displacement(lithium)[LAGS], LITHIUM, rtol=1e-9)
    collective = mean_squared_displacement(lithium.sum(axis=1, keepdims=True))[LAGS] / lithium.shape[1]
    np.testing.assert_allclose(collective, COLLECTIVE, rtol=1e-9)


@pytest.mark.parametrize(
    'array',
    [np.zeros((5, 3)), np.zeros((0, 2, 3)), np.zeros((5, 0, 3)), np.zeros((5, 2, 3), dtype=complex)],
    ids=['two axes', 'no frame', 'no particle', 'complex'],
)
def test_wrong_shapes_and_types_are_refused(array):
    with pytest.raises(ValueError, match='`positions`'):
        mean_squared_displacement(array)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(walk, value):
    walk[17, 3, 1] = value
    with pytest.raises(ValueError, match=r'`positions`.* not finite in frame 17'):
        mean_squared_displacement(walk)


def test_wrong_methods_and_blocks_are_refused(walk):
    with pytest.raises(ValueError, match="'simple' or 'block'"):
        mean_squared_displacement(walk, method='window')
    with pytest.raises(ValueError, match='choose a shorter one'):
        mean_squared_displacement(walk, method='block', block=301)
    with pytest.raises(ValueError, match="method='block'"):
        mean_squared_displacement(walk, block=10)


def test_wrapped_trajectories_are_refused(argyrodite):
    positions, cell = argyrodite['pos'], argyrodite['cell']
    refuse_wrapped(as_positions(positions), cell)
    folded = (positions @ np.linalg.inv(cell) % 1) @ cell
    jumps = np.abs(np.diff(folded @ np.linalg.inv(cell), axis=0)).max(axis=(1, 2)) > 0.75
    first = int(jumps.argmax())
    with pytest.raises(ValueError, match=rf'`seeds\[1\]` looks wrapped.*between frames {first} and {first + 1}'):
        refuse_wrapped(as_positions(folded), cell, 'seeds[1]')


def test_fast_ions_in_rare_frames_are_not_wrapped():
    rng = np.random.default_rng(3)
    refuse_wrapped(np.cumsum(rng.normal(0, 3, (500, 4, 3)), axis=0), 10 * np.eye(3))
