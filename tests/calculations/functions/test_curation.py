"""Curation and split, on dynamics of known correlation time, frames with known faults, and dynamics of DFT."""

import pathlib

import ase.io
import numpy as np
import pytest
from aiida import orm
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_ionconduct.calculations.functions.curation import (
    MIN_RUN_FRAMES,
    correlation_time,
    curate,
    find_duplicates,
    find_runs,
)
from aiida_ionconduct.calculations.functions.datasets import (
    curate_dataset,
    dataset_from_aimd,
    merge_datasets,
    split,
    split_dataset,
)
from aiida_ionconduct.data import DatasetData

AIMD = pathlib.Path(__file__).parents[2] / 'integration' / 'data' / 'Li3PO4_16atoms_aimd_40frames.extxyz'
DT_PS = 0.002


def ornstein_uhlenbeck(n_frames, tau, n_atoms=60, seed=0, period=None):
    """Return forces with the autocorrelation exp(-t/tau), or exp(-t/tau) cos(2 pi t/period), t in frames."""
    rng = np.random.default_rng(seed)
    memory = np.exp(-1 / tau + (2j * np.pi / period if period else 0))
    noise = rng.normal(size=(n_frames, n_atoms, 3, 2)) @ np.array([1, 1j])
    series = np.empty_like(noise)
    series[0] = noise[0]
    for step in range(1, n_frames):
        series[step] = memory * series[step - 1] + np.sqrt(1 - abs(memory) ** 2) * noise[step]
    return series.real


def frames_of(forces, spacing_ps=DT_PS, **info):
    """Return labelled frames of a run, which all differ."""
    frames = []
    rng = np.random.default_rng(len(forces))
    for index, force in enumerate(forces):
        atoms = Atoms('Li' * len(force), positions=rng.random((len(force), 3)) * 9, cell=[9, 9, 9], pbc=True)
        atoms.info = {'time_ps': index * spacing_ps, **info}
        atoms.calc = SinglePointCalculator(atoms, energy=-3.0 * len(force) + rng.normal(), forces=force)
        frames.append(atoms)
    return frames


def moved(frame, distance):
    """Return a frame with the same labels, all atoms moved along x."""
    again = frame.copy()
    again.positions[:, 0] += distance
    again.calc = SinglePointCalculator(again, **frame.calc.results)
    return again


@pytest.mark.parametrize('tau', [3, 12, 40])
def test_correlation_time(tau):
    """It is the time at which an exponential has fallen to 1/e."""
    assert correlation_time(ornstein_uhlenbeck(2000, tau)) == pytest.approx(tau, rel=0.15, abs=1)


def test_vibrations_do_not_cancel():
    """The integral over a damped vibration is nearly zero, its memory is not: the envelope counts."""
    forces = ornstein_uhlenbeck(3000, 40, period=10)
    series = forces.reshape(len(forces), -1) - forces.reshape(len(forces), -1).mean(axis=0)
    function = np.array([(series[: len(series) - k] * series[k:]).mean() for k in range(200)])
    assert abs(function.sum() / function[0]) < 4
    assert 30 <= correlation_time(forces) <= 42


def test_correlation_time_of_independent_frozen_and_drifting_forces():
    rng = np.random.default_rng(0)
    assert correlation_time(rng.normal(size=(200, 20, 3))) == 1
    assert correlation_time(np.ones((30, 4, 3))) == 30
    drift = np.arange(50.0)[:, None, None] * np.ones((50, 4, 3))
    assert correlation_time(drift) > 10


def test_correlation_time_of_dft():
    """It is the same by the plain sum over all pairs of frames, on dynamics of pw.x."""
    forces = np.array([frame.get_forces() for frame in ase.io.read(AIMD, ':')])
    fluctuations = forces - forces.mean(axis=0)
    n = len(forces)
    function = [sum((fluctuations[t] * fluctuations[t + k]).sum() for t in range(n - k)) / (n - k) for k in range(20)]
    expected = max(k for k in range(20) if abs(function[k]) > function[0] / np.e) + 1
    assert correlation_time(forces) == (n if expected == 20 else expected)


