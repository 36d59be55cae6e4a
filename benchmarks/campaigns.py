"""Campaigns to a requested error on a salt of known conductivity, run by the real LAMMPS through the work chain.

`python benchmarks/campaigns.py 40` takes about a quarter of an hour. Does the final 95 % interval hold the truth, is
the requested error met, and what does it cost against one who knows beforehand how much it takes?
"""

import logging
import pathlib
import shutil
import sys
import tempfile
import time

import numpy as np
from tabulate import tabulate

from aiida_ionconduct.studies.error_target import PrecisionTarget
from lib import programs
from lib.campaign_loop import oracle_ns
from lib.processes import inertial
from model_systems import salt

N_CAMPAIGNS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
ERROR = 0.1
DT_PS, LENGTH_PS, EQUILIBRATION_PS = (
    steps * salt.PARAMETERS['timestep_fs'] / 1000
    for steps in (salt.PARAMETERS[name] for name in ('frame_stride', 'production_steps', 'equilibration_steps'))
)
TARGET = PrecisionTarget(
    target_relative_error=ERROR,
    max_md_ns=20.0,
    max_iterations=12,
    equilibration_ps=EQUILIBRATION_PS,
    quantum_ps=DT_PS,
)
COVERED, COST = 0.9, 1.5  # at least 36 of 40; mean cost over the oracle's


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix='campaigns-'))
    try:
        programs.load_new_profile(folder)
        code = programs.code(programs.computer(folder, 0.1), programs.executable('lmp'), 'ionconduct.lammps.md')
        from aiida.engine import run_get_node

        from aiida_ionconduct.lammps import script
        from aiida_ionconduct.workchains.precision import PrecisionWorkChain

        logging.getLogger('aiida').setLevel(logging.ERROR)
        script.POTENTIALS.update(salt.FORMAT)
        truth, rows = salt.conductivity_S_per_cm(), []
        for campaign in range(N_CAMPAIGNS):
            start, first = time.perf_counter(), 1 + 1000 * campaign
            _, node = run_get_node(
                PrecisionWorkChain, **salt.inputs(code, ERROR, TARGET.max_md_ns, seeds=range(first, first + 4))
            )
            outcome = node.outputs.outcome.get_dict()
            a = node.outputs.conductivities.T600.base.attributes.all
            low, high = a['sigma_full_ci95']
            rows.append(
                (
                    outcome['ending'], outcome['round'], outcome['md_ns'], outcome['temperatures']['T600']['n_seeds'],
                    a['sigma_full_S_per_cm'] / truth, a['sigma_full_stderr'] / a['sigma_full_S_per_cm'],
                    low <= truth <= high,
                )
            )  # fmt: skip
            print(campaign + 1, *rows[-1], f'{time.perf_counter() - start:.0f} s', flush=True)
        report(rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report(rows):
    """Print the table and the result."""
    endings, rounds, md, _, ratio, error, covered = zip(*rows, strict=True)
    md, ratio, error = (np.array(column) for column in (md, ratio, error))
    oracle = oracle_ns(
        lambda rng, frames: inertial(rng, DT_PS, frames, salt.FRICTION_FS / 1000), DT_PS, TARGET, LENGTH_PS
    )
    covered = np.array(covered)
    met = np.mean([ending == 'converged' for ending in endings])
    table = [
        ('final 95 % interval holds the truth', f'{covered.sum()} of {len(rows)}'),
        ('ended converged', f'{met:.0%}'),
        ('largest reported relative error', f'{error.max():.3f}'),
        ('RMS of the true relative error', f'{np.sqrt(np.mean((ratio - 1) ** 2)):.3f}'),
        ('bias', f'{ratio.mean() - 1:+.3f}'),
        ('rounds', f'{np.mean(rounds):.1f}'),
        ('MD, mean (least, most), ns', f'{md.mean():.3f} ({md.min():.3f}, {md.max():.3f})'),
        ('an oracle would spend, ns', f'{oracle:.3f}'),
        ('share within 1.5 times the oracle', f'{np.mean(md < COST * oracle):.0%}'),
    ]
    print(tabulate(table, disable_numparse=True))
    good = covered.mean() >= COVERED and met == 1 and md.mean() <= COST * oracle
    print(
        f'RESULT campaigns_covered={covered.mean():.3f} cost_over_oracle={md.mean() / oracle:.2f} '
        f'target={COVERED:g},{COST:g} {"met" if good else "missed"}'
    )
    sys.exit(not good)


if __name__ == '__main__':
    main()
