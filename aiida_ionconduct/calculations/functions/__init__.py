"""Calculation functions: everything that happens between two jobs, each a node in the provenance graph."""