def test_runs_of_a_users_file():
    """Frames that state nothing are a run while material and temperature stay the same, if there are enough of them."""
    forces = ornstein_uhlenbeck(2 * MIN_RUN_FRAMES, 3, n_atoms=2)
    hot = frames_of(forces, temperature_K=900.0)
    cold = frames_of(forces[:MIN_RUN_FRAMES], temperature_K=600.0)
    few = frames_of(forces[: MIN_RUN_FRAMES - 1], temperature_K=300.0)
    rattled = frames_of(forces, source='rattled')
    runs = find_runs([*hot, *cold, *few, *rattled])
    assert sorted(map(len, runs.values())) == [MIN_RUN_FRAMES, 2 * MIN_RUN_FRAMES]


def test_every_reason_is_counted():
    frames = frames_of(ornstein_uhlenbeck(200, 5, seed=1), run='T900', source='aimd')
    frames[70].info['scf_converged'] = False
    frames[80].calc.results['forces'][3, 1] = -40.0
    frames.append(moved(frames[90], 9.0))  # the same crystal in another periodic image
    frames[-1].info = {'source': 'rattled'}
    kept, counts = curate(frames, {'equilibration_ps': 0.1, 'max_force_eV_per_A': 20.0, 'duplicate_A': 1e-3})
    assert counts == {'equilibration': 50, 'unconverged': 1, 'exploded': 1, 'duplicate': 1, 'correlated': 0}
    assert len(kept) == 201 - 53
    assert frames[90] in kept


def test_correlated_frames_are_left_out():
    frames = frames_of(ornstein_uhlenbeck(200, 5, seed=1), run='T900', source='aimd')
    frames[70].info['scf_converged'] = False
    kept, counts = curate(frames, {'spacing_correlation_times': 2.0})
    tau = correlation_time(np.array([frame.get_forces() for frame in frames])) * DT_PS
    times = np.array([frame.info['time_ps'] for frame in kept])
    assert np.diff(times).min() >= 2 * tau - 1e-9
    assert counts['correlated'] == 199 - len(kept)


def test_without_criteria_all_frames_are_kept():
    frames = frames_of(ornstein_uhlenbeck(30, 5))
    assert curate([*frames, frames[0]], {})[0] == [*frames, frames[0]]


def test_equal_within_the_tolerance_is_a_duplicate():
    (frame,) = frames_of(ornstein_uhlenbeck(1, 2, n_atoms=4))
    assert find_duplicates([frame, moved(frame, 5e-4), moved(frame, 5e-3)]) == {1: 0}


def test_merge_leaves_out_frames_of_other_sets(aiida_profile):
    """Equal frames within one set are kept: the set may have been asked to keep them."""
    frames = frames_of(ornstein_uhlenbeck(4, 2, n_atoms=4), source='x')
    before = DatasetData.from_frames([frames[0], frames[1], frames[1]])
    merged = merge_datasets(a=before, b=DatasetData.from_frames(frames[1:]))
    assert merged.n_frames == 5
    assert merged.base.attributes.get('n_left_out')['duplicate'] == 1


@pytest.fixture
def aimd():
    """Return 100 steps of AIMD after an equilibration of 60 steps, one of them not converged."""
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=['Li', 'Li', 'O'],
        positions=np.random.default_rng(3).random((100, 3, 3)) * 4,
        cells=np.repeat(4 * np.eye(3)[None], 100, axis=0),
        stepids=np.arange(60, 160),
        times=np.arange(60, 160) * DT_PS,
    )
    trajectory.set_array('forces', ornstein_uhlenbeck(100, 4, n_atoms=3))
    trajectory.set_array('energy', np.random.default_rng(4).normal(size=100))
    trajectory.set_array('scf_converged', np.arange(100) != 40)
    return trajectory


PARAMETERS = {'stride': 2, 'temperatures_K': {'T900': 900}, 'max_force_eV_per_A': 1e3}


def test_counts_add_up_over_the_steps(aimd, aiida_profile):
    """The counts of the AIMD, with the steps of its equilibration, and of a second curation are added."""
    dataset = dataset_from_aimd(orm.Dict(PARAMETERS), T900=aimd)
    counts = {'equilibration': 30, 'unconverged': 1, 'exploded': 0, 'duplicate': 0, 'correlated': 0}
    assert dataset.base.attributes.get('n_left_out') == counts
    again = curate_dataset(dataset, orm.Dict({'equilibration_ps': 0.02}))
    assert again.base.attributes.get('n_left_out') == {**counts, 'equilibration': 35}
    assert again.n_frames == 44


