#!/usr/bin/env python3
"""Services for tests, benchmarks and trying out; ``--help`` tells how. The code is in ``tests/support``."""

import pathlib
import sys

# A script of the repository runs from a clone, whose tests are not installed.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests' / 'support'))

from local_services.command import main

if __name__ == '__main__':
    main()
