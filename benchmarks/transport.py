"""Speed of the transport analysis: all-lag MSD against its peers, and a whole analysis against reading the bytes.

Same data, same run, same numbers; the shortest of some repetitions counts.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tidynamics
from tabulate import tabulate

from aiida_ionconduct.transport import analyse, mean_squared_displacement

CASES = {'52 atoms × 100 000 frames': (100_000, 52), '2 000 atoms × 20 000 frames': (20_000, 2000)}
SPEEDUP, ANALYSIS_S, MEMORY = 4.0, 3.0, 1.5
SEEDS, FRAMES, ATOMS, MOBILE = 4, 100_000, 132, 52


def with_tidynamics(positions):
    """One particle at a time is how it takes them."""
    return np.mean([tidynamics.msd(positions[:, i]) for i in range(positions.shape[1])], axis=0)


def with_mdanalysis(positions):
    """Its Fourier transform route, over a trajectory in memory."""
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    universe = MDAnalysis.Universe.empty(positions.shape[1], trajectory=True)
    universe.load_new(positions, order='fac')
    return EinsteinMSD(universe, select='all', msd_type='xyz', fft=True).run(verbose=False).results.timeseries


def with_kinisi(positions):
    """It goes lag by lag, so only some are asked for: all of them would take a thousand times as long."""
    import scipp as sc
    from kinisi.displacement import calculate_msd

    lags = kinisi_lags(len(positions))
    steps = sc.array(dims=['time interval'], values=lags)
    parser = SimpleNamespace(
        displacements=sc.array(dims=['obs', 'particle', 'dimension'], values=positions[1:] - positions[0]),
        dt_index=steps,
        dt=steps * 1.0,
        dimensionality='xyz',
    )
    return calculate_msd(parser, progress=False)['da'].values


def kinisi_lags(frames):
    """Return the lags that kinisi is asked for."""
    return np.unique(np.geomspace(1, frames // 4, 8).astype(int))


PEERS = {'tidynamics': with_tidynamics, 'MDAnalysis': with_mdanalysis, 'kinisi, 8 lags': with_kinisi}


def best_time(function, argument, repeats):
    """Return the shortest of some runs, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(argument)
        times.append(time.perf_counter() - start)
    return min(times), result


def against_peers():
    """Return the rows of the table of all-lag MSDs, and the smallest ratio."""
    rng, rows, ratios = np.random.default_rng(1), [], []
    for case, (frames, atoms) in CASES.items():
        positions = np.cumsum(rng.normal(scale=0.1, size=(frames, atoms, 3)), axis=0, dtype=np.float32)
        positions = positions.astype(np.float64)
        repeats = 3 if atoms < 1000 else 1
        ours, msd = best_time(mean_squared_displacement, positions, max(2, repeats))
        for peer, function in PEERS.items():
            theirs, reference = best_time(function, positions, repeats)
            lags = kinisi_lags(frames) if 'kinisi' in peer else np.arange(1, frames)
            expected = reference if 'kinisi' in peer else reference[1:]
            difference = np.max(np.abs(msd[lags] - expected) / expected)
            rows.append((case, peer, f'{ours:.2f} s', f'{theirs:.2f} s', f'{theirs / ours:.1f}', f'{difference:.0e}'))
            ratios.append(theirs / ours)
    return rows, min(ratios)


def whole_analysis(folder):
    """Return seconds of the analysis and of reading the same bytes, and the peak memory over the trajectories' size."""
    rng, paths = np.random.default_rng(2), [Path(folder) / f'{seed}.npy' for seed in range(SEEDS)]
    for path in paths:
        positions = rng.normal(scale=0.1, size=(FRAMES, ATOMS, 3)).astype(np.float32)
        positions[:, :MOBILE] = np.cumsum(positions[:, :MOBILE], axis=0)
        np.save(path, positions)
    size = sum(path.stat().st_size for path in paths)
    del positions
    symbols = ['Li'] * MOBILE + ['P'] * 12 + ['Si'] * 4 + ['O'] * 64

    def read(_):
        return [path.read_bytes()[-1] for path in paths]

    def run(_):
        seeds = [np.load(path, mmap_mode='r') for path in paths]
        return analyse(
            seeds, symbols, {'Li': 1, 'P': 5, 'Si': 4, 'O': -2}, 12 * np.eye(3), temperature_K=1200.0, dt_ps=0.01
        )

    reading, _ = best_time(read, None, 3)
    analysis, _ = best_time(run, None, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return analysis, reading, peak / size, size


def main():
    with tempfile.TemporaryDirectory() as folder:
        # First, so that the peak of memory is its own.
        analysis, reading, memory, size = whole_analysis(folder)
    print(f'analyse, {SEEDS} seeds × {FRAMES} frames × {ATOMS} atoms, float32, memory-mapped, {size / 1e6:.0f} MB:')
    print(f'{analysis:.2f} s, {analysis / reading:.1f} times a plain read ({reading:.2f} s)')
    print(f'peak memory {memory:.2f} of the size of the trajectories')
    rows, ratio = against_peers()
    headers = ('all-lag MSD', 'peer', 'aiida-ionconduct', 'peer', 'ratio', 'largest relative difference')
    print(tabulate(rows, headers=headers, disable_numparse=True))
    met = ratio >= SPEEDUP and analysis <= ANALYSIS_S and memory <= MEMORY
    print(f'analyse_s={analysis:.2f} target={ANALYSIS_S}; memory={memory:.2f} target={MEMORY}')
    print(f'RESULT msd_speedup={ratio:.1f} target={SPEEDUP} {"met" if met else "missed"}')
    sys.exit(not met)


if __name__ == '__main__':
    main()
