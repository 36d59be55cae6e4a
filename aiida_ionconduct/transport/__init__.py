"""From trajectories to transport coefficients, with intervals that hold; usable without AiiDA.

Units: Å, ps, e, K, eV, S/cm and cm²/s.
"""

from .analysis import TransportResult, analyse, from_centres_of_mass, from_currents
from .arrhenius import arrhenius
from .displacement import mean_squared_displacement
from .estimators import diffusivity
from .estimators.results import Estimate

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
