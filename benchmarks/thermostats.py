"""What the thermostat of the production does to the diffusion and to the temperature of a superionic crystal.

The reference is Newtonian dynamics at the mean energy of the canonical ensemble. Newtonian dynamics from starts of the
canonical ensemble, each with an energy of its own, is what a production at constant energy does. The input scripts are
those of the package, with another pair style.
"""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
from tabulate import tabulate

from aiida_ionconduct.lammps.dump import read_dump
from aiida_ionconduct.lammps.log import read_log
from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import TRAJECTORY_FILE
from aiida_ionconduct.lammps.structure import BOLTZMANN
from aiida_ionconduct.transport import mean_squared_displacement, mobile_positions
from aiida_ionconduct.workchains.protocols import load
from lib.silver_iodide import crystal, simulate

TEMPERATURE_K, CELLS, TIMESTEP_FS, FRAME_PS, LAGS_PS = 800.0, 3, 5.0, 0.2, (5.0, 25.0)
ERRORS, CHANGE, TOLERANCE = 3, 0.05, 0.01  # allowed: standard errors, change of D, deviation of a seed's temperature
DEFAULT = load('conductivity')['default_inputs']['md']
NVE, SET = 'NVE, energies of the ensemble', 'NVE, mean energy'
SETTINGS = {
    f'CSVR, {DEFAULT["production_damping_fs"]:g} fs (default)': ('csvr', DEFAULT['production_damping_fs']),
    NVE: None,
    SET: None,
    'CSVR, 10 fs': ('csvr', 10.0),
    'CSVR, 100 fs': ('csvr', 100.0),
    'CSVR, 1000 fs': ('csvr', 1000.0),
    'Nosé–Hoover, 100 fs': ('nose-hoover', 100.0),
    'Langevin, 100 fs': ('langevin', 100.0),
}


def run(folder: pathlib.Path, seed: int, setting, length_ps: float, energy_eV: float | None) -> dict[str, float]:
    """Run one seed; return its diffusivity (Å²/ps), mean temperature (K) and mean total energy (eV).

    :param setting: thermostat and damping time of the production; None for constant energy.
    :param energy_eV: total energy that the production starts with, by scaling the velocities; None leaves it.
    """
    atoms = crystal(CELLS)
    thermostat, damping = setting or (None, None)
    parameters = MdParameters(
        temperature_K=TEMPERATURE_K, seeds=[seed], timestep_fs=TIMESTEP_FS, equilibration_steps=8000,
        production_steps=round(1000 * length_ps / TIMESTEP_FS), frame_stride=round(1000 * FRAME_PS / TIMESTEP_FS),
        com_stride=1000, thermo_stride=10, restart_stride=0, ensemble='nvt' if setting else 'nve',
        production_thermostat=thermostat, production_damping_fs=damping,
    )  # fmt: skip
    before = []
    if energy_eV is not None:
        kelvin = f'({energy_eV:.10g}-pe)/({1.5 * (len(atoms) - 1) * BOLTZMANN:.10g})'
        before = ['fix integrate all nve', 'run 0', f'velocity all scale $({kelvin})', 'unfix integrate']
    simulate(folder, atoms, parameters, before)
    table = read_log((folder / 'lammps.log').read_text()).production.thermo
    positions = read_dump(folder / TRAJECTORY_FILE).values
    msd = mean_squared_displacement(mobile_positions(positions, list(atoms.symbols), 'Ag', ['I']))
    first, last = (round(lag / FRAME_PS) for lag in LAGS_PS)
    slope = (msd[last] - msd[first]) / (LAGS_PS[1] - LAGS_PS[0])
    return {'D': slope / 6, 'T': float(table[:, 1].mean()), 'E': float(table[:, 4].mean())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, default=6)
    parser.add_argument('--length-ps', type=float, default=400.0)
    options = parser.parse_args()
    results: dict[str, dict[str, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as name:
        for setting, thermostat in SETTINGS.items():
            energy = float(next(iter(results.values()))['E'].mean()) if setting == SET else None
            runs = []
            for seed in range(1, options.seeds + 1):
                folder = pathlib.Path(name) / f'{len(results)}_{seed}'
                folder.mkdir()
                runs.append(run(folder, seed + 100 * len(results), thermostat, options.length_ps, energy))
            results[setting] = {key: np.array([values[key] for values in runs]) for key in runs[0]}
            print(setting, *(f'{key} {values.round(4).tolist()}' for key, values in results[setting].items()))
            sys.stdout.flush()
    rows, ratios = [], {}
    D_nve, error_nve = mean_and_error(results[SET]['D'])
    for setting, values in results.items():
        (D, D_error), (T, T_error) = mean_and_error(values['D']), mean_and_error(values['T'])
        ratios[setting] = ratio, error = D / D_nve, D / D_nve * np.hypot(D_error / D, error_nve / D_nve)
        worst = np.abs(values['T'] / TEMPERATURE_K - 1).max()
        own = '' if setting == SET else f'{ratio:.3f} ± {error:.3f}'
        rows.append((setting, f'{T:.1f} ± {T_error:.1f}', f'{100 * worst:.1f}', f'{D:.4f} ± {D_error:.4f}', own))
    n_atoms = len(crystal(CELLS))
    print(f'\nα-AgI, {n_atoms} atoms, {TEMPERATURE_K:g} K, {options.seeds} seeds of {options.length_ps:g} ps each')
    headers = ('production', 'mean T (K)', 'worst seed (%)', 'D of Ag (Å²/ps)', 'D over that in NVE at the mean energy')
    print(tabulate(rows, headers=headers, disable_numparse=True))
    default = next(iter(SETTINGS))
    ratio, error = ratios[default]
    worst = np.abs(results[default]['T'] / TEMPERATURE_K - 1).max()
    met = abs(ratio - 1) <= min(ERRORS * error, CHANGE) and worst <= TOLERANCE
    print(
        f'RESULT default_D_over_nve={ratio:.3f} error={error:.3f} worst_seed_T={worst:.4f} '
        f'target=1±{CHANGE},{TOLERANCE} {"met" if met else "missed"}'
    )
    sys.exit(not met)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean over seeds and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


if __name__ == '__main__':
    main()
