"""Where ions are and how they get from site to site: NumPy, SciPy and ASE, no AiiDA.

- ``grid``: the probability density of the ions on a grid over the cell, and its Gaussian cube file;
- ``percolation``: the axes along which the density is connected, and the barriers on the way;
- ``sites``: sites as the maxima of the density;
- ``jumps``: residence times on the sites, and jumps between them.

Positions relative to the framework are made by :func:`aiida_ionconduct.transport.mobile_positions`.
"""

from aiida_ionconduct.density.grid import density, participation, write_cube
from aiida_ionconduct.density.jumps import JumpStatistics, jump_statistics
from aiida_ionconduct.density.percolation import AxisPercolation, percolation
from aiida_ionconduct.density.sites import find_sites

__all__ = (
    'AxisPercolation',
    'JumpStatistics',
    'density',
    'find_sites',
    'jump_statistics',
    'participation',
    'percolation',
    'write_cube',
)
