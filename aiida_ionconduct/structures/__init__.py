"""Crystals, charge-balanced alloys and supercells: ASE, pymatgen and spglib, no AiiDA.

Crystals:

- ``crystals``: the shipped CIF files, and the reading of crystals with partial occupancies;
- ``checks``: what a structure and its charges must satisfy before anything is submitted;
- ``supercell``: the most compact supercell with a number of atoms.

Alloys:

- ``alloys``: ordered cells, ranked by electrostatics; puts the next four files together;
- ``ordering``: numbers of ions on sublattices, and the search for their best distribution;
- ``electrostatics``: Ewald sums;
- ``symmetry``: symmetry operations, and the distributions that they make equal;
- ``voids``: places for interstitial ions;
- ``substitution``: the simple way for ordered crystals: the first sites are replaced, without a search.

Measures of a frame:

- ``distances``: the shortest distance of each pair of species;
- ``rdf``: radial distribution functions.
"""

from aiida_ionconduct.structures.alloys import Candidate, alloy, scores_table
from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_charges, check_structure
from aiida_ionconduct.structures.crystals import CRYSTALS, crystal, is_disordered, read_disordered
from aiida_ionconduct.structures.distances import minimum_distances, minimum_distances_of, shortest_contact
from aiida_ionconduct.structures.rdf import radial_distribution
from aiida_ionconduct.structures.substitution import substitute
from aiida_ionconduct.structures.supercell import supercell_repeats

__all__ = (
    'CRYSTALS',
    'OXIDATION_STATES',
    'Candidate',
    'alloy',
    'check_charges',
    'check_structure',
    'crystal',
    'is_disordered',
    'minimum_distances',
    'minimum_distances_of',
    'radial_distribution',
    'read_disordered',
    'scores_table',
    'shortest_contact',
    'substitute',
    'supercell_repeats',
)
