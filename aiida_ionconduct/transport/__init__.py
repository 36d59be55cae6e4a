"""From trajectories to transport coefficients, with intervals that hold; usable without AiiDA.

Units: Å, ps, e, K, eV, S/cm and cm²/s. Which module holds what:

- ``analysis``: the way from the trajectories at one temperature to a :class:`TransportResult` (``result``);
- ``checks``: checks of charges, cell, temperature and trajectories;
- ``verdict``: whether motion is diffusion;
- ``framework``: which species are at rest; ``reference_frame``: motion relative to them, and the charge displacement;
- ``species``: charges and coefficients of the mobile species, ``masses`` of all; ``onsager``: matrices, transference;
- ``displacement``: mean-squared displacements, the simple and the block method, on compiled loops (``_kernels.pyx``);
- ``spectrum``: power spectra of currents; ``observed``: both in one pass over a trajectory;
- ``estimators``: from these to a diffusivity with its interval;
- ``conductivity_spectrum``: the conductivity against frequency;
- ``haven``: the Haven ratio; ``curves``: the curves of the figures; ``arrhenius``: the activation energy;
- ``constants``: constants and units.
"""

from aiida_ionconduct.transport.analysis import (
    analyse,
    from_centres_of_mass,
    from_currents,
    spectrum_from_centres_of_mass,
)
from aiida_ionconduct.transport.arrhenius import arrhenius
from aiida_ionconduct.transport.displacement import mean_squared_displacement
from aiida_ionconduct.transport.estimators import diffusivity
from aiida_ionconduct.transport.estimators.results import Estimate
from aiida_ionconduct.transport.framework import choose_framework
from aiida_ionconduct.transport.reference_frame import mobile_positions
from aiida_ionconduct.transport.result import TransportResult

__all__ = (
    'Estimate',
    'TransportResult',
    'analyse',
    'arrhenius',
    'choose_framework',
    'diffusivity',
    'from_centres_of_mass',
    'from_currents',
    'mean_squared_displacement',
    'mobile_positions',
    'spectrum_from_centres_of_mass',
)
