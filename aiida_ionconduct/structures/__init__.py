"""Crystals, charge-balanced alloys and supercells: ASE, pymatgen and spglib, no AiiDA engine."""

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
