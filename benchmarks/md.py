"""Molecular dynamics on the CPU: LAMMPS with our pair style against ASE with nequip's calculator, the same model.

A small model is trained for some seconds, which is enough for a crystal to survive; its accuracy does not matter here.
"""

import os
import pathlib
import sys
import tempfile
import time

import numpy as np
import torch
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from nequip.integrations.ase import NequIPCalculator
from tabulate import tabulate

from lib.allegro import compiled, lammps, solid_solution, train

TARGET_SPEED, TARGET_OVERHEAD = 1.3, 0.05
THREADS = min(2, os.cpu_count())
STEPS, REPEATS = 200, 3
# The model of the quickstart.
TRAINING = {
    'r_max': 4.5, 'l_max': 2, 'num_layers': 1, 'num_scalar_features': 48, 'num_tensor_features': 8, 'mlp_width': 48,
    'readout_width': 16, 'max_epochs': 40, 'learning_rate': 0.01, 'batch_size': 2, 'accelerator': 'cpu',
}  # fmt: skip


def ase_ms_per_step(atoms, model) -> float:
    """Return the milliseconds of a step of ASE's velocity Verlet."""
    atoms = atoms.copy()
    atoms.calc = NequIPCalculator.from_compiled_model(model, device='cpu')
    MaxwellBoltzmannDistribution(atoms, temperature_K=600, rng=np.random.default_rng(1))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)
    dynamics.run(10)
    start = time.perf_counter()
    dynamics.run(STEPS)
    return 1000 * (time.perf_counter() - start) / STEPS


def main():
    torch.set_num_threads(THREADS)
    atoms = solid_solution()
    strides = {'frame_stride': 100, 'com_stride': 10, 'thermo_stride': 100, 'production_steps': STEPS}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        train(folder, TRAINING)
        models = {target: compiled(folder, target, 'cpu', target) for target in ('pair_allegro', 'ase')}
        ours, theirs = [], []
        for repeat in range(REPEATS):  # in turn, so that both see the same machine
            ours.append(lammps(folder / f'{repeat}', atoms, models['pair_allegro'], threads=THREADS, **strides))
            theirs.append(ase_ms_per_step(atoms, models['ase']))
    best, peer = min(ours, key=lambda result: result['ms_per_step']), min(theirs)
    outside = min(result['outside_model'] for result in ours)
    rows = [('LAMMPS, our pair style', f'{best["ms_per_step"]:.1f}'), ("ASE, nequip's calculator", f'{peer:.1f}')]
    print(f'{len(atoms)} atoms, {THREADS} threads, best of {REPEATS} runs of {STEPS} steps\n')
    print(tabulate(rows, headers=('', 'ms a step')))
    ratio = peer / best['ms_per_step']
    print(f'outside the model: {100 * outside:.1f} % of the time, target {100 * TARGET_OVERHEAD:.0f} %')
    met = ratio >= TARGET_SPEED and outside <= TARGET_OVERHEAD
    print(f'RESULT md_speedup={ratio:.2f} target={TARGET_SPEED} {"met" if met else "missed"}')
    sys.exit(not met)


if __name__ == '__main__':
    main()
