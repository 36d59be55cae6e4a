"""Where ions are and how they get from site to site: densities on a grid, percolation, sites and jumps.

NumPy and SciPy only; nothing of AiiDA.
"""

from aiida_ionconduct.density.grid import density, mobile_positions, participation, write_cube
from aiida_ionconduct.density.jumps import JumpStatistics, jump_statistics
from aiida_ionconduct.density.percolation import percolation
from aiida_ionconduct.density.sites import find_sites

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
