"""Where ions are and how they get from site to site: densities on a grid, percolation, sites and jumps.

NumPy and SciPy only; nothing of AiiDA.
"""

from .grid import density, mobile_positions, participation, write_cube
from .jumps import JumpStatistics, jump_statistics
from .percolation import percolation
from .sites import find_sites

__all__ = (
    'JumpStatistics',
    'density',
    'find_sites',
    'jump_statistics',
    'mobile_positions',
    'participation',
    'percolation',
    'write_cube',
)
