"""Training sets: from trajectories with energies and forces to curated, split sets of frames."""

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData, IonTrajectoryData


def labelled_frames(trajectory: orm.TrajectoryData, **info) -> list[Atoms]:
    """Return the frames of a pw.x trajectory with energy (eV) and forces (eV/Å), and ``info`` with each.

    :raises ValueError: if positions, energies and forces are not of the same number of frames.
    """
    positions, forces = trajectory.get_positions(), trajectory.get_array('forces')
    energies = trajectory.get_array('energy')
    if not len(positions) == len(forces) == len(energies):
        raise ValueError(
            f'the trajectory has {len(positions)} positions, {len(forces)} forces and {len(energies)} energies.'
        )
    cells = trajectory.get_cells()
    frames = []
    for index in range(len(positions)):
        frame = Atoms(trajectory.symbols, positions=positions[index], cell=cells[index], pbc=True, info=dict(info))
        frame.calc = SinglePointCalculator(frame, energy=float(energies[index]), forces=forces[index])
        frames.append(frame)
    return frames


@calcfunction
def dataset_from_aimd(parameters: orm.Dict, **trajectories: orm.TrajectoryData) -> DatasetData:
    """Collect AIMD frames, the same share of each run; frames without self-consistency are left out.

    :param parameters: ``stride``, ``temperatures_K`` by the label of the trajectory.
    """
    p = parameters.get_dict()
    frames = []
    for label, trajectory in sorted(trajectories.items()):
        run = labelled_frames(trajectory, source='aimd', run=label, temperature_K=float(p['temperatures_K'][label]))
        flagged = trajectory.get_array('scf_converged') if 'scf_converged' in trajectory.get_arraynames() else None
        frames += [run[i] for i in range(0, len(run), p['stride']) if flagged is None or flagged[i]]
    return DatasetData.from_frames(frames)


@calcfunction
def dataset_from_labels(parameters: orm.Dict, **trajectories: orm.TrajectoryData) -> DatasetData:
    """Collect single self-consistent calculations; frames with forces no run should meet are left out.

    :param parameters: ``source``, the name the frames get, and ``max_force_eV_per_A``.
    """
    p = parameters.get_dict()
    labelled = [frame for _, run in sorted(trajectories.items()) for frame in labelled_frames(run, source=p['source'])]
    kept = [frame for frame in labelled if np.abs(frame.get_forces()).max() < p['max_force_eV_per_A']]
    dataset = DatasetData.from_frames(kept)
    dataset.base.attributes.set('n_left_out', len(labelled) - len(kept))
    return dataset


@calcfunction
def merge_datasets(**datasets: DatasetData) -> DatasetData:
    """Join training sets in the order of their labels."""
    return DatasetData.from_frames([frame for _, one in sorted(datasets.items()) for frame in one.get_frames()])


@calcfunction
def split_dataset(dataset: DatasetData, parameters: orm.Dict):
    """Split into training, validation and test frames.

    Frames of one AIMD run are cut into contiguous blocks, one of each dealt to validation and test, so that neighbours
    in time are not on both sides but at the seams; single calculations are independent and dealt by a seeded shuffle.

    :param parameters: ``validation`` and ``test``, the fractions; ``seed``.
    """
    p = parameters.get_dict()
    rng = np.random.default_rng(p['seed'])
    frames = dataset.get_frames()
    runs: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        runs.setdefault(frame.info.get('run', frame.info.get('source', 'unknown')), []).append(index)
    parts: dict[str, list[int]] = {'train': [], 'validation': [], 'test': []}
    for indices in runs.values():
        if 'run' not in frames[indices[0]].info:
            indices = rng.permutation(indices).tolist()
        n_validation, n_test = (round(p[name] * len(indices)) for name in ('validation', 'test'))
        middle = (len(indices) - n_validation) // 2  # the end and the middle of a run, apart from each other
        parts['test'] += indices[len(indices) - n_test :]
        parts['validation'] += indices[middle : middle + n_validation]
        parts['train'] += indices[:middle] + indices[middle + n_validation : len(indices) - n_test]
    empty = [name for name, indices in parts.items() if not indices]
    if empty:
        raise ValueError(f'{len(frames)} frames are too few: none is left for {" and ".join(empty)}.')
    return {name: DatasetData.from_frames([frames[index] for index in indices]) for name, indices in parts.items()}


@calcfunction
def pick_frames(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> orm.TrajectoryData:
    """Pick unlabelled frames at equal times from MD runs with the potential, for relabelling.

    :param parameters: ``n_frames`` in total.
    """
    n_each = -(-parameters['n_frames'] // len(trajectories))
    frames = []
    for _, run in sorted(trajectories.items()):
        positions = run.positions
        # from the first frame on: a model that fails does so within a fraction of a picosecond
        for index in np.unique(np.linspace(0, len(positions) - 1, n_each).round().astype(int)):
            frame = Atoms(run.symbols, positions=positions[index].astype(float), cell=run.cell, pbc=True)
            frame.wrap()
            frames.append(frame)
    return frames_to_trajectory(frames)
