"""What the benchmarks share; importing it makes the packages of ``tests/support`` importable, too."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / 'tests' / 'support'))
