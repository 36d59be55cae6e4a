"""Do the intervals cover the truth as often as they say? Every estimator on processes of known diffusivity.

`python benchmarks/coverage.py` takes about twelve minutes on one core, and `--estimators auto` half as long; with 300
replicas, the error of counting matters little. Lines are printed as they are found.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes fill the cores

import numpy as np

from aiida_ionconduct.transport import analyse, diffusivity
from aiida_ionconduct.transport.estimators import AUTO, ESTIMATORS
from aiida_ionconduct.transport.estimators.results import Estimate
from lib.coverage import Row, figures, misses, outcome
from lib.zoo import PROCESSES, Process

EXCESS = 1.25  # width and RMSE of `auto` over those of the best other estimator that is honest
HONEST = 0.90  # least coverage of 95 % intervals on every process for an estimator to be honest
HEADERS = ('process', 'estimator', 'bias', 'RMSE', 'error', 'half 95 %', '68 %', '95 %', 'no number', 'bound holds')
WIDTHS = (36, 13, 7, 7, 7, 9, 6, 6, 9, 11)

Task = tuple[str, int, Sequence[str]]


def replica(task: Task) -> dict[tuple[str, str], Row]:
    """Return the outcomes of one replica by process and estimator."""
    name, number, estimators = task
    process = PROCESSES[name]
    seeds = process.draw(np.random.default_rng([number, sum(map(ord, name))]))
    rows = {}
    cases = {name: (seeds, process.truth * 1e-4)}
    if process.haven:
        ions = seeds[0].shape[1]
        sums = [seed.sum(axis=1, keepdims=True) / np.sqrt(ions) for seed in seeds]
        cases = {f'{name}, tracer': cases[name], f'{name}, full': (sums, process.truth * 1e-4 / process.haven)}
        if 'auto' in estimators:
            rows[f'{name}, Haven ratio', 'auto'] = outcome(_haven_ratio(seeds, process), process.haven)
    for case, (tracks, truth) in cases.items():
        for estimator in estimators:
            rows[case, estimator] = outcome(diffusivity(tracks, process.dt_ps, estimator), truth)
    return rows


def _haven_ratio(seeds: list[np.ndarray], process: Process) -> Estimate | None:
    """Return the Haven ratio of ions that move against a lattice at rest."""
    ions = seeds[0].shape[1]
    result = analyse(
        [np.concatenate((seed, np.zeros_like(seed)), axis=1) for seed in seeds],
        ['Li'] * ions + ['Cl'] * ions,
        {'Li': 1, 'Cl': -1},
        100 * np.eye(3),
        temperature_K=900.0,
        dt_ps=process.dt_ps,
        unwrapped=True,
    )
    return result.haven_ratio


def outcomes(tasks: Sequence[Task], workers: int) -> Iterator[dict[tuple[str, str], Row]]:
    """Return the outcomes of all replicas in order."""
    if workers == 1:
        yield from map(replica, tasks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(replica, tasks, chunksize=4)


def line(cells: Sequence[str]) -> str:
    """Return a row of the table."""
    return ' '.join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def against_the_best(table: dict[tuple[str, str], dict[str, float]]) -> list[str]:
    """Return rows in which `auto` is wider than the best estimator whose intervals hold on every process."""
    others = {name for _, name in table} - {'auto'}
    honest = [name for name in others if all(f['95 %'] >= HONEST for (_, own), f in table.items() if own == name)]
    missed = []
    for (process, name), own in table.items():
        rows = [table[process, other] for other in honest if name == 'auto' and (process, other) in table]
        for key in ('RMSE', 'half 95 %'):
            best = min((row[key] for row in rows), default=np.inf)
            if own[key] > EXCESS * best:
                missed.append(f'{process}: {key} {own[key] / best:.2f} times the best')
    print(f'honest on every process, beside auto: {", ".join(sorted(honest)) or "none"}')
    return missed


def main() -> None:
    """Print the table and what is outside the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--replicas', type=int, default=32)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--processes', nargs='*', choices=PROCESSES, default=list(PROCESSES), metavar='NAME')
    estimators = ['auto', *(name for name in ESTIMATORS if name != AUTO)]
    parser.add_argument('--estimators', nargs='*', choices=estimators, default=estimators)
    options = parser.parse_args()
    print(f'{options.replicas} replicas; relative to the truth; * was not used to choose anything')
    print(line(HEADERS), flush=True)
    table, missed = {}, []
    for process in options.processes:
        tasks = [(process, number, options.estimators) for number in range(options.replicas)]
        rows: dict[tuple[str, str], list[Row]] = {}
        for of_replica in outcomes(tasks, options.workers):
            for key, row in of_replica.items():
                rows.setdefault(key, []).append(row)
        for (name, estimator), of_replicas in rows.items():
            numbers = table[name, estimator] = figures(of_replicas)
            if estimator == 'auto':
                missed += misses(name, numbers, options.replicas)
            cells = [f'{number:{"+" * (key == "bias")}.3f}' for key, number in numbers.items()]
            print(line((name + '*' * PROCESSES[process].fresh, estimator, *cells)), flush=True)
    missed += against_the_best(table)
    for text in missed:
        print(f'outside the limits: {text}')
    print(f'RESULT coverage_misses={len(missed)} of={len(table)} target=0 {"missed" if missed else "met"}')
    sys.exit(bool(missed))


if __name__ == '__main__':
    main()
