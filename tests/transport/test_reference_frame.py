"""Motion relative to the framework."""

import ase.data
import numpy as np
import pytest

from aiida_ionconduct.transport import mobile_positions
from aiida_ionconduct.transport.masses import atomic_mass
from aiida_ionconduct.transport.reference_frame import collective_tracks

SYMBOLS = ['Li', 'Li', 'P', 'O']


def test_a_drift_of_the_whole_crystal_is_no_motion():
    rng = np.random.default_rng(2)
    positions = np.tile(rng.uniform(0, 9, (1, 4, 3)), (30, 1, 1))
    drift = np.linspace(0, 5, 30)[:, None, None] * np.array([1.0, -2.0, 0.5])
    moved = mobile_positions(positions + drift, SYMBOLS)
    np.testing.assert_allclose(moved, positions[:, :2], atol=1e-12)


@pytest.mark.parametrize('mobile', ['Na', 'Li'])
def test_mobile_ions_need_a_framework(mobile):
    """There must be atoms of the mobile species, and others."""
    with pytest.raises(ValueError, match=f"'{mobile}' must be among the atoms, and not all of them"):
        mobile_positions(np.zeros((2, 2, 3)), ['Li', 'Li'], mobile)


def test_all_routes_have_the_same_origin():
    """The tracks of an analysis move against the same point as the positions: the framework's centre of mass."""
    rng = np.random.default_rng(3)
    positions = rng.uniform(0, 9, (1, 4, 3)) + np.cumsum(rng.normal(0, 0.1, (30, 4, 3)), axis=0)
    charges = {'Li': 1, 'P': 0, 'O': -2}
    (tracer,) = collective_tracks([positions], SYMBOLS, charges, mobile='Li', cell=9 * np.eye(3)).tracer
    relative = tracer.positions[:, tracer.particles] - tracer.shift[:, None]
    np.testing.assert_allclose(relative, mobile_positions(positions, SYMBOLS), rtol=0, atol=1e-12)


def test_masses_are_standard_unless_given():
    assert atomic_mass('Li') == ase.data.atomic_masses[3]
    assert atomic_mass('Li', {'Li': 6.015}) == 6.015
    assert atomic_mass('Xx', {'Xx': 10}) == 10.0
    with pytest.raises(ValueError, match="'Q' is not a chemical element: give its mass in `masses`"):
        atomic_mass('Q', {'Li': 6.015})
