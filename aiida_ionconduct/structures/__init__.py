"""Crystals, charge-balanced alloys and supercells: ASE, pymatgen and spglib, no AiiDA engine."""

from .alloys import Candidate, alloy, scores_table
from .checks import OXIDATION_STATES, check_charges, check_structure
from .crystals import CRYSTALS, crystal, is_disordered, read_disordered
from .distances import minimum_distances
from .rdf import radial_distribution
from .substitution import substitute
from .supercell import supercell_repeats

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
    'radial_distribution',
    'read_disordered',
    'scores_table',
    'substitute',
    'supercell_repeats',
)
