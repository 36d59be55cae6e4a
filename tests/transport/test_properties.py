"""What must not matter: where the cell stands, the order of atoms, the direction of time, how an array is stored."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiida_ionconduct.transport import analyse, mean_squared_displacement

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = ('sigma_full', 'sigma_tracer', 'diffusivity', 'haven_ratio')


def values(**input_):
    """Return the numbers of an analysis, zero where there is none."""
    result = analyse(**input_)
    estimates = [getattr(result, name) for name in NAMES]
    return [0.0 if estimate is None or estimate.value is None else estimate.value for estimate in estimates]


@FEW
@given(number=st.integers(0, 2**31), shift=st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_translation_changes_nothing(salt, number, shift):
    input_ = salt(np.random.default_rng(number), seeds=2, frames=120, ions=4)
    moved = {**input_, 'seeds': [seed + np.array(shift) for seed in input_['seeds']]}
    np.testing.assert_allclose(values(**moved), values(**input_), rtol=1e-6)


@FEW
@given(number=st.integers(0, 2**31))
def test_order_of_atoms_and_seeds_changes_nothing(salt, number):
    rng = np.random.default_rng(number)
    input_ = salt(rng, seeds=3, frames=120, ions=4)
    order = rng.permutation(8)
    shuffled = {
        **input_,
        'seeds': [seed[:, order] for seed in input_['seeds'][::-1]],
        'symbols': [input_['symbols'][i] for i in order],
    }
    np.testing.assert_allclose(values(**shuffled), values(**input_), rtol=1e-8)


@FEW
@given(number=st.integers(0, 2**31))
def test_time_reversal_changes_nothing(salt, number):
    input_ = salt(np.random.default_rng(number), seeds=2, frames=120, ions=4)
    backwards = {**input_, 'seeds': [seed[::-1] for seed in input_['seeds']]}
    np.testing.assert_allclose(values(**backwards), values(**input_), rtol=1e-6)


@FEW
@given(number=st.integers(0, 2**31), length=st.floats(0.1, 10), temperature=st.floats(50, 3000))
def test_scaling_of_length_and_temperature(salt, number, length, temperature):
    """A conductivity goes as length squared over volume and temperature, a diffusivity as length squared."""
    input_ = salt(np.random.default_rng(number), seeds=2, frames=120, ions=4)
    scaled = {
        **input_,
        'seeds': [seed * length for seed in input_['seeds']],
        'cell': input_['cell'] * length,
        'temperature_K': temperature,
    }
    factors = np.array([1 / length, 1 / length, length**2, 1.0]) * ([900 / temperature] * 2 + [1.0] * 2)
    np.testing.assert_allclose(values(**scaled), factors * values(**input_), rtol=1e-6)


@FEW
@given(number=st.integers(0, 2**31), layout=st.sampled_from(['fortran', 'strided', 'swapped', 'read-only', 'float32']))
def test_memory_layout_changes_nothing(salt, number, layout):
    input_ = salt(np.random.default_rng(number), seeds=2, frames=120, ions=4)
    input_['seeds'] = [seed.astype(np.float32) for seed in input_['seeds']]
    exact = [seed.astype(float) for seed in input_['seeds']]

    def stored(seed):
        """Return an array of the same values in another layout."""
        if layout == 'strided':
            wide = np.zeros((240, 8, 6))
            wide[::2, :, ::2] = seed
            return wide[::2, :, ::2]
        if layout == 'read-only':
            seed = seed.copy()
            seed.flags.writeable = False
            return seed
        kinds = {'fortran': np.asfortranarray, 'swapped': lambda x: x.astype('>f8'), 'float32': np.float32}
        return kinds[layout](seed)

    np.testing.assert_allclose(
        values(**{**input_, 'seeds': [stored(seed) for seed in exact]}), values(**{**input_, 'seeds': exact}), rtol=1e-9
    )


@FEW
@given(number=st.integers(0, 2**31), frame=st.integers(0, 119), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_frame_that_is_not_finite_is_named(salt, number, frame, value):
    input_ = salt(np.random.default_rng(number), seeds=2, frames=120, ions=4)
    input_['seeds'][1][frame, 3, 1] = value
    with pytest.raises(ValueError, match=rf'`seeds\[1\]`.*frame {frame}\b'):
        analyse(**input_)


@FEW
@given(number=st.integers(0, 2**31), frame=st.integers(1, 119), axis=st.integers(0, 2))
def test_a_jump_of_a_cell_vector_is_named(salt, number, frame, axis):
    input_ = salt(np.random.default_rng(number), seeds=2, frames=120, ions=4)
    input_['seeds'][1][frame:, 2] -= input_['cell'][axis]
    with pytest.raises(ValueError, match=rf'`seeds\[1\]` looks wrapped.*between frames {frame - 1} and {frame}\b'):
        analyse(**input_)


@FEW
@given(number=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_displacement_scales(number, scale):
    walk = np.cumsum(np.random.default_rng(number).normal(size=(60, 3, 3)), axis=0)
    expected = scale**2 * mean_squared_displacement(walk)
    np.testing.assert_allclose(mean_squared_displacement(scale * walk), expected, rtol=1e-9, atol=1e-12 * scale**2)
