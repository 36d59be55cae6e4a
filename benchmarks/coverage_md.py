"""Do the intervals hold on molecular dynamics? Short campaigns cut from long runs of a superionic crystal, α-AgI.

The truth is the growth of the mean-squared displacement of all runs together between two lags at which it is linear;
the growth at the next lags is printed beside it. A campaign has one stretch of each of four independent runs;
runs are many, because each keeps a diffusivity of its own for nanoseconds (7 % of scatter in runs of 2.5 ns). The
production is that of the package, with another pair style; its thermostat is the default.

    python benchmarks/coverage_md.py                  # 20 ns at 800 K, about ten minutes on one core
    python benchmarks/coverage_md.py --temperature 500
"""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
from tabulate import tabulate

from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import TRAJECTORY_FILE
from aiida_ionconduct.transport import analyse
from aiida_ionconduct.transport.constants import SIEMENS_PER_CM
from lib.coverage import figures, misses, outcome
from lib.silver_iodide import crystal, simulate

CELLS, TIMESTEP_FS, FRAME_PS, SEEDS = 3, 5.0, 0.1, 4
LAGS_PS = ((6.0, 12.0), (12.0, 24.0))  # of the truth, and of the growth printed beside it
LENGTHS_PS = (12.5, 25.0, 50.0, 100.0)  # of the stretches
CHARGES = {'Ag': 1, 'I': -1}
QUANTITIES = ('tracer', 'full', 'Haven ratio')


def run(folder: pathlib.Path, seed: int, temperature_K: float, length_ps: float) -> np.ndarray:
    """Return the positions (frames, atoms, 3) of a run, unwrapped, in Å."""
    atoms = crystal(CELLS)
    parameters = MdParameters(
        temperature_K=temperature_K, seeds=[seed], timestep_fs=TIMESTEP_FS, equilibration_steps=8000,
        production_steps=round(1000 * length_ps / TIMESTEP_FS), frame_stride=round(1000 * FRAME_PS / TIMESTEP_FS),
        com_stride=1000, thermo_stride=1000, restart_stride=0,
    )  # fmt: skip
    simulate(folder, atoms, parameters)
    return read_dump(folder / TRAJECTORY_FILE).values


def growth(tracks: list[np.ndarray], lags_ps: tuple[float, float]) -> tuple[float, float]:
    """Return D in Å²/ps from the growth of the squared displacement between two lags, and its standard error.

    :param tracks: (frames, n, 3) of each run; the error is the scatter of the runs.
    """
    first, last = (round(lag / FRAME_PS) for lag in lags_ps)
    slopes = []
    for track in tracks:
        squares = [np.mean(np.sum((track[lag:] - track[:-lag]) ** 2, axis=2)) for lag in (first, last)]
        slopes.append((squares[1] - squares[0]) / (6 * (lags_ps[1] - lags_ps[0])))
    return float(np.mean(slopes)), float(np.std(slopes, ddof=1) / np.sqrt(len(slopes)))


def truths(runs: list[np.ndarray], lags_ps: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """Return tracer, full diffusivity and Haven ratio of the silver against the iodine, with standard errors."""
    is_silver = crystal(CELLS).numbers == 47
    silver = [run[:, is_silver] - run[:, ~is_silver].mean(axis=1, keepdims=True) for run in runs]
    sums = [track.sum(axis=1, keepdims=True) / np.sqrt(is_silver.sum()) for track in silver]
    (tracer, tracer_error), (full, full_error) = growth(silver, lags_ps), growth(sums, lags_ps)
    relative = np.hypot(tracer_error / tracer, full_error / full)
    values = [(tracer, tracer_error), (full, full_error), (tracer / full, tracer / full * relative)]
    return dict(zip(QUANTITIES, values, strict=True))


def campaign(stretches: list[np.ndarray], temperature_K: float) -> dict[str, tuple[float, ...]]:
    """Return the estimates of a campaign: tracer and full diffusivity in Å²/ps, Haven ratio."""
    atoms = crystal(CELLS)
    result = analyse(
        stretches, list(atoms.symbols), CHARGES, atoms.cell.array,
        temperature_K=temperature_K, dt_ps=FRAME_PS, mobile='Ag', unwrapped=True,
    )  # fmt: skip
    unit = SIEMENS_PER_CM * np.sum(atoms.numbers == 47) / (atoms.get_volume() * temperature_K)  # of sigma over D
    full = result.sigma_full.scaled(1 / unit)
    tracer = result.sigma_tracer.scaled(1 / unit)
    return dict(zip(QUANTITIES, (tracer, full, result.haven_ratio), strict=True))


def main() -> None:
    """Print the coverage for each length of the stretches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--temperature', type=float, default=800.0)
    parser.add_argument('--runs', type=int, default=32, help='a multiple of four')
    parser.add_argument('--length-ps', type=float, default=625.0, help='of each run')
    options = parser.parse_args()
    if options.runs < SEEDS or options.length_ps < LENGTHS_PS[-1]:
        parser.error(f'give at least {SEEDS} runs of at least {LENGTHS_PS[-1]:g} ps, so that every campaign fits.')
    runs = []
    for seed in range(1, options.runs + 1):
        with tempfile.TemporaryDirectory() as name:
            runs.append(run(pathlib.Path(name), seed, options.temperature, options.length_ps))
    n_atoms = len(crystal(CELLS))
    print(f'α-AgI, {n_atoms} atoms, {options.temperature:g} K, {options.runs} runs of {options.length_ps:g} ps')
    truth, check = truths(runs, LAGS_PS[0]), truths(runs, LAGS_PS[1])
    for quantity in QUANTITIES:
        words = [
            f'{value:.4f} ± {error:.4f} (lags {first:g} to {last:g} ps)'
            for (value, error), (first, last) in zip((truth[quantity], check[quantity]), LAGS_PS, strict=True)
        ]
        print(f'{quantity}: {", ".join(words)}')
    rows, missed = [], []
    for length_ps in LENGTHS_PS:
        frames = round(length_ps / FRAME_PS)
        outcomes = {quantity: [] for quantity in QUANTITIES}
        for first in range(0, len(runs) - SEEDS + 1, SEEDS):
            for start in range(0, len(runs[0]) - frames, frames):
                stretches = [run[start : start + frames + 1] for run in runs[first : first + SEEDS]]
                for quantity, estimate in campaign(stretches, options.temperature).items():
                    outcomes[quantity].append(outcome(estimate, truth[quantity][0]))
        for quantity, of_campaigns in outcomes.items():
            numbers = figures(of_campaigns)
            missed += misses(f'{length_ps:g} ps, {quantity}', numbers, len(of_campaigns))
            cells = [f'{number:{"+" * (key == "bias")}.3f}' for key, number in numbers.items()]
            rows.append((f'4 × {length_ps:g} ps', len(of_campaigns), quantity, *cells))
    print(tabulate(rows, headers=('campaign', 'number', 'quantity', *numbers), disable_numparse=True))
    for text in missed:
        print(f'outside the limits: {text}')
    print(f'RESULT coverage_misses={len(missed)} of={len(rows)} target=0 {"missed" if missed else "met"}')
    sys.exit(bool(missed))


if __name__ == '__main__':
    main()
