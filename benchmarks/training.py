"""What a training costs beside ``nequip-train`` itself: AiiDA's staging and parsing, and packaging.

Runs a training (Li7PSiO8, 17 atoms) as a job of AiiDA, in a profile in memory, and takes the time of the two
programs apart. Target: all but ``nequip-train`` below 20 s.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import tempfile
import time

FOLDER = tempfile.mkdtemp(prefix='training-benchmark-')
os.environ['AIIDA_PATH'] = FOLDER

from aiida import load_profile, orm  # noqa: E402
from aiida.engine import run_get_node  # noqa: E402
from aiida.storage.sqlite_temp import SqliteTempBackend  # noqa: E402
from tabulate import tabulate  # noqa: E402

from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation  # noqa: E402
from aiida_ionconduct.calculations.functions.datasets import split_dataset  # noqa: E402
from aiida_ionconduct.data import DatasetData  # noqa: E402
from lib import programs  # noqa: E402

FRAMES = pathlib.Path(__file__).parents[1] / 'tests' / 'integration' / 'data' / 'Li7PSiO8_17atoms_dft_23frames.extxyz'
PARAMETERS = {
    'r_max': 4.5, 'l_max': 2, 'num_layers': 1, 'num_scalar_features': 48, 'num_tensor_features': 8, 'mlp_width': 48,
    'readout_width': 16, 'batch_size': 2, 'learning_rate': 0.01, 'max_epochs': 20, 'accelerator': 'cpu',
}  # fmt: skip
TARGET_S = 20.0
TIMED = """#!/bin/bash
begin=$(date +%s.%N)
{program} "$@"
status=$?
echo "$begin $(date +%s.%N)" > {times}
exit $status
"""


def timed_code(computer: orm.Computer, program: str, times: pathlib.Path) -> orm.InstalledCode:
    """Return a code that notes when a program has begun and ended."""
    script = pathlib.Path(FOLDER) / f'timed-{program}'
    script.write_text(TIMED.format(program=programs.executable(program), times=times))
    script.chmod(0o755)
    return programs.code(computer, script, 'ionconduct.allegro.train')


def main() -> int:
    """Run the training and print where the time went."""
    load_profile(SqliteTempBackend.create_profile('benchmark'), allow_switch=True)
    computer = programs.computer(pathlib.Path(FOLDER), 0.5)
    times = {name: pathlib.Path(FOLDER) / f'{name}.times' for name in ('nequip-train', 'nequip-package')}
    codes = {name: timed_code(computer, name, path) for name, path in times.items()}
    parts = split_dataset(
        DatasetData(FRAMES, stress_unit='eV/A^3'), orm.Dict({'validation': 0.2, 'test': 0.2, 'seed': 1})
    )
    begin = time.time()
    _, node = run_get_node(
        AllegroTrainCalculation,
        code=codes['nequip-train'],
        package_code=codes['nequip-package'],
        parameters=orm.Dict(PARAMETERS),
        metadata={'options': {'max_wallclock_seconds': 3600}},
        **parts,
    )
    total = time.time() - begin
    if not node.is_finished_ok:
        raise RuntimeError(f'the training failed: {node.exit_message}')
    spans = {name: [float(word) for word in path.read_text().split()] for name, path in times.items()}
    seconds = {name: end - start for name, (start, end) in spans.items()}
    around = total - seconds['nequip-train']
    rows = [
        *seconds.items(),
        ('staging: to the start of nequip-train', spans['nequip-train'][0] - begin),
        ('parsing: from the end of nequip-package', begin + total - spans['nequip-package'][1]),
        ('in all', total),
    ]
    print(tabulate(rows, headers=('', 's'), floatfmt='.2f'))
    met = around < TARGET_S
    print(f'\nRESULT around_training_s={around:.1f} target=<{TARGET_S:g} {"met" if met else "missed"}')
    return 0 if met else 1


if __name__ == '__main__':
    try:
        status = main()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    sys.exit(status)
