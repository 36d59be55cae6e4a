"""All-lag mean squared displacement of many particles: our kernel against tidynamics, same numbers, same run."""

import sys
import time

import numpy as np
import tidynamics
from tabulate import tabulate

from aiida_ionconduct.transport import mean_squared_displacement

CASES = {'52 atoms × 100 000 frames': (100_000, 52), '500 atoms × 10 000 frames': (10_000, 500)}
TARGET = 4.0  # times faster than the peer
REPEATS = 3


def peer(positions):
    """tidynamics takes one particle at a time."""
    return np.mean([tidynamics.msd(positions[:, i]) for i in range(positions.shape[1])], axis=0)


def best_time(function, positions):
    """Return the shortest of some runs, and the result."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = function(positions)
        times.append(time.perf_counter() - start)
    return min(times), result


def main():
    rng = np.random.default_rng(1)
    rows, ratios = [], []
    for name, (frames, atoms) in CASES.items():
        positions = np.cumsum(rng.normal(scale=0.1, size=(frames, atoms, 3)), axis=0)
        ours, msd = best_time(mean_squared_displacement, positions)
        theirs, reference = best_time(peer, positions)
        difference = np.max(np.abs(msd[1:] - reference[1:]) / reference[1:])
        rows.append((name, f'{ours:.2f} s', f'{theirs:.2f} s', f'{theirs / ours:.1f}', f'{difference:.0e}'))
        ratios.append(theirs / ours)
    print(tabulate(rows, headers=('', 'aiida-ionconduct', 'tidynamics', 'ratio', 'largest relative difference')))
    met = min(ratios) >= TARGET
    print(f'RESULT msd_speedup={min(ratios):.1f} target={TARGET} {"met" if met else "missed"}')
    sys.exit(not met)


if __name__ == '__main__':
    main()