def test_frames_state_time_and_correlation_time(aimd, aiida_profile):
    """The correlation time is estimated from all steps, whatever the stride."""
    first, *_ = dataset_from_aimd(orm.Dict(PARAMETERS), T900=aimd).get_frames()
    assert first.info['time_ps'] == pytest.approx(60 * DT_PS)
    assert first.info['correlation_time_ps'] == pytest.approx(correlation_time(aimd.get_array('forces')) * DT_PS)


def dealt(frames, **parameters):
    """Return the frames of every part."""
    parts = split(frames, {'validation': 0.1, 'test': 0.1, 'seed': 1, **parameters})
    assert sorted(index for part in parts.values() for index in part) == list(range(len(frames)))
    return {name: [frames[index] for index in part] for name, part in parts.items()}


def separation(part, other):
    """Return the least time in ps between frames of the same run in two parts."""
    return min(
        abs(a.info['time_ps'] - b.info['time_ps'])
        for a in part
        for b in other
        if 'run' in a.info and a.info['run'] == b.info.get('run')
    )


@settings(max_examples=20, deadline=None)
@given(tau=st.integers(2, 8), seed=st.integers(0, 10**6), test=st.sampled_from([0.05, 0.1, 0.2]))
def test_no_test_frame_within_the_correlation_time_of_a_training_frame(tau, seed, test):
    """Parts are apart by the true correlation time of the process that made the forces, not only by its estimate."""
    frames = []
    for number, T in enumerate((600.0, 900.0)):
        forces = ornstein_uhlenbeck(400, tau, n_atoms=20, seed=seed + number)
        frames += frames_of(forces, run=f'T{T:.0f}', source='aimd', temperature_K=T)
    frames += frames_of(forces[:30], source='rattled')
    parts = dealt(frames, test=test, gap_correlation_times=2.0)
    for name, other in (('train', 'test'), ('train', 'validation'), ('validation', 'test')):
        assert separation(parts[name], parts[other]) >= tau * DT_PS
    for part in parts.values():  # every temperature has its share
        temperatures = [frame.info['temperature_K'] for frame in part if 'run' in frame.info]
        assert temperatures.count(600.0) == pytest.approx(len(temperatures) / 2, abs=0.1 * len(temperatures) + 2)


def test_without_gaps_neighbours_are_on_both_sides():
    """Without gaps the test above would see frames one step apart."""
    parts = dealt(frames_of(ornstein_uhlenbeck(400, 8, n_atoms=20), run='T600', source='aimd'))
    assert separation(parts['train'], parts['test']) == pytest.approx(DT_PS)


def test_run_too_short_to_cut(aiida_profile):
    """It goes into training as a whole; without another run nothing is left to test on, which is an error."""
    short = frames_of(ornstein_uhlenbeck(40, 30, n_atoms=5), run='short', source='aimd')
    long = frames_of(ornstein_uhlenbeck(400, 4, n_atoms=5), run='long', source='aimd')
    parts = dealt([*short, *long], gap_correlation_times=2.0)
    runs = {name: [frame.info['run'] for frame in part] for name, part in parts.items()}
    assert runs['train'].count('short') == 40
    assert {*runs['validation'], *runs['test']} == {'long'}
    parameters = {'validation': 0.1, 'test': 0.1, 'seed': 1, 'gap_correlation_times': 2.0}
    with pytest.raises(ValueError, match=r'none is left for validation and test\. Give longer runs'):
        split_dataset(DatasetData.from_frames(short), orm.Dict(parameters))
    nodes = split_dataset(DatasetData.from_frames([*short, *long]), orm.Dict(parameters))
    assert {name: node.n_frames for name, node in nodes.items()} == {
        name: len(part) for name, part in parts.items() if name != 'gap'
    }
    assert nodes['train'].base.attributes.get('n_gap') == len(parts['gap']) > 0
