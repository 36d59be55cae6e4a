"""The constants against SciPy's CODATA table."""

import pytest
from scipy import constants as codata

from aiida_ionconduct.transport import constants


def test_boltzmann():
    assert constants.BOLTZMANN_EV_PER_K == pytest.approx(codata.k / codata.e, rel=1e-12)


def test_conductivity_prefactor():
    slope = (codata.e * codata.angstrom) ** 2 / codata.pico  # 1 e²Å²/ps in SI
    siemens_per_metre = slope / (codata.angstrom**3 * codata.k)
    assert constants.SIEMENS_PER_CM == pytest.approx(siemens_per_metre * codata.centi, rel=1e-12)
    assert constants.SIEMENS_PER_CM == pytest.approx(185924.878, abs=5e-4)


def test_diffusivity_unit():
    assert constants.CM2_PER_S == pytest.approx(codata.angstrom**2 / codata.pico / codata.centi**2, rel=1e-12)
