"""Do the intervals cover the truth as often as they say? Every estimator on processes of known diffusivity.

`python benchmarks/coverage.py --replicas 400` takes about a quarter of an hour on two cores.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes fill the cores

import numpy as np
from tabulate import tabulate

from aiida_ionconduct.transport import analyse, diffusivity
from aiida_ionconduct.transport.estimators import AUTO, ESTIMATORS
from lib.processes import HAVEN, IONS, PROCESSES

SEEDS = 4
# Of `auto`: coverage of the 68.27 % and 95 % intervals, bias; RMSE on the first process.
LIMITS = {'68 %': (0.64, 0.72), '95 %': (0.925, 0.975), 'bias': (-0.02, 0.02)}
RMSE = 0.11
# The Haven ratio is the quotient of two noisy estimates, and so a little too high:
# its intervals must hold the truth, and may be wider than need be.
HAVEN_LIMITS = {'68 %': (0.64, 1.0), '95 %': (0.925, 1.0)}
HEADERS = ('process', 'estimator', 'bias', 'RMSE', 'mean reported error', '68 %', '95 %')


def outcome(estimate, truth):
    """Return value/truth and reported error/truth, and whether each interval holds the truth."""
    slope, error = (estimate.diagnostics.get(key) for key in ('slope', 'slope_stderr'))
    slope, error = (estimate.value, estimate.stderr) if slope is None else (slope, error)
    intervals = [estimate.interval(level) for level in (0.6827, 0.95)]
    return [slope / truth, error / truth, *(low <= truth <= high for low, high in intervals)]


def replica(task):
    """Return the outcomes of one replica by (process, estimator)."""
    process, number, estimators = task
    generate, dt_ps = PROCESSES[process]
    rng = np.random.default_rng([number, list(PROCESSES).index(process)])
    seeds = [generate(rng) for _ in range(SEEDS)]
    tracks, truth = seeds, 1e-4
    rows = {}
    if process == 'hopping':
        # What is charged moves against a lattice at rest.
        tracks, truth = [seed.sum(axis=1, keepdims=True) / np.sqrt(IONS) for seed in seeds], 1e-4 / HAVEN
        lattice = np.zeros((len(seeds[0]), IONS, 3))
        result = analyse(
            [np.concatenate((seed, lattice), axis=1) for seed in seeds],
            ['Li'] * IONS + ['Cl'] * IONS,
            {'Li': 1, 'Cl': -1},
            100 * np.eye(3),
            temperature_K=900.0,
            dt_ps=dt_ps,
        )
        rows['hopping, tracer', 'auto'] = outcome(result.diffusivity, 1e-4)
        rows['hopping, Haven ratio', 'auto'] = outcome(result.haven_ratio, HAVEN)
    for name in estimators:
        rows[process, name] = outcome(diffusivity(tracks, dt_ps, name), truth)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--replicas', type=int, default=400)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--processes', nargs='*', choices=PROCESSES, default=list(PROCESSES))
    estimators = ['auto', *(name for name in ESTIMATORS if name != AUTO)]
    parser.add_argument('--estimators', nargs='*', choices=estimators, default=estimators)
    options = parser.parse_args()
    tasks = [
        (process, number, options.estimators) for process in options.processes for number in range(options.replicas)
    ]
    outcomes = {}
    with ProcessPoolExecutor(options.workers) as pool:
        for rows in pool.map(replica, tasks, chunksize=4):
            for key, row in rows.items():
                outcomes.setdefault(key, []).append(row)
    table, missed = [], []
    for (process, name), rows in outcomes.items():
        value, error, in68, in95 = np.array(rows, dtype=float).T
        figures = {'bias': value.mean() - 1, 'RMSE': np.sqrt(np.mean((value - 1) ** 2)), 'error': error.mean()}
        figures |= {'68 %': in68.mean(), '95 %': in95.mean()}
        if name == 'auto':
            limits = HAVEN_LIMITS if 'Haven' in process else LIMITS
            missed += [f'{process} {key}' for key, (low, high) in limits.items() if not low <= figures[key] <= high]
            missed += ['caged RMSE'] if process == 'caged' and figures['RMSE'] > RMSE else []
        table.append((process, name, *(f'{figure:{"+" * (key == "bias")}.3f}' for key, figure in figures.items())))
    print(f'{SEEDS} seeds, {options.replicas} replicas; relative to the truth')
    print(tabulate(table, headers=HEADERS, disable_numparse=True))
    if missed:
        print(f'outside the limits: {", ".join(missed)}')
    print(f'RESULT coverage_misses={len(missed)} target=0 {"missed" if missed else "met"}')
    sys.exit(bool(missed))


if __name__ == '__main__':
    main()
