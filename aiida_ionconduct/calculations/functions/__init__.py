"""Calculation functions: everything that happens between two jobs, each a node in the provenance graph.

- ``structures``: supercells, initial conditions of molecular dynamics, rattled cells, alloys;
- ``aimd``: segments of molecular dynamics of pw.x; ``trajectories``: segments of molecular dynamics of LAMMPS;
- ``datasets``: training sets from labelled frames, and their split; ``curation``: which frames are left out, and why;
- ``active_learning``: which frames a committee of potentials disagrees on;
- ``validation``: the gate between training and production;
- ``analysis``: conductivities and the Arrhenius fit; ``decisions``: how much more MD they need;
- ``studies``: block sizes, cell sizes, densities and twin runs.
"""
