"""The gate between training and production: is the potential good where the production run will take it?"""

import math
import re

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.structures import minimum_distances_of, radial_distribution
from aiida_ionconduct.transport import mean_squared_displacement, mobile_positions

SETTLING_FRAMES = 15  # of an AIMD run, in which its kinetic energy has not yet become potential energy


RDF_R_MAX_A = 5.0
MIN_MSD_LAG_PS, MAX_MSD_LAG_PS = 0.1, 5.0
SCATTER = 3  # standard deviations of the energy that a thermostat leaves behind


@calcfunction
def validate_model(thresholds: orm.Dict, **evidence: orm.Data) -> orm.Dict:
    """Compare the potential with DFT on held-out frames, and its molecular dynamics with AIMD.

    :param thresholds: the limits, see ``validation`` in the protocol; what is None or not given is not asked.
    :param evidence: ``training`` (output of the training) and ``dataset`` where the potential was trained here; the
        parameters of one short NVE run per temperature, labelled ``T1200``; ``temperatures_K`` of the runs there should
        be; and for those with AIMD at the same temperature, ``trajectory_T1200`` and ``reference_T1200``.
    :return: ``passed``, ``failed`` (names), ``checks`` (list of name, label, value, limit, unit, passed).
    """
    limits = thresholds.get_dict()
    runs = {temperature_of(key): evidence[key].get_dict() for key in evidence if re.fullmatch(r'T[\d_]+', key)}
    checks = test_set_checks(evidence['training'].get_dict(), limits) if 'training' in evidence else []
    frames = evidence['dataset'].get_frames() if 'dataset' in evidence else []
    asked_for = [f'{T:g}' for T in evidence['temperatures_K']] if 'temperatures_K' in evidence else []
    for temperature in sorted({*runs, *asked_for}, key=float):
        run = runs.get(temperature, {})
        if temperature in asked_for:
            checks += stability_checks(temperature, run, limits)
        if 'mean_temperature_K' in run and 'explosion' not in run:
            checks += dynamics_checks(temperature, run, limits)
            checks += seen_checks(temperature, run, frames, limits)
        pair = [evidence.get(f'{name}_T{temperature.replace(".", "_")}') for name in ('trajectory', 'reference')]
        if None not in pair:
            checks += structure_checks(temperature, *pair, limits) + displacement_checks(temperature, *pair, limits)
    failed = [check['name'] for check in checks if not check['passed']]
    return orm.Dict({'passed': not failed, 'failed': failed, 'checks': checks})


def temperature_of(label: str) -> str:
    """Return the temperature that a label such as ``T1000_5`` stands for."""
    return label.removeprefix('T').replace('_', '.')


def describe_failure(outcome: dict) -> str:
    """Return the checks that failed with their numbers, in words."""
    return '; '.join(
        f'{check["label"]} ({check["name"]}): {check["value"]:.4g} {check["unit"]}, allowed {allowed(check["limit"])}'
        for check in outcome['checks']
        if not check['passed']
    )


def allowed(limit: float | list[float | None]) -> str:
    """Return a limit in words."""
    if not isinstance(limit, list):
        return f'{limit:.4g}'
    low, high = limit
    return f'at least {low:.4g}' if high is None else f'{low:.4g} to {high:.4g}'


def check(name: str, label: str, value: float, limit: float | list[float | None], unit: str) -> dict:
    """Return one row of the gate; a single limit bounds the magnitude, a pair the value; None is no bound."""
    low, high = limit if isinstance(limit, list) else (-limit, limit)
    passed = bool(low <= value and (high is None or value <= high))
    return {'name': name, 'label': label, 'value': float(value), 'limit': limit, 'unit': unit, 'passed': passed}


def test_set_checks(training: dict, limits: dict) -> list[dict]:
    """Errors on held-out frames."""
    rows = (
        ('forces_mae', 'Force MAE, held-out frames', 'forces_mae_eV_per_A', 'eV/Å'),
        ('energy_mae', 'Energy MAE, held-out frames', 'energy_mae_eV_per_atom', 'eV/atom'),
        ('stress_mae', 'Stress MAE, held-out frames', 'stress_mae_eV_per_A3', 'eV/Å³'),
    )
    return [
        check(name, label, training[f'test_{key}'], limits[key], unit)
        for name, label, key, unit in rows
        if limits.get(key) is not None and f'test_{key}' in training
    ]


def stability_checks(temperature: str, run: dict, limits: dict) -> list[dict]:
    """The run must come to its end."""
    timestep_ps = limits['md']['timestep_fs'] / 1000
    length, lasted = limits['md']['production_steps'] * timestep_ps, run.get('n_steps', 0) * timestep_ps
    whole = min(lasted, length) if 'explosion' in run else lasted
    name, label = f'stability_{temperature}K', f'Time without explosion, {temperature} K'
    short = 'explosion' in run and lasted >= length  # it has exploded at the very end
    last_frame = length - limits['md'].get('frame_stride', 0) * timestep_ps  # up to there a trajectory may end
    return [check(name, label, 0.0 if short else whole, [last_frame * (1 - 1e-6), None], 'ps')]


