"""The work chains, one a file; their protocols are in :mod:`aiida_ionconduct.workchains.protocols`."""
