"""Crystals, charge-balanced substitution and supercells: plain ASE, no AiiDA engine."""

from .checks import OXIDATION_STATES, check_charges, check_structure
from .crystals import CRYSTALS, crystal
from .distances import minimum_distances
from .substitution import substitute
from .supercell import supercell_repeats

__all__ = (
    'CRYSTALS',
    'OXIDATION_STATES',
    'check_charges',
    'check_structure',
    'crystal',
    'minimum_distances',
    'substitute',
    'supercell_repeats',
)
