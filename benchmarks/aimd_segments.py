"""AIMD in segments through AiiDA against the same pw.x in one process, side by side on one core each.

Needs the profile that `aiida-ionconduct setup` makes. Both runs go on at the same time, so that whatever else the
machine does slows both.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from aiida import load_profile, orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching
from tabulate import tabulate

TARGET = 0.10  # of the time by hand


def started(output: pathlib.Path, since: float) -> bool:
    """Whether a job was submitted after a time and has begun, all its files in place."""
    return output.with_name('_aiidasubmit.sh').stat().st_mtime > since and 'Program PWSCF' in output.read_text()


def by_hand(workdir: pathlib.Path, since: float, executable: str, result: dict) -> None:
    """Run the input of the first segment, without its time limit, in a folder of its own."""
    while not (found := [path for path in workdir.rglob('aiida.out') if started(path, since)]):
        time.sleep(0.1)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(found[0].parent, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns('aiida.out', 'out'))
        path = pathlib.Path(folder, 'aiida.in')
        path.write_text('\n'.join(line for line in path.read_text().splitlines() if 'max_seconds' not in line) + '\n')
        start = time.perf_counter()
        subprocess.run([executable, '-in', 'aiida.in'], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        result['seconds'] = time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--steps', type=int, default=400)
    parser.add_argument('--segment-seconds', type=float, default=150.0)
    options = parser.parse_args()
    load_profile()
    from aiida_ionconduct.structures import crystal
    from aiida_ionconduct.workchains.aimd import AimdWorkChain
    from aiida_ionconduct.workchains.builder import aimd_inputs, load_codes
    from aiida_ionconduct.workchains.protocols import protocol_inputs

    aimd = {'temperatures_K': [900], 'timestep_fs': 1.0, 'sampling_ps': options.steps * 1e-3}
    overrides = {'dft': {'ecutwfc': 20.0, 'conv_thr_per_atom': 1e-9}, 'aimd': aimd}
    code = load_codes()['pw']
    structure = orm.StructureData(ase=crystal('beta-Li3PO4'))
    inputs = aimd_inputs(code, structure, protocol_inputs('conductivity', 'quickstart', overrides))
    inputs['base']['pw']['parameters']['CONTROL']['max_seconds'] = options.segment_seconds
    builder = AimdWorkChain.get_builder()
    builder._update({**inputs, 'structure': structure})

    hand: dict = {}
    workdir = pathlib.Path(code.computer.get_workdir())
    peer = threading.Thread(target=by_hand, args=(workdir, time.time(), str(code.filepath_executable), hand))
    peer.start()
    start = time.perf_counter()
    with disable_caching():
        _, node = run_get_node(builder)
    seconds = time.perf_counter() - start
    peer.join()
    n_segments = node.outputs.run_parameters.T900['n_segments']
    rows = [
        ('one pw.x by hand', 1, f'{hand["seconds"]:.0f} s', f'{3600 * options.steps / hand["seconds"]:.0f}'),
        ('segments', n_segments, f'{seconds:.0f} s', f'{3600 * options.steps / seconds:.0f}'),
    ]
    print(tabulate(rows, headers=('', 'jobs', f'{options.steps} steps', 'steps per hour')))
    cost = seconds / hand['seconds'] - 1
    met = cost < TARGET and n_segments > 1
    print(f'RESULT aimd_segment_cost={cost:.3f} target={TARGET} {"met" if met else "missed"}')
    sys.exit(not met)


if __name__ == '__main__':
    main()
