"""Training sets: from trajectories with energies and forces to curated, split sets of frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_ionconduct.calculations.functions.curation import (
    REASONS,
    correlation_time,
    curate,
    find_duplicates,
    find_runs,
    run_correlation_time,
    time_of,
)
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData, IonTrajectoryData


def labelled_frames(trajectory: orm.TrajectoryData, **info: Any) -> list[Atoms]:
    """Return the frames of a pw.x trajectory with energy (eV) and forces (eV/Å), and ``info`` with each.

    Stresses of pw.x (GPa, positive under compression) are turned into ASE's unit and sign: eV/Å³, negative.

    :raises ValueError: if positions, energies and forces are not of the same number of frames.
    """
    positions, forces = trajectory.get_positions(), trajectory.get_array('forces')
    energies = trajectory.get_array('energy')
    if not len(positions) == len(forces) == len(energies):
        raise ValueError(
            f'the trajectory has {len(positions)} positions, {len(forces)} forces and {len(energies)} energies.'
        )
    cells = trajectory.get_array('cells')
    stresses = -trajectory.get_array('stress') * units.GPa if 'stress' in trajectory.get_arraynames() else None
    frames = []
    for index in range(len(positions)):
        frame = Atoms(trajectory.symbols, positions=positions[index], cell=cells[index], pbc=True, info=dict(info))
        labels = {'energy': float(energies[index]), 'forces': forces[index]}
        if stresses is not None:
            labels['stress'] = full_3x3_to_voigt_6_stress(stresses[index])
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    return frames


def _store_frames(frames: list[Atoms], counts: Mapping[str, int], *sources: DatasetData) -> DatasetData:
    """Return a training set that says how many frames were left out, by the reason.

    :param sources: the training sets of the frames, whose energies of isolated atoms are kept; the first set counts.
    :raises ValueError: if no frame is left.
    """
    if not frames:
        raise ValueError(f'no frame is left of the training set; left out were {dict(counts)}.')
    dataset = DatasetData.from_frames(frames)
    dataset.base.attributes.set('n_left_out', {reason: counts.get(reason, 0) for reason in REASONS})
    return _keep_references(dataset, *sources)


def _keep_references(dataset: DatasetData, *sources: DatasetData) -> DatasetData:
    """Return a training set with the energies of isolated atoms of the sets that it was made from."""
    isolated: dict[str, float] = {}
    for source in sources:
        isolated = {**source.isolated_energies_eV, **isolated}
    if isolated:
        dataset.base.attributes.set('isolated_energies_eV', isolated)
    return dataset


def _left_out(dataset: DatasetData) -> Counter[str]:
    """Return how many frames were left out on the way to a training set, by the reason."""
    return Counter(dataset.base.attributes.get('n_left_out', {}))


@calcfunction
def dataset_from_aimd(parameters: orm.Dict, **trajectories: orm.TrajectoryData) -> DatasetData:
    """Collect AIMD frames, curated; each states its run, its time and the correlation time of the run.

    :param parameters: ``stride``, ``temperatures_K`` by the label of the trajectory, and the parameters of
        :func:`~aiida_ionconduct.calculations.functions.curation.curate`. The correlation time is estimated from all
        steps, whatever the stride.
    :param trajectories: AIMD runs by the label of the temperature.
    :return: the training set; its attribute ``n_left_out`` counts the frames left out, by the reason.
    """
    p = parameters.get_dict()
    frames: list[Atoms] = []
    counts: Counter[str] = Counter()
    for label, trajectory in sorted(trajectories.items()):
        run = labelled_frames(trajectory, source='aimd', run=label, temperature_K=float(p['temperatures_K'][label]))
        times = trajectory.get_times()
        tau = correlation_time(trajectory.get_array('forces'))
        flagged = trajectory.get_array('scf_converged') if 'scf_converged' in trajectory.get_arraynames() else None
        for index, frame in enumerate(run):
            if times is not None and len(run) > 1:
                frame.info['time_ps'] = float(times[index])
                frame.info['correlation_time_ps'] = float(tau * (times[1] - times[0]))
            if flagged is not None and not flagged[index]:
                frame.info['scf_converged'] = False
        frames += run[:: p['stride']]
        steps = trajectory.get_stepids()  # counted from the start of the run, whose equilibration is left out already
        counts['equilibration'] += int(steps[0]) // p['stride'] if steps is not None else 0
    kept, left_out_here = curate(frames, p)
    return _store_frames(kept, counts + Counter(left_out_here))


@calcfunction
def dataset_from_labels(parameters: orm.Dict, **trajectories: orm.TrajectoryData) -> DatasetData:
    """Collect single self-consistent calculations; frames with larger forces than any run should meet are left out.

    :param parameters: ``source``, which the frames state as their origin, and ``max_force_eV_per_A``.
    :param trajectories: labelled frames of each job.
    :return: the training set; its attribute ``n_left_out`` counts the frames left out, by the reason.
    """
    p = parameters.get_dict()
    labelled = [frame for _, run in sorted(trajectories.items()) for frame in labelled_frames(run, source=p['source'])]
    return _store_frames(*curate(labelled, {'max_force_eV_per_A': p['max_force_eV_per_A']}))


@calcfunction
def curate_dataset(dataset: DatasetData, parameters: orm.Dict) -> DatasetData:
    """Leave out frames of a training set that teach nothing, or something wrong.

    :param dataset: any training set.
    :param parameters: of :func:`~aiida_ionconduct.calculations.functions.curation.curate`.
    """
    kept, counts = curate(dataset.get_frames(), parameters.get_dict())
    return _store_frames(kept, _left_out(dataset) + Counter(counts), dataset)


@calcfunction
def merge_datasets(**datasets: DatasetData) -> DatasetData:
    """Join training sets in the order of their labels; frames that an earlier set has are left out.

    :param datasets: two or more training sets.
    :return: one training set; its attribute ``n_left_out`` counts the frames left out on the way, by the reason.
    """
    sets = [dataset.get_frames() for _, dataset in sorted(datasets.items())]
    frames = [frame for members in sets for frame in members]
    set_of = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
    duplicates = {again for again, first in find_duplicates(frames).items() if set_of[again] != set_of[first]}
    counts = sum((_left_out(dataset) for dataset in datasets.values()), Counter({'duplicate': len(duplicates)}))
    kept = [frame for index, frame in enumerate(frames) if index not in duplicates]
    return _store_frames(kept, counts, *(dataset for _, dataset in sorted(datasets.items())))


@calcfunction
def split_dataset(dataset: DatasetData, parameters: orm.Dict) -> dict[str, DatasetData]:
    """Split a training set into training, validation and test frames.

    :param dataset: any training set.
    :param parameters: of :func:`split`.
    :return: ``train``, whose attribute ``n_gap`` counts the frames left out between parts, ``validation``, ``test``.
    :raises ValueError: if a part has no frame.
    """
    frames = dataset.get_frames()
    parts = split(frames, parameters.get_dict())
    n_gap = len(parts.pop('gap'))
    empty = [name for name, indices in parts.items() if not indices]
    if empty:
        raise ValueError(
            f'{len(frames)} frames are too few: none is left for {" and ".join(empty)}. Give longer runs, or more of '
            'them.'
        )
    datasets = {name: DatasetData.from_frames([frames[index] for index in part]) for name, part in parts.items()}
    datasets['train'].base.attributes.set('n_gap', n_gap)
    _keep_references(datasets['train'], dataset)
    return datasets


def split(frames: list[Atoms], parameters: Mapping[str, Any]) -> dict[str, list[int]]:
    """Deal frames to training, validation and test, the same shares of every run and so of every temperature.

    A run is cut into contiguous blocks: its end is for the test, a piece in the middle for validation, and training
    frames nearer to these than some correlation times of the run are left out. A run too short for that goes into
    training as a whole. Single calculations are independent and dealt by a seeded shuffle.

    :param parameters: ``validation`` and ``test``, the fractions; ``seed``; ``gap_correlation_times``, 0 by default.
    :return: indices of the frames for ``train``, ``validation``, ``test``, and in the ``gap`` between them.
    """
    rng = np.random.default_rng(parameters['seed'])
    fractions = parameters['validation'], parameters['test']
    runs = find_runs(frames)
    parts: dict[str, list[int]] = {'train': [], 'validation': [], 'test': [], 'gap': []}
    for members in runs.values():
        cut = _cut_blocks(members, *fractions)
        if parameters.get('gap_correlation_times'):
            cut = _with_gaps(frames, cut, parameters['gap_correlation_times'] * run_correlation_time(frames, members))
        for name, indices in cut.items():
            parts[name] += indices
    single: dict[str, list[int]] = {}
    for index in sorted(set(range(len(frames))) - {index for members in runs.values() for index in members}):
        single.setdefault(frames[index].info.get('source', 'unknown'), []).append(index)
    for members in single.values():
        for name, indices in _cut_blocks(rng.permutation(members).tolist(), *fractions).items():
            parts[name] += indices
    return parts


def _cut_blocks(members: list[int], validation: float, test: float) -> dict[str, list[int]]:
    """Cut a list into its end (test), a piece in the middle (validation), and the rest (train)."""
    n_validation, n_test = (round(fraction * len(members)) for fraction in (validation, test))
    middle, end = (len(members) - n_validation) // 2, len(members) - n_test
    return {
        'train': members[:middle] + members[middle + n_validation : end],
        'validation': members[middle : middle + n_validation],
        'test': members[end:],
    }


def _with_gaps(frames: list[Atoms], cut: dict[str, list[int]], gap: float) -> dict[str, list[int]]:
    """Leave out the training frames of a run that are nearer than a gap to the frames held out.

    A run is not cut at all if less than half of its training frames would be left, or if its validation and test frames
    are nearer to each other than the gap.

    :param cut: of ``_cut_blocks``.
    :param gap: least time in the unit of :func:`~aiida_ionconduct.calculations.functions.curation.time_of`.
    """

    def near(index: int, *names: str) -> bool:
        """Return whether a frame is nearer than the gap to a frame of some parts."""
        here = time_of(frames, index)
        return any(abs(time_of(frames, other) - here) < gap - 1e-9 for name in names for other in cut[name])

    seam = [index for index in cut['train'] if near(index, 'validation', 'test')]
    if any(near(index, 'test') for index in cut['validation']) or 2 * len(seam) > len(cut['train']):
        return {'train': [index for part in cut.values() for index in part]}
    return {**cut, 'train': [index for index in cut['train'] if index not in set(seam)], 'gap': seam}


@calcfunction
def pick_frames(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> orm.TrajectoryData:
    """Pick unlabelled frames at equal times from MD runs with the potential, for relabelling.

    :param parameters: ``n_frames`` in total.
    :param trajectories: runs of one composition, by the label of the run; each gives the same number of frames.
    :return: the frames, wrapped into the cell.
    """
    n_each = -(-parameters['n_frames'] // len(trajectories))
    frames = []
    for _, run in sorted(trajectories.items()):
        positions = run.positions
        # From the first frame on: a potential that fails does so within a fraction of a picosecond.
        for index in np.unique(np.linspace(0, len(positions) - 1, n_each).round().astype(int)):
            frame = Atoms(run.symbols, positions=positions[index].astype(float), cell=run.cell, pbc=True)
            frame.wrap()
            frames.append(frame)
    return frames_to_trajectory(frames)
