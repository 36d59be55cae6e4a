"""From trajectories to transport coefficients, with intervals that hold; usable without AiiDA.

Units: Å, ps, e, K, eV, S/cm and cm²/s.
"""

from aiida_ionconduct.transport.analysis import TransportResult, analyse, from_centres_of_mass, from_currents
from aiida_ionconduct.transport.arrhenius import arrhenius
from aiida_ionconduct.transport.displacement import mean_squared_displacement
from aiida_ionconduct.transport.estimators import diffusivity
from aiida_ionconduct.transport.estimators.results import Estimate

__all__ = (
    'Estimate',
    'TransportResult',
    'analyse',
    'arrhenius',
    'diffusivity',
    'from_centres_of_mass',
    'from_currents',
    'mean_squared_displacement',
)
