"""Chemical symbols from the words that programs write for species."""

from __future__ import annotations

import re

from ase.data import chemical_symbols

NUMBERS = {symbol: number for number, symbol in enumerate(chemical_symbols) if number}
ISOTOPES = {'D': ('H', 2.014), 'T': ('H', 3.016)}
"""Names of isotopes: chemical symbol and mass in u."""
WORD = re.compile(r'([A-Z][a-z]?)(?:_[A-Za-z0-9_.]*)?(?:/[0-9A-Za-z]*)?(?:\d*[+-]{1,3}|[+-]\d+|\d+)?')
"""A symbol, then what potentials (``Li_sv``, ``Li_sv/b2a8``), charges (``Li+``, ``S2-``) or counts (``Li1``) add."""


def symbol_of(word: str) -> str | None:
    """Return the chemical symbol that a word stands for: ``Li_sv/b2a8``, ``Li+``, ``D``, ``3``; None if it is none."""
    if word.isdigit():
        return chemical_symbols[int(word)] if 0 < int(word) < len(chemical_symbols) else None
    if word in ISOTOPES:
        return ISOTOPES[word][0]
    match = WORD.fullmatch(word)
    if match and match.group(1) in NUMBERS:
        return match.group(1)
    if match and len(match.group(1)) == 1 and match.group(1) in ISOTOPES:
        return ISOTOPES[match.group(1)][0]
    if word.capitalize() in NUMBERS:
        return word.capitalize()
    return None


def mass_of(word: str) -> float | None:
    """Return the mass in u of an isotope that a word names; None for everything else."""
    match = WORD.fullmatch(word)
    return ISOTOPES[match.group(1)][1] if match and match.group(1) in ISOTOPES else None
