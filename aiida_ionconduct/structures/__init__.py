"""Crystals, charge-balanced alloys and supercells: ASE, pymatgen and spglib, no AiiDA.

Crystals:

- ``crystals``: the shipped CIF files;
- ``reading``: what a file states, with partial occupancies: the only reader of structure files;
- ``oxidation``: oxidation states that balance, and what was assumed;
- ``checks``: what a structure and its charges must satisfy before anything is submitted;
- ``supercell``: compact supercells with a number of atoms.

Alloys:

- ``alloys``: ordered cells, ranked by electrostatics; puts the next files together;
- ``recipes``: what is substituted, oxidation states, densities, and what is refused;
- ``site_lattice``, ``site_counts``: the sites of a supercell, and the numbers of ions that the user sets on them;
- ``candidates``: the distributions that are kept;
- ``cells``, ``composition``: how many cells hold the composition in whole numbers of ions, and these numbers;
- ``contacts``: how near two ions may come to each other;
- ``ordering``: the search for the best distribution;
- ``electrostatics``: Ewald sums;
- ``symmetry``: symmetry operations, and the distributions that they make equal;
- ``voids``: places for interstitial ions;
- ``substitution``: the simple way for ordered crystals: the first sites are replaced, without a search.

Measures of a frame:

- ``distances``: the shortest distance of each pair of species;
- ``rdf``: radial distribution functions.
"""

from aiida_ionconduct.structures.alloys import Ordering, alloy, composition_text, ordered_cells, scores_table
from aiida_ionconduct.structures.candidates import Candidate
from aiida_ionconduct.structures.checks import OXIDATION_STATES, check_charges, check_structure
from aiida_ionconduct.structures.crystals import CRYSTALS, crystal, is_disordered, read_disordered
from aiida_ionconduct.structures.distances import minimum_distances, minimum_distances_of, shortest_contact
from aiida_ionconduct.structures.oxidation import States, oxidation_states, states_text
from aiida_ionconduct.structures.rdf import radial_distribution
from aiida_ionconduct.structures.reading import Crystal, read_structure
from aiida_ionconduct.structures.recipes import usual_mobile_ion
from aiida_ionconduct.structures.substitution import substitute
from aiida_ionconduct.structures.supercell import build_supercell, enough_atoms, supercell_matrix

__all__ = (
    'CRYSTALS',
    'OXIDATION_STATES',
    'Candidate',
    'Crystal',
    'Ordering',
    'States',
    'alloy',
    'build_supercell',
    'check_charges',
    'check_structure',
    'composition_text',
    'crystal',
    'enough_atoms',
    'is_disordered',
    'minimum_distances',
    'minimum_distances_of',
    'ordered_cells',
    'oxidation_states',
    'radial_distribution',
    'read_disordered',
    'read_structure',
    'scores_table',
    'shortest_contact',
    'states_text',
    'substitute',
    'supercell_matrix',
    'usual_mobile_ion',
)
