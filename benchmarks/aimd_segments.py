"""AIMD in segments through AiiDA against the same pw.x in one process: about three minutes on an idle machine.

Needs the profile that `aiida-ionconduct setup` makes. Both run side by side on one core each, and are compared by what
a busy machine does not change: the processor time that pw.x itself reports for the same steps, which counts the
self-consistency that every segment does again, and the share of the segments' time in which no pw.x runs. Segments of
a production run last a day, not a minute, and cost less in proportion.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from aiida import load_profile, orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching
from tabulate import tabulate

TARGET = 0.10  # of the steps per hour by hand
TOTAL = re.compile(r'^ +PWSCF +: +(\S.*?) CPU +(\S.*?) WALL', re.MULTILINE)
UNIT_SECONDS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}


def pw_seconds(output: str) -> tuple[float, float]:
    """Return the processor time and the wall time, in s, that pw.x reports at its end, such as ``1m30.21s``."""
    return tuple(
        sum(float(number) * UNIT_SECONDS[unit] for number, unit in re.findall(r'([\d.]+) *([smhd])', text))
        for text in TOTAL.search(output).groups()
    )


def started(output: pathlib.Path, since: float) -> bool:
    """Whether a job was submitted after a time and has begun, all its files in place."""
    return output.with_name('_aiidasubmit.sh').stat().st_mtime > since and 'Program PWSCF' in output.read_text()


def by_hand(workdir: pathlib.Path, since: float, executable: str, result: list) -> None:
    """Run the input of the first segment, without its time limit, in a folder of its own."""
    while not (outputs := [path for path in workdir.rglob('aiida.out') if started(path, since)]):
        time.sleep(0.1)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(
            outputs[0].parent, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns('aiida.out', 'out')
        )
        path = pathlib.Path(folder, 'aiida.in')
        path.write_text('\n'.join(line for line in path.read_text().splitlines() if 'max_seconds' not in line) + '\n')
        command, environment = [executable, '-in', path.name], {**os.environ, 'OMP_NUM_THREADS': '1'}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        result.extend(pw_seconds(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--steps', type=int, default=240)
    parser.add_argument('--segment-seconds', type=float, default=90.0)
    options = parser.parse_args()
    load_profile()
    from aiida_ionconduct.calculations.functions.aimd import output_of
    from aiida_ionconduct.structures import crystal
    from aiida_ionconduct.workchains.aimd import AimdWorkChain
    from aiida_ionconduct.workchains.inputs import load_codes
    from aiida_ionconduct.workchains.protocols import protocol_inputs
    from aiida_ionconduct.workchains.stage_inputs import aimd_inputs

    aimd = {'temperatures_K': [900], 'timestep_fs': 1.0, 'sampling_ps': options.steps * 1e-3}
    overrides = {'dft': {'ecutwfc': 20.0, 'conv_thr_per_atom': 1e-9}, 'aimd': aimd}
    code = load_codes()['pw']
    structure = orm.StructureData(ase=crystal('beta-Li3PO4'))
    inputs = aimd_inputs(code, structure, protocol_inputs('conductivity', 'quickstart', overrides))
    inputs['base']['pw']['parameters']['CONTROL']['max_seconds'] = options.segment_seconds
    builder = AimdWorkChain.get_builder()
    builder._update({**inputs, 'structure': structure})

    hand: list[float] = []
    workdir = pathlib.Path(code.computer.get_workdir())
    peer = threading.Thread(target=by_hand, args=(workdir, time.time(), str(code.filepath_executable), hand))
    peer.start()
    start = time.perf_counter()
    with disable_caching():
        _, node = run_get_node(builder)
    seconds = time.perf_counter() - start
    peer.join()
    if not node.is_finished_ok:
        sys.exit(f'AimdWorkChain<{node.pk}> ended with {node.exit_status}: {node.exit_message}')
    jobs = [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]
    if len(jobs) == 1:
        sys.exit('this machine did all steps in one segment: raise --steps')
    cpu, wall = np.sum([pw_seconds(output_of(job.outputs.retrieved)) for job in jobs], axis=0)
    waiting = 1 - wall / seconds
    rows = [
        ('one pw.x by hand', 1, *hand, '', 3600 * options.steps / hand[0]),
        ('segments', len(jobs), cpu, wall, 100 * waiting, 3600 * options.steps / cpu * (1 - waiting)),
    ]
    headers = (
        f'{options.steps} steps',
        'jobs',
        'pw.x, processor (s)',
        'pw.x, wall (s)',
        'no pw.x (%)',
        'steps per hour of processor',
    )
    print(tabulate(rows, headers=headers, floatfmt='.1f'))
    cost = cpu / hand[0] / (1 - waiting) - 1
    print(f'RESULT aimd_segment_cost={cost:.3f} target={TARGET} {"met" if cost < TARGET else "missed"}')
    sys.exit(cost >= TARGET)


if __name__ == '__main__':
    main()
