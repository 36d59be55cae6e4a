"""A Lennard-Jones crystal, whose frames LAMMPS writes in seconds."""

import pathlib
import subprocess

from lib.programs import executable

N_ATOMS = 132
SCRIPT = """
units metal
lattice fcc 5.4
region box block 0 3 0 3 0 4
create_box 1 box
create_atoms 1 box
group surplus id > {n_atoms}
delete_atoms group surplus
change_box all triclinic
mass 1 40
pair_style lj/cut 6
pair_coeff 1 1 0.01 3.4
velocity all create {temperature_K} 1
fix integrate all nve
timestep 0.002
{dumps}
run {n_steps}
"""


def write_frames(folder: pathlib.Path, n_frames: int, temperature_K: float, dumps: str) -> None:
    """Write the frames of a run into a folder, as the lines `dumps` of the script say."""
    text = SCRIPT.format(n_atoms=N_ATOMS, temperature_K=temperature_K, dumps=dumps, n_steps=n_frames - 1)
    (folder / 'lammps.in').write_text(text)
    subprocess.run([executable('lmp'), '-in', 'lammps.in', '-screen', 'none'], cwd=folder, check=True)
