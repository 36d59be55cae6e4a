"""What a pretrained potential saves: errors on held-out DFT frames against the number of DFT labels.

From scratch, fine-tuned after a training on labels of the pretrained potential, and the pretrained potential alone. Run
in full once, on a machine that does nothing else:

    python benchmarks/teaching.py --full FOLDER

FOLDER keeps all frames and results, so that the script goes on where it was stopped. In full it labels frames of the
quickstart's Li7PSiO8 and of the sulfide Li10GeP2S12 with pw.x, unless `--frames MATERIAL=FILE` gives DFT frames.
Without `--full`, a reduced form shows in minutes that the whole script works: few epochs, one number of labels, and the
DFT frames of the tests. Its numbers say little.

Targets: at 16 to 32 labels at most half the force error of training from scratch, and no more than it at the largest
number. `--learning-rates` compares rates of the fine-tuning.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from lib import programs

ROOT = pathlib.Path(__file__).parents[1]
TEST_FRAMES = ROOT / 'tests' / 'integration' / 'data' / 'Li7PSiO8_17atoms_dft_23frames.extxyz'
MODEL = {
    'r_max': 4.5, 'l_max': 2, 'num_layers': 1, 'num_scalar_features': 48, 'num_tensor_features': 8, 'mlp_width': 48,
    'readout_width': 16, 'batch_size': 2, 'accelerator': 'cpu',
}  # fmt: skip
SAMPLING = {'steps': 400, 'stride': 20, 'n_hops': 20, 'n_rattled': 60}
FULL: dict[str, Any] = {
    'n_labels': (8, 16, 32, 64), 'n_held_out': 28, 'relax': 'positions_cell', 'sampling': SAMPLING,
    'temperatures_K': (1000, 1600), 'scratch_epochs': 300, 'teach_epochs': 100, 'tune_epochs': 200,
}  # fmt: skip
REDUCED: dict[str, Any] = {
    'n_labels': (16,), 'n_held_out': 7, 'relax': None,
    'sampling': {'steps': 8, 'stride': 4, 'n_hops': 6, 'n_rattled': 12}, 'temperatures_K': (1000,),
    'scratch_epochs': 15, 'teach_epochs': 8, 'tune_epochs': 15,
}  # fmt: skip
MATERIALS = {'Li7PSiO8': 'beta-Li3PO4', 'Li10GeP2S12': 'Li10GeP2S12'}
"""The materials, and the crystals they are made of. The first is the quickstart's, the second a sulfide."""
RATIO_TARGET, RATIO_RANGE = 0.5, (16, 32)


def main() -> int:
    """Run all materials, print a table, and return whether the targets are met."""
    options = arguments()
    folder = pathlib.Path(options.full or tempfile.mkdtemp(prefix='teaching-benchmark-'))
    folder.mkdir(parents=True, exist_ok=True)
    profile = pathlib.Path(tempfile.mkdtemp(prefix='teaching-profile-'))
    programs.load_new_profile(profile)
    from lib import teaching  # AiiDA reads the folder of its profile when it is imported

    given = dict(pair.split('=', 1) for pair in options.frames)
    materials = list(MATERIALS) if options.full else ['Li7PSiO8']
    if not options.full:
        given.setdefault('Li7PSiO8', str(TEST_FRAMES))
    rates = [float(word) for word in options.learning_rates.split(',')]
    engines = teaching.Engines(profile, with_dft=any(name not in given for name in materials))
    ratios: dict[int, list[float]] = {}
    for name in materials:
        results = measure(name, given.get(name), folder / name, engines, FULL if options.full else REDUCED, rates)
        print(teaching.table(name, results, rates), flush=True)
        for n_labels, row in results['by_labels'].items():
            ratios.setdefault(int(n_labels), []).append(min(row['tuned'].values()) / row['scratch'])
    largest = max(ratios)
    inside = [ratio for n, values in ratios.items() if RATIO_RANGE[0] <= n <= RATIO_RANGE[1] for ratio in values]
    worst = max(inside)
    met = worst <= RATIO_TARGET and max(ratios[largest]) <= 1
    form = 'full' if options.full else 'reduced'
    print(
        f'\nRESULT form={form} force_error_tuned_over_scratch_at_16_to_32={worst:.2f} target=<={RATIO_TARGET} '
        f'at_{largest}={max(ratios[largest]):.2f} target=<=1 {"met" if met else "missed"}'
    )
    return 0 if met or not options.full else 1  # the reduced form shows that the script works


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--full', metavar='FOLDER', help='run in full, and keep frames and results in this folder')
    parser.add_argument(
        '--frames', metavar='MATERIAL=FILE', action='append', default=[], help='DFT frames of a material'
    )
    parser.add_argument('--learning-rates', default='0.002', help='rates of the fine-tuning, with commas')
    return parser.parse_args()


def measure(
    name: str, frames: str | None, folder: pathlib.Path, engines: Any, p: dict[str, Any], rates: list[float]
) -> dict[str, Any]:
    """Return the errors of one material; everything that was done before is read from the folder.

    :param name: of the material.
    :param frames: a file of DFT frames; None lets pw.x make them.
    """
    folder.mkdir(exist_ok=True)
    taught_path, dft_path, results_path = folder / 'taught.extxyz', folder / 'dft.extxyz', folder / 'results.json'
    if not taught_path.exists():
        ase.io.write(taught_path, engines.sample(name, MATERIALS[name], p), format='extxyz')
    taught = ase.io.read(taught_path, ':')
    if not dft_path.exists():
        n_frames = max(p['n_labels']) + p['n_held_out']
        labelled = ase.io.read(frames, ':') if frames else engines.label(name, taught, n_frames)
        ase.io.write(dft_path, labelled, format='extxyz')
    train, test = deal(ase.io.read(dft_path, ':'), p)
    results: dict[str, Any] = json.loads(results_path.read_text()) if results_path.exists() else {'by_labels': {}}

    def keep() -> None:
        results_path.write_text(json.dumps(results, indent=1))

    if 'teacher' not in results:
        results['teacher'] = engines.error_of_teacher(test)
        keep()
    model = None
    for n_labels in p['n_labels']:
        row = results['by_labels'].setdefault(str(n_labels), {'tuned': {}})
        if 'scratch' not in row:
            parameters = {**MODEL, 'max_epochs': p['scratch_epochs'], 'learning_rate': 0.01}
            row['scratch'] = engines.train(train[:n_labels], test, parameters)[1]
            keep()
        for rate in rates:
            if str(rate) not in row['tuned']:
                if model is None:
                    parameters = {**MODEL, 'max_epochs': p['teach_epochs'], 'learning_rate': 0.01}
                    model, results['taught_against_teacher'] = engines.train(taught, None, parameters)
                parameters = {**MODEL, 'max_epochs': p['tune_epochs'], 'learning_rate': rate}
                row['tuned'][str(rate)] = engines.train(train[:n_labels], test, parameters, initial=model)[1]
                keep()
    return results


def deal(frames: list[Atoms], p: dict[str, Any]) -> tuple[list[Atoms], list[Atoms]]:
    """Return the frames for training, shuffled, and the frames held out, which are the same for all numbers of labels.

    :raises ValueError: if there are too few frames.
    """
    order = np.random.default_rng(1).permutation(len(frames))
    test, train = order[: p['n_held_out']], order[p['n_held_out'] :]
    if len(train) < max(p['n_labels']):
        raise ValueError(
            f'{len(frames)} DFT frames are too few for {max(p["n_labels"])} labels and {len(test)} held out.'
        )
    return [frames[index] for index in train], [frames[index] for index in test]


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    sys.exit(main())
