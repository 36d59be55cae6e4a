"""Calculation jobs; the calcfunctions are in :mod:`aiida_ionconduct.calculations.functions`."""
