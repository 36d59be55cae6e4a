"""What docs/architecture.md says of the code is what the code does, and the files that it names exist."""

import pathlib
import re

from aiida_ionconduct.farm.pseudopotentials import DUAL

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'architecture.md').read_text()
NUMBERS = {'two': 2, 'three': 3, 'four': 4, 'six': 6, 'eight': 8, 'ten': 10, 'twelve': 12}


def test_density_cutoff():
    """The page states the ratio of the density cutoff to the wave function cutoff that `setup` installs."""
    (word,) = re.findall(r'density cutoff\s+is\s+(\w+)\s+times', PAGE)
    assert NUMBERS[word] == DUAL
