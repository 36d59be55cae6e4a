"""Ordered cells of a folder of CIF files: how many are ordered, how true to the file, how compact and how fast.

Each file is ordered in a process of its own, by `aiida_ionconduct.structures.ordered_cells` as it is called by default.
A file counts as ordered if that returns within the time limit, no ions are nearer than their limit and no species
deviates from the file by more than the tolerance. Seconds are of one core (processor time), imports included, so that a
busy machine does not change them.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

TARGET = 0.9
SHIPPED = pathlib.Path(__file__).parents[1] / 'aiida_ionconduct' / 'structures' / 'crystals'


def order(path: str) -> dict:
    """Return what becomes of a file."""
    from aiida_ionconduct.structures import minimum_distances_of, ordered_cells, read_disordered
    from aiida_ionconduct.structures.composition import TOLERANCE
    from aiida_ionconduct.structures.contacts import bonds_between_full_sites, contact_limit
    from aiida_ionconduct.structures.supercell import image_distance

    try:
        ordering = ordered_cells(path)
    except ValueError as exception:
        return {'refused': str(exception), 'seconds': time.process_time()}
    seconds = time.process_time()
    atoms = ordering.candidates[0].atoms
    bonds = bonds_between_full_sites(read_disordered(path))
    distances = minimum_distances_of([atoms])
    limits = {
        pair: contact_limit(*pair.split('-'), ordering.oxidation, bonds, factor=ordering.limit_factor)
        for pair in distances
    }
    rows = ordering.deviations
    return {
        'seconds': seconds,
        'atoms': len(atoms),
        'composition': [(row.species, row.file, row.cell) for row in rows],
        'deviation': max(abs(row.relative) for row in rows),
        'distances': {pair: (distances[pair], limits[pair]) for pair in distances if distances[pair] < 3.5},
        'short': [pair for pair in distances if distances[pair] < limits[pair] - 1e-6],
        'tolerance': TOLERANCE,
        'image_distance': image_distance(atoms.cell.array),
        'notes': ordering.notes,
    }


def run(path: pathlib.Path, limit_s: float) -> dict:
    """Return what becomes of a file in a process of its own."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        job = subprocess.run(
            [sys.executable, __file__, '--one', str(path), '--limit', str(limit_s)],
            capture_output=True,
            text=True,
            timeout=10 * limit_s,
            check=False,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'},
        )
        if job.returncode == -signal.SIGXCPU:
            return {'failed': f'more than {limit_s:g} s', 'seconds': limit_s}
        if job.returncode == 0:
            return json.loads(job.stdout.splitlines()[-1])
        last = (job.stderr.strip().splitlines() or ['no message'])[-1]
        return {'failed': f'the program failed: {last}', 'seconds': 0.0}
    return {'failed': f'more than {10 * limit_s:g} s by the clock', 'seconds': limit_s}


def is_ordered(result: dict) -> bool:
    """Return whether a file is ordered, without contacts and true to its composition."""
    return 'atoms' in result and not result['short'] and result['deviation'] <= result['tolerance'] + 1e-6


def text_of(path: pathlib.Path, result: dict) -> str:
    """Return the lines about a file."""
    if 'atoms' not in result:
        word = 'refused' if 'refused' in result else 'FAILED'
        return f'{path.stem}: {word} ({result["seconds"]:.1f} s): {result.get("refused", result.get("failed"))}'
    composition = ' '.join(f'{species} {file:.3g}→{cell}' for species, file, cell in result['composition'])
    distances = ' '.join(f'{pair} {d:.2f}/{limit:.2f}' for pair, (d, limit) in sorted(result['distances'].items()))
    return '\n'.join(
        [
            f'{path.stem}: {"ordered" if is_ordered(result) else "NOT AS IN THE FILE"}, {result["atoms"]} atoms, '
            f'images {result["image_distance"]:.1f} Å apart, {result["seconds"]:.1f} s',
            f'    file→cell: {composition} (worst {100 * result["deviation"]:.1f} %)',
            f'    shortest/limit in Å: {distances}',
            *(f'    TOO NEAR: {pair}' for pair in result['short']),
            *(f'    note: {note}' for note in result['notes']),
        ]
    )


def main():
    """Order the files of a folder, print a report and the share that is ordered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'folder', type=pathlib.Path, nargs='?', default=SHIPPED, help='of CIF files; without it, the shipped crystals'
    )
    parser.add_argument('--jobs', type=int, default=1, help='files ordered at the same time')
    parser.add_argument('--limit', type=float, default=60.0, help='seconds of one core for each file')
    parser.add_argument('--sample', type=int, help='so many files at random (seed 0) instead of all')
    parser.add_argument('--one', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        seconds = math.ceil(arguments.limit)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        print(json.dumps(order(arguments.one)))
        return
    paths = sorted(arguments.folder.glob('*.cif'))
    if not paths:
        parser.error(f'{arguments.folder} has no CIF files: name a folder that has.')
    if arguments.sample:
        chosen = np.random.default_rng(0).permutation(len(paths))[: arguments.sample]
        paths = [paths[index] for index in sorted(chosen)]
    results = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for path, result in zip(paths, pool.map(lambda path: run(path, arguments.limit), paths), strict=True):
            results.append(result)
            print(text_of(path, result), flush=True)
    share = sum(map(is_ordered, results)) / len(results)
    seconds = [result['seconds'] for result in results]
    failed = sum('failed' in result for result in results)
    print(
        f'\n{len(results)} files: {sum(map(is_ordered, results))} ordered, '
        f'{sum("refused" in result for result in results)} refused, {failed} failed or out of time, '
        f'{statistics.median(seconds):.1f} s in the median, {max(seconds):.1f} s at most'
    )
    is_met = share >= TARGET and not failed
    print(f'RESULT ordered={share:.3f} target={TARGET} {"met" if is_met else "missed"}')
    sys.exit(not is_met)


if __name__ == '__main__':
    main()
