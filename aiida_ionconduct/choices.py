"""Closed sets of words that the command line offers and the packages take: without imports, so that help is quick."""

from __future__ import annotations

import typing
from typing import Literal

Estimator = Literal['auto', 'spectral', 'cve', 'einstein', 'block', 'green-kubo', 'cepstral', 'multivariate']
"""How a diffusivity is estimated; :mod:`aiida_ionconduct.transport.estimators` holds the estimators."""
ESTIMATORS: tuple[Estimator, ...] = typing.get_args(Estimator)

OrderingMethod = Literal['lowest', 'random']
"""Which ordered cells of a disordered crystal are taken: the lowest in electrostatic energy, or random ones."""
ORDERING_METHODS: tuple[OrderingMethod, ...] = typing.get_args(OrderingMethod)

StressUnit = Literal['eV/A^3', 'GPa', 'kbar', '-eV/A^3', '-GPa', '-kbar']
"""The unit of a stress; with a minus where a compressed crystal has a positive stress, as in the output of VASP."""
STRESS_UNITS: tuple[StressUnit, ...] = typing.get_args(StressUnit)
