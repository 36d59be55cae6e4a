"""The constants against SciPy's CODATA table."""

import pytest
from scipy import constants as codata

from aiida_ionconduct.transport.constants import BOLTZMANN_EV_PER_K, CM2_PER_S, SIEMENS_PER_CM


def test_boltzmann():
    assert pytest.approx(codata.k / codata.e, rel=1e-12) == BOLTZMANN_EV_PER_K


def test_conductivity_prefactor():
    slope = (codata.e * codata.angstrom) ** 2 / codata.pico  # 1 e²Å²/ps in SI
    siemens_per_metre = slope / (codata.angstrom**3 * codata.k)
    assert pytest.approx(siemens_per_metre * codata.centi, rel=1e-12) == SIEMENS_PER_CM
    assert pytest.approx(185924.878, abs=5e-4) == SIEMENS_PER_CM


def test_diffusivity_unit():
    assert pytest.approx(codata.angstrom**2 / codata.pico / codata.centi**2, rel=1e-12) == CM2_PER_S
