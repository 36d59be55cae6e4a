"""The gate between training and production: is the potential good where the production run will take it?"""

from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.structures import minimum_distances

SETTLING_FRAMES = 15  # of an AIMD run, in which its kinetic energy has not yet become potential energy


@calcfunction
def validate_model(thresholds: orm.Dict, **evidence: orm.Data) -> orm.Dict:
    """Compare the potential with DFT on held-out frames, and its molecular dynamics with AIMD.

    :param thresholds: the limits, see ``validation`` in the protocol.
    :param evidence: ``training`` (output of the training) and ``dataset`` where the potential was trained here, and
        the parameters of one short NVE run per temperature, labelled ``T1200``.
    :return: ``passed``, ``failed`` (names), ``checks`` (list of name, label, value, limit, unit, passed).
    """
    limits = thresholds.get_dict()
    runs = {label: node.get_dict() for label, node in sorted(evidence.items()) if isinstance(node, orm.Dict)}
    training = runs.pop('training', None)
    checks = test_set_checks(training, limits) if training else []
    frames = evidence['dataset'].get_frames() if 'dataset' in evidence else []
    for label, run in runs.items():
        checks += dynamics_checks(label.removeprefix('T').replace('_', '.'), run, limits)
        checks += seen_checks(label.removeprefix('T').replace('_', '.'), run, frames, limits)
    failed = [check['name'] for check in checks if not check['passed']]
    return orm.Dict({'passed': not failed, 'failed': failed, 'checks': checks})


def check(name: str, label: str, value: float, limit: float | list[float | None], unit: str) -> dict:
    """Return one row of the gate; a single limit bounds the magnitude, a pair the value; None is no bound."""
    low, high = limit if isinstance(limit, list) else (-limit, limit)
    passed = bool(low <= value and (high is None or value <= high))
    return {'name': name, 'label': label, 'value': float(value), 'limit': limit, 'unit': unit, 'passed': passed}


def test_set_checks(training: dict, limits: dict) -> list[dict]:
    """Errors on held-out frames."""
    rows = (
        ('forces_mae', 'Force MAE, held-out frames', 'test_forces_mae_eV_per_A', 'forces_mae_eV_per_A', 'eV/Å'),
        (
            'energy_mae',
            'Energy MAE, held-out frames',
            'test_energy_mae_eV_per_atom',
            'energy_mae_eV_per_atom',
            'eV/atom',
        ),
    )
    return [check(name, label, training[key], limits[limit], unit) for name, label, key, limit, unit in rows]


def dynamics_checks(temperature: str, run: dict, limits: dict) -> list[dict]:
    """Conservation of energy, and a temperature that stays where equilibration left it."""
    T, fraction = float(temperature), limits['temperature_fraction']
    drift = run['nve_drift_eV_per_atom_per_ps']
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
    shortest = shortest_distances(frames)
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


def shortest_distances(frames: list) -> dict[str, float]:
    """Return the shortest distance of every pair of species in some frames, Å, by labels such as ``Li-O``."""
    shortest: dict[str, float] = {}
    for frame in frames:
        for pair, distance in minimum_distances(frame.positions[None], list(frame.symbols), frame.cell.array).items():
            shortest[pair] = min(shortest.get(pair, distance), distance)
    return shortest
