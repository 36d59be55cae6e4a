"""Systems whose answer is known: the real LAMMPS runs them in place of a trained potential, in tests and benchmarks."""
