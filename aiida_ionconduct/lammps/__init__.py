"""LAMMPS without AiiDA: structure files, input scripts, readers of what LAMMPS writes, the pair style plugin."""
