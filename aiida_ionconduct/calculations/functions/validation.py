"""The gate between training and production: is the potential good where the production run will take it.

A check is a row made by :func:`check`; functions named ``…_checks`` return the rows of one kind, for one temperature.
A comparison that cannot be made is a row made by :func:`not_asked`, with the reason.

AIMD at constant energy and the run of the gate each have a temperature of their own, which in a small cell deviates by
T/√(3N) from the temperature on the label: 14 % for 17 atoms. The comparisons allow for the measured difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms, units

from aiida_ionconduct.data import DatasetData, IonTrajectoryData
from aiida_ionconduct.labels import read_temperature, temperature_label
from aiida_ionconduct.sampling.statement import ATTRIBUTE
from aiida_ionconduct.structures import minimum_distances_of, radial_distribution
from aiida_ionconduct.transport import choose_framework, mean_squared_displacement, mobile_positions

Limit = float | list[float | None]
"""A number bounds the magnitude of a value, a pair the value from below and above; None in a pair is no bound."""

FEWEST_FRAMES = 4  # of AIMD, for halves of two frames
SETTLING_FRAMES = 15  # first frames of an AIMD run, in which its kinetic energy has not yet become potential energy
RDF_R_MAX_A = 5.0
MIN_MSD_LAG_PS, MAX_MSD_LAG_PS = 0.1, 5.0
SCATTER = 3  # standard deviations of the energy that a thermostat leaves behind
DRIFT_ERRORS = 2  # standard errors of a drift by which it may exceed the limit that the production sets
# What a difference between two temperatures does: to the potential energy of harmonic ions; to the peaks of g(r), which
# are Gaussian with a variance proportional to T, as a share of their area; to hops over a barrier.
POTENTIAL_ENERGY_PER_K, PEAK_CHANGE, BARRIER_EV = 1.5 * units.kB, 0.5, 0.5
Outcome = dict[str, Any]
"""A row of the gate, as it is stored."""


@calcfunction
def validate_model(thresholds: orm.Dict, **evidence: orm.Data) -> orm.Dict:
    """Compare the potential with DFT on held-out frames, and its molecular dynamics with AIMD.

    :param thresholds: the limits, see ``validation`` in the protocol; a check whose limit is None or missing is not
        made.
    :param evidence: ``training`` (output of the training) and ``dataset`` where the potential was trained here; the
        parameters of one short NVE run per temperature, labelled ``T1200``; ``temperatures_K`` at which there should be
        a run; and for temperatures with AIMD, the trajectories ``trajectory_T1200`` and, of AIMD, ``reference_T1200``.
    :return: ``passed``, ``failed`` (names), ``checks`` (list of name, label, value, limit, unit, passed), and
        ``not_asked`` (list of name, label, reason): comparisons with AIMD that could not be made.
    """
    limits = thresholds.get_dict()
    described = {key: node.get_dict() for key, node in evidence.items() if isinstance(node, orm.Dict)}
    training = described.pop('training', {})
    runs = {f'{read_temperature(key):g}': run for key, run in described.items()}
    checks, left_out = _test_set_checks(training, limits), []
    frames = evidence['dataset'].get_frames() if 'dataset' in evidence else []
    asked_for = [f'{T:g}' for T in evidence['temperatures_K'].get_list()] if 'temperatures_K' in evidence else []
    for temperature in sorted({*runs, *asked_for}, key=float):
        run = runs.get(temperature, {})
        if temperature in asked_for:
            checks += _stability_checks(temperature, run, limits)
        label = temperature_label(float(temperature))
        trajectory, reference = evidence.get(f'trajectory_{label}'), evidence.get(f'reference_{label}')
        rows = []
        if 'mean_temperature_K' in run and 'explosion' not in run:
            checks += dynamics_checks(temperature, run, limits)
            rows += _seen_checks(temperature, run, frames, limits, aimd_temperature_K=_temperature_of(reference))
        else:
            reason = 'the run of the potential did not come to its end'
            rows.append(not_asked(f'potential_energy_{temperature}K', _energy_label(temperature), reason))
        rows += _aimd_checks(temperature, run, limits, trajectory=trajectory, reference=reference)
        checks += [row for row in rows if 'reason' not in row]
        left_out += [row for row in rows if 'reason' in row]
    failed = [check['name'] for check in checks if not check['passed']]
    outcome: dict[str, Any] = {'passed': not failed, 'failed': failed, 'checks': checks, 'not_asked': left_out}
    dataset = evidence.get('dataset')
    if isinstance(dataset, DatasetData) and dataset.labelled_by:  # the gate has compared with these labels
        outcome[ATTRIBUTE] = sorted(dataset.labelled_by)
    return orm.Dict(outcome)


def describe_failure(outcome: dict[str, Any]) -> str:
    """Return the checks that failed with their numbers, in words.

    :param outcome: of :func:`validate_model`.
    """
    return '; '.join(
        f'{check["label"]} ({check["name"]}): {check["value"]:.4g} {check["unit"]}, allowed {_allowed(check["limit"])}'
        for check in outcome['checks']
        if not check['passed']
    )


def _allowed(limit: Limit) -> str:
    """Return a limit in words."""
    if not isinstance(limit, list):
        return f'{limit:.4g}'
    low, high = limit
    return f'at least {low:.4g}' if high is None else f'{low:.4g} to {high:.4g}'


def check(name: str, label: str, value: float, *, limit: Limit, unit: str = '') -> Outcome:
    """Return one row of the gate: whether a value is within its limit, and what a reader needs to know of it."""
    low, high = limit if isinstance(limit, list) else (-limit, limit)
    passed = bool((low is None or low <= value) and (high is None or value <= high))
    return {'name': name, 'label': label, 'value': float(value), 'limit': limit, 'unit': unit, 'passed': passed}


def not_asked(name: str, label: str, reason: str) -> Outcome:
    """Return the row of a comparison that could not be made, with the reason."""
    return {'name': name, 'label': label, 'reason': reason}


def _temperature_of(reference: Any) -> float | None:
    """Return the mean temperature that an AIMD run had, in K, where it is known."""
    known = isinstance(reference, orm.TrajectoryData) and 'temperature' in reference.get_arraynames()
    return float(reference.get_array('temperature').mean()) if known else None


def allowed_drift(temperature_K: float, limits: Mapping[str, Any]) -> float | None:
    """Return the drift of the total energy, in eV/atom/ps, that a production of the length asked for can bear.

    Energy that the integration or the potential makes goes half into the motion and half into the potential energy of
    harmonic ions: 3 k for each kelvin. Over the production the temperature may change by the share
    ``temperature_drift_fraction``. A thermostat would hide such a drift, but not cure it: heat that is made in one
    place and taken out of all atoms alike is no equilibrium. The limit is therefore the same with a thermostat.

    :param limits: see :func:`validate_model`.
    :return: None where the limits say nothing of the production.
    """
    fraction, length = limits.get('temperature_drift_fraction'), limits.get('production_ps')
    return fraction * 3 * units.kB * temperature_K / length if fraction and length else None


def _test_set_checks(training: dict[str, Any], limits: dict[str, Any]) -> list[Outcome]:
    """Judge the errors on held-out frames.

    :param training: output of the training; empty for a potential that was trained elsewhere.
    """
    rows = (
        ('forces_mae', 'Force MAE, held-out frames', 'forces_mae_eV_per_A', 'eV/Å'),
        ('energy_mae', 'Energy MAE, held-out frames', 'energy_mae_eV_per_atom', 'eV/atom'),
        ('stress_mae', 'Stress MAE, held-out frames', 'stress_mae_eV_per_A3', 'eV/Å³'),
    )
    return [
        check(name, label, training[f'test_{key}'], limit=limits[key], unit=unit)
        for name, label, key, unit in rows
        if limits.get(key) is not None and f'test_{key}' in training
    ]


def _stability_checks(temperature: str, run: dict[str, Any], limits: dict[str, Any]) -> list[Outcome]:
    """Ask whether the run came to its end without an explosion."""
    timestep_ps = limits['md']['timestep_fs'] / 1000
    length, lasted = limits['md']['production_steps'] * timestep_ps, run.get('n_steps', 0) * timestep_ps
    whole = min(lasted, length) if 'explosion' in run else lasted
    name, label = f'stability_{temperature}K', f'Time without explosion, {temperature} K'
    exploded_at_the_end = 'explosion' in run and lasted >= length
    # The last frame of a whole run may be one stride before its end.
    last_frame = length - limits['md'].get('frame_stride', 0) * timestep_ps
    value = 0.0 if exploded_at_the_end else whole
    return [check(name, label, value, limit=[last_frame * (1 - 1e-6), None], unit='ps')]


def dynamics_checks(temperature: str, run: dict[str, Any], limits: dict[str, Any]) -> list[Outcome]:
    """Judge the conservation of energy, and whether the temperature stays where equilibration left it.

    The thermostat may leave any energy of the canonical ensemble behind. In a harmonic solid the energy has a standard
    deviation of kT √(3N), which changes the mean temperature by T/√(3N): 5 % for 132 atoms, which the limit allows for.
    """
    T, drift = float(temperature), run['nve_drift_eV_per_atom_per_ps']
    drift_limit = limits.get('nve_drift_eV_per_atom_per_ps')
    if drift_limit is None:  # follows from the production; a short run of the gate knows its drift with an error
        error = run.get('nve_drift_stderr_eV_per_atom_per_ps', 0.0)
        drift_limit = (allowed_drift(T, limits) or 0.0) + DRIFT_ERRORS * error
    fraction = math.hypot(limits['temperature_fraction'], SCATTER / math.sqrt(3 * run['n_atoms']))
    return [
        check(
            f'nve_drift_{temperature}K',
            f'NVE energy drift, {temperature} K',
            drift,
            limit=drift_limit,
            unit='eV/atom/ps',
        ),
        check(
            f'temperature_{temperature}K',
            f'Mean temperature in NVE, {temperature} K',
            run['mean_temperature_K'],
            limit=[T * (1 - fraction), T * (1 + fraction)],
            unit='K',
        ),
    ]


def _energy_label(temperature: str, sampled_by: str = 'AIMD') -> str:
    return f'Potential energy, mean above that of {sampled_by}, {temperature} K'


def _seen_checks(
    temperature: str,
    run: dict[str, Any],
    frames: list[Atoms],
    limits: dict[str, Any],
    *,
    aimd_temperature_K: float | None,
) -> list[Outcome]:
    """Ask whether potential energy and distances are within what DFT has shown.

    A potential that has left its training data falls into minima of its own making: its energy leaves the band of
    AIMD at the same temperature long before anything explodes. Where the temperature of AIMD is known, the energy of
    the run is taken at that temperature, 3/2 k for each kelvin and atom.

    :param aimd_temperature_K: mean temperature that AIMD had.
    """
    at_temperature = [frame for frame in frames if frame.info.get('temperature_K') == float(temperature)]
    aimd = at_temperature[SETTLING_FRAMES:]
    name, checks = f'potential_energy_{temperature}K', []
    if not aimd:
        reason = f'no AIMD at {temperature} K in the training set'
        if at_temperature:
            reason = f'only {len(at_temperature)} frames of AIMD, which needs {SETTLING_FRAMES} to settle'
        elif not frames:
            reason = 'no training set'
        checks.append(not_asked(name, _energy_label(temperature), reason))
    else:
        energies = [frame.get_potential_energy() / len(frame) for frame in aimd]
        mean = sum(energies) / len(energies)
        sampled_by = 'the pretrained potential' if ATTRIBUTE in aimd[-1].info else 'AIMD'
        margin = limits['energy_band_eV_per_atom']
        warmer = 0.0 if aimd_temperature_K is None else run['mean_temperature_K'] - aimd_temperature_K
        checks.append(
            check(
                name,
                _energy_label(temperature, sampled_by),
                run['mean_potential_energy_eV_per_atom'] - POTENTIAL_ENERGY_PER_K * warmer - mean,
                limit=[min(energies) - mean - margin, max(energies) - mean + margin],
                unit='eV/atom',
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
                    limit=[limits['distance_fraction'] * shortest[pair], None],
                    unit='Å',
                )
            )
    return checks


def _aimd_checks(
    temperature: str, run: dict[str, Any], limits: dict[str, Any], *, trajectory: Any, reference: Any
) -> list[Outcome]:
    """Compare structure and displacement with AIMD, or say why they cannot be compared.

    :param run: parameters of the run of the potential.
    :param trajectory: the run; of no trajectory type if it is missing, as ``reference``, AIMD.
    """
    mobile = limits.get('mobile', 'the mobile ions')
    rows = {
        'rdf_difference': ('rdf', f'RDF against AIMD, {temperature} K', _structure_checks),
        'msd_factor': (f'msd_{mobile}', f'MSD of {mobile} over that of AIMD, {temperature} K', _displacement_checks),
    }
    aimd_temperature, mean = _temperature_of(reference), run.get('mean_temperature_K')
    temperatures = (mean, aimd_temperature) if aimd_temperature and mean else (1.0, 1.0)
    checks: list[Outcome] = []
    for key, (name, label, compare) in rows.items():
        if limits.get(key) is None:
            reason = f'{key} is null: the protocol does not ask'
        elif not isinstance(reference, orm.TrajectoryData):
            reason = f'no AIMD at {temperature} K'
        elif not isinstance(trajectory, IonTrajectoryData):
            reason = 'the run of the potential did not come to its end'
        else:
            compared = compare(temperature, trajectory, reference, limits, temperatures_K=temperatures)
            if not isinstance(compared, str):
                checks += compared
                continue
            reason = compared
        checks.append(not_asked(f'{name}_{temperature}K', label, reason))
    return checks


def _structure_checks(
    temperature: str,
    run: IonTrajectoryData,
    reference: orm.TrajectoryData,
    limits: dict[str, Any],
    *,
    temperatures_K: tuple[float, float],
) -> list[Outcome] | str:
    """Compare the radial distribution functions with those of AIMD.

    The difference of a pair is the integral of abs(g - g_AIMD) over the integral of g_AIMD. AIMD is short: the
    potential may differ from it by as much as the two halves of AIMD differ from each other, in addition to the limit.
    Peaks get broader with the temperature, which is allowed for as well.

    :param temperatures_K: mean temperatures of the run and of AIMD.
    :return: the checks, or why they cannot be made.
    """
    if len(reference.get_positions()) < FEWEST_FRAMES:
        return f'AIMD has only {len(reference.get_positions())} frames'
    hotter = max(temperatures_K) / min(temperatures_K) - 1
    symbols, cell = list(reference.symbols), reference.get_array('cells')[0]
    positions = reference.get_positions()
    half = len(positions) // 2

    def g(frames: np.ndarray) -> dict[str, np.ndarray]:
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
            limit = limits['rdf_difference'] + noise + PEAK_CHANGE * hotter
            checks.append(check(name, label, difference, limit=limit, unit='of its area'))
    return checks


def _displacement_checks(
    temperature: str,
    run: IonTrajectoryData,
    reference: orm.TrajectoryData,
    limits: dict[str, Any],
    *,
    temperatures_K: tuple[float, float],
) -> list[Outcome] | str:
    """Compare the mean-squared displacement of the mobile ions with AIMD, both relative to the framework.

    They are compared at a quarter of the shorter run, as AIMD, a single run of few ions, tells no more. A run shorter
    than a few vibrations tells nothing, and is not compared. Where the temperatures differ, the displacements may
    differ by the Boltzmann factor of a barrier of 0.5 eV, which is high for a conductor, in addition.

    :param temperatures_K: mean temperatures of the run and of AIMD.
    :return: the check, or why it cannot be made.
    """
    mobile, times = limits['mobile'], reference.get_array('times')
    if len(times) < FEWEST_FRAMES:
        return f'AIMD has only {len(times)} frames'
    spacing = float(times[1] - times[0])
    lag_ps = min(MAX_MSD_LAG_PS, (times[-1] - times[0]) / 4, run.length_ps / 4)
    lag_ps -= lag_ps % run.frame_interval_ps
    if lag_ps < max(MIN_MSD_LAG_PS, run.frame_interval_ps):
        return f'AIMD of {times[-1] - times[0]:.2g} ps and a run of {run.length_ps:.2g} ps are too short'
    symbols = list(reference.symbols)
    at_rest = choose_framework([run.positions], run.symbols, [mobile])
    msd = mean_squared_displacement(mobile_positions(run.positions, run.symbols, mobile, at_rest))
    msd_aimd = mean_squared_displacement(mobile_positions(reference.get_positions(), symbols, mobile, at_rest))
    ratio = msd[round(lag_ps / run.frame_interval_ps)] / msd_aimd[round(lag_ps / spacing)]
    cold, hot = sorted(temperatures_K)
    factor = limits['msd_factor'] * math.exp(BARRIER_EV / units.kB * (1 / cold - 1 / hot))
    name, label = f'msd_{mobile}_{temperature}K', f'MSD of {mobile} over that of AIMD, {lag_ps:.2g} ps, {temperature} K'
    return [check(name, label, ratio, limit=[1 / factor, factor])]