def dynamics_checks(temperature: str, run: dict, limits: dict) -> list[dict]:
    """Conservation of energy, and a temperature that stays where equilibration left it.

    The thermostat leaves any energy of the canonical ensemble behind. In a harmonic solid its standard deviation,
    kT √(3N), is one of the mean temperature of T/√(3N): 5 % of it for 132 atoms, which the limit allows for.
    """
    T, drift = float(temperature), run['nve_drift_eV_per_atom_per_ps']
    fraction = math.hypot(limits['temperature_fraction'], SCATTER / math.sqrt(3 * run['n_atoms']))
    return [
        check(
            f'nve_drift_{temperature}K',
            f'NVE energy drift, {temperature} K',
            drift,
            limits['nve_drift_eV_per_atom_per_ps'],
            'eV/atom/ps',
        ),
        check(
            f'temperature_{temperature}K',
            f'Mean temperature in NVE, {temperature} K',
            run['mean_temperature_K'],
            [T * (1 - fraction), T * (1 + fraction)],
            'K',
        ),
    ]


def seen_checks(temperature: str, run: dict, frames: list, limits: dict) -> list[dict]:
    """Potential energy and distances within what DFT has shown.

    A potential that has left its training data falls into minima of its own making: its energy leaves the band of
    AIMD at the same temperature long before anything explodes.
    """
    aimd = [frame for frame in frames if frame.info.get('temperature_K') == float(temperature)][SETTLING_FRAMES:]
    checks = []
    if aimd:
        energies = [frame.get_potential_energy() / len(frame) for frame in aimd]
        mean = sum(energies) / len(energies)
        margin = limits['energy_band_eV_per_atom']
        checks.append(
            check(
                f'potential_energy_{temperature}K',
                f'Potential energy, mean above that of AIMD, {temperature} K',
                run['mean_potential_energy_eV_per_atom'] - mean,
                [min(energies) - mean - margin, max(energies) - mean + margin],
                'eV/atom',
            )
        )
    shortest = minimum_distances_of(frames)
    for pair, distance in sorted(run['minimum_distances'].items()):
        if pair in shortest:
            checks.append(
                check(
                    f'distance_{pair}_{temperature}K',
                    f'Shortest {pair} distance, {temperature} K',
                    distance,
                    [limits['distance_fraction'] * shortest[pair], None],
                    'Å',
                )
            )
    return checks


def structure_checks(
    temperature: str, run: IonTrajectoryData, reference: orm.TrajectoryData, limits: dict
) -> list[dict]:
    """Radial distribution functions against those of AIMD.

    The difference of a pair is the integral of abs(g - g_AIMD) over that of g_AIMD. AIMD is short: by what its own
    halves differ, the potential may differ as well.
    """
    if limits.get('rdf_difference') is None:
        return []
    symbols, cell = list(reference.symbols), reference.get_cells()[0]
    positions = reference.get_positions()
    half = len(positions) // 2

    def g(frames):
        return radial_distribution(frames, symbols, cell, RDF_R_MAX_A)

    whole, halves = g(positions), (g(positions[:half]), g(positions[half:]))
    model = radial_distribution(run.positions, run.symbols, run.cell, RDF_R_MAX_A)
    checks = []
    for pair in sorted(whole.keys() & model.keys()):
        area = whole[pair].sum()
        if area:
            noise = np.abs(halves[0][pair] - halves[1][pair]).sum() / area
            name, label = f'rdf_{pair}_{temperature}K', f'RDF {pair} against AIMD, {temperature} K'
            difference = np.abs(model[pair] - whole[pair]).sum() / area
            checks.append(check(name, label, difference, limits['rdf_difference'] + noise, 'of its area'))
    return checks


def displacement_checks(
    temperature: str, run: IonTrajectoryData, reference: orm.TrajectoryData, limits: dict
) -> list[dict]:
    """Mean-squared displacement of the mobile ions against that of AIMD, both relative to the framework.

    At a quarter of the shorter run: AIMD, a single run of few ions, does not say more. One that is shorter than some
    vibrations says nothing.
    """
    if limits.get('msd_factor') is None:
        return []
    mobile, times = limits['mobile'], reference.get_times()
    spacing = float(times[1] - times[0])
    lag_ps = min(MAX_MSD_LAG_PS, (times[-1] - times[0]) / 4, run.length_ps / 4)
    lag_ps -= lag_ps % run.frame_interval_ps
    if lag_ps < max(MIN_MSD_LAG_PS, run.frame_interval_ps):
        return []
    ratio = (
        mean_squared_displacement(mobile_positions(run.positions, run.symbols, mobile))[
            round(lag_ps / run.frame_interval_ps)
        ]
        / mean_squared_displacement(mobile_positions(reference.get_positions(), list(reference.symbols), mobile))[
            round(lag_ps / spacing)
        ]
    )
    factor = limits['msd_factor']
    name, label = f'msd_{mobile}_{temperature}K', f'MSD of {mobile} over that of AIMD, {lag_ps:.2g} ps, {temperature} K'
    return [check(name, label, ratio, [1 / factor, factor], '')]
