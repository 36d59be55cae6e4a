"""The loop to a requested error on processes of known conductivity, without an engine: coverage, cost and predictions.

`python benchmarks/precision.py 200` takes some ten minutes.
"""

import os
import sys

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
from tabulate import tabulate

from aiida_ionconduct.studies.error_target import PrecisionTarget
from lib.campaign_loop import SeedSource, campaign, oracle_ns, reached
from lib.processes import HAVEN, PROCESSES

N_CAMPAIGNS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
COVERED, COST, FACTOR = 0.9, 1.5, 1.5
# By process: length of the first four seeds in ps, target, truth in cm²/s.
CASES = {'caged': (85.0, 0.1, 1e-4), 'hopping': (50.0, 0.1, 1e-4 / HAVEN)}


def main():
    rows, missed = [], []
    for name, (length_ps, error, truth) in CASES.items():
        generate, dt_ps = PROCESSES[name]
        target = PrecisionTarget(
            target_relative_error=error, max_md_ns=50.0, max_iterations=12, equilibration_ps=1.0, quantum_ps=1.0
        )
        figures = {'covered': [], 'reached': [], 'true error': [], 'MD': [], 'rounds': [], 'prediction': []}
        for seed in range(N_CAMPAIGNS):
            source = SeedSource(generate, dt_ps, seed, 8 * length_ps)
            estimate, last, decisions = campaign(source, target, 4, length_ps)
            low, high = estimate.interval(0.95)
            figures['covered'].append(low <= truth <= high)
            figures['reached'].append(reached(last))
            figures['true error'].append(estimate.value / truth - 1)
            figures['MD'].append(last['md_ns'])
            figures['rounds'].append(len(decisions))
            half = [decision for decision in decisions if decision['md_ns'] <= 0.6 * last['md_ns']]
            if half:
                figures['prediction'].append(half[-1]['temperatures']['T']['predicted_md_ns'] / last['md_ns'])
        f = {key: np.array(values, dtype=float) for key, values in figures.items()}
        cost = f['MD'] / oracle_ns(generate, dt_ps, target, length_ps)
        within = np.abs(np.log(f['prediction'])) < np.log(FACTOR)
        rows.append(
            (
                name, f'{f["covered"].mean():.3f}', f'{f["reached"].mean():.2f}',
                f'{np.sqrt(np.mean(f["true error"] ** 2)):.3f}', f'{f["true error"].mean():+.3f}',
                f'{f["rounds"].mean():.1f}', f'{cost.mean():.2f}', f'{np.median(cost):.2f}',
                f'{np.median(f["prediction"]):.2f}', f'{within.mean():.2f}',
            )
        )  # fmt: skip
        checks = {
            'coverage': f['covered'].mean() >= COVERED,
            'target': f['reached'].all(),
            'cost': cost.mean() <= COST,
            'prediction': 1 / FACTOR < np.median(f['prediction']) < FACTOR,
        }
        missed += [f'{name} {key}' for key, good in checks.items() if not good]
    headers = (
        'process', '95 % covers', 'target met', 'true RMS error', 'bias', 'rounds', 'MD/oracle, mean', 'median',
        'predicted/real, median', 'within 1.5',
    )  # fmt: skip
    print(f'{N_CAMPAIGNS} campaigns to a relative error of 0.1 from four seeds; predictions from 60 % of the MD')
    print(tabulate(rows, headers=headers, disable_numparse=True))
    if missed:
        print(f'missed: {", ".join(missed)}')
    print(f'RESULT precision_misses={len(missed)} target=0 {"missed" if missed else "met"}')
    sys.exit(bool(missed))


if __name__ == '__main__':
    main()
