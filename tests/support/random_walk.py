"""A run in which the lithium ions walk at random and everything else is at rest."""

import numpy as np
from ase import Atoms

from aiida_ionconduct.data import IonTrajectoryData


def random_walk(atoms: Atoms, temperature_K: float, seed: int, n_frames: int) -> IonTrajectoryData:
    """Return the run, not stored; its frames are 0.1 ps apart.

    :param atoms: crystal of Li, P and O, where the ions begin.
    :param temperature_K: to which the length of a step is proportional.
    """
    rng = np.random.default_rng(seed)
    scale = np.where(np.array(atoms.symbols) == 'Li', temperature_K / 4000, 0.0)[:, None]
    steps = rng.normal(size=(n_frames, len(atoms), 3)) * scale
    return IonTrajectoryData(
        positions=atoms.positions + np.cumsum(steps, axis=0),
        centres_of_mass=np.zeros((n_frames, 3, 3)),
        thermo=np.zeros((n_frames, 1)),
        symbols=list(atoms.symbols),
        species=['Li', 'P', 'O'],
        cell=atoms.cell.array,
        temperature_K=float(temperature_K),
        timestep_fs=1.0,
        frame_interval_ps=0.1,
        com_interval_ps=0.1,
        seed=seed,
        thermo_columns=['step'],
    )
