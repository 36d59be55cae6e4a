"""Trajectories of runs: their description, the join of their segments, and smaller copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.data.reduced import REDUCED
from aiida_ionconduct.lammps.script import CELL_THERMO, THERMOSTAT_ENERGY
from aiida_ionconduct.lammps.structure import lammps_rotation
from aiida_ionconduct.structures import minimum_distances
from aiida_ionconduct.transport.temperature import Trend, mean_of_runs, trend

RUN_SUMS = ('wall_time_s',)
"""Entries of the description of a run that add up over its segments."""


def describe_trajectory(trajectory: IonTrajectoryData) -> dict[str, Any]:
    """Return mean values, energy conservation and shortest distances of a run with one seed.

    The drift is the slope of the total energy over the production run by least squares; the RMS is the scatter of the
    total energy about this line. At constant energy both are called ``nve_…``. With velocity rescaling they are of the
    energy that is conserved then, the total energy and what the thermostat has taken out, and called ``conserved_…``.

    :param trajectory: whole or a segment.
    """
    n_atoms = len(trajectory.symbols)
    result = {
        'n_atoms': n_atoms,
        'n_steps': round((trajectory.times_ps[-1] * 1000) / trajectory.base.attributes.get('timestep_fs')),
        'minimum_distances': minimum_distances(trajectory.positions, trajectory.symbols, trajectory.cell),
    }
    thermo = trajectory.thermo
    if not len(thermo['step']):
        return result
    potential = thermo['potential_energy_eV'] / n_atoms
    result |= {
        'n_steps': max(result['n_steps'], int(thermo['step'][-1])),
        'mean_temperature_K': float(thermo['temperature_K'].mean()),
        **_temperature_errors(trajectory),
        'mean_potential_energy_eV_per_atom': float(potential.mean()),
        'min_potential_energy_eV_per_atom': float(potential.min()),
        'max_potential_energy_eV_per_atom': float(potential.max()),
    }
    if len(potential) > 2:
        time_ps = trajectory.thermo_times_ps - trajectory.thermo_times_ps.mean()
        kind, total = ('nve', thermo['total_energy_eV'])
        if THERMOSTAT_ENERGY in thermo:
            kind, total = 'conserved', total + thermo[THERMOSTAT_ENERGY]
        total = (total - total.mean()) / n_atoms
        drift = time_ps @ total / (time_ps @ time_ps)
        result[f'{kind}_drift_eV_per_atom_per_ps'] = float(drift)
        result[f'{kind}_energy_rms_eV_per_atom'] = float(np.sqrt(np.mean((total - drift * time_ps) ** 2)))
        if fitted := trend(time_ps, total):
            result[f'{kind}_drift_stderr_eV_per_atom_per_ps'] = fitted.drift_stderr
    return result


def _temperature_errors(trajectory: IonTrajectoryData) -> dict[str, float]:
    """Return the error of the mean temperature of a run, and the drift of the temperature with its error."""
    temperature = temperature_trend(trajectory)
    if temperature is None:
        return {}
    return {
        'mean_temperature_stderr_K': temperature.mean_stderr,
        'temperature_drift_K_per_ps': temperature.drift_per_ps,
        'temperature_drift_stderr_K_per_ps': temperature.drift_stderr,
    }


def temperature_trend(trajectory: IonTrajectoryData, discard_ps: float = 0.0) -> Trend | None:
    """Return mean and drift of the temperature of a run; None where the run has stored none.

    :param discard_ps: time at the start of the production that is left out.
    """
    if not {'step', 'temperature_K'} <= set(trajectory.base.attributes.get('thermo_columns', [])):
        return None
    times = trajectory.thermo_times_ps
    kept = times >= trajectory.start_ps + discard_ps - 1e-9
    return trend(times[kept], trajectory.thermo['temperature_K'][kept])


def mean_temperature_K(runs: Sequence[IonTrajectoryData]) -> float:
    """Return the measured mean temperature of some runs at one temperature; the one on their label if not stored."""
    trends = [temperature_trend(run) for run in runs]
    known = [temperature for temperature in trends if temperature is not None]
    return mean_of_runs(known)[0] if known and len(known) == len(runs) else runs[0].temperature_K


@calcfunction
def join_segments(**nodes: IonTrajectoryData | orm.Dict) -> dict[str, Any]:
    """Return one trajectory over the segments of a run, by reference, and one description.

    :param nodes: the trajectories, whose labels, such as ``segment_000``, sort in order of time; and the output
        parameters of each job that ran, whether it left a trajectory or not, with labels that sort likewise.
    :return: ``trajectory``, and ``output_parameters`` as of a single job.
    """
    segments = [node for _, node in sorted(nodes.items()) if isinstance(node, IonTrajectoryData)]
    runs = [node.get_dict() for _, node in sorted(nodes.items()) if isinstance(node, orm.Dict)]
    joined = IonTrajectoryData.join(segments)
    totals = {name: sum(run.get(name, 0.0) for run in runs) for name in RUN_SUMS}
    description = {**runs[-1], **describe_trajectory(joined), **totals, 'n_segments': len(joined.segments)}
    description['n_steps'] = max(description['n_steps'], runs[-1].get('n_steps', 0))
    return {'trajectory': joined, 'output_parameters': orm.Dict(description)}


def thinned_attributes(
    trajectory: IonTrajectoryData, every: int, centres_every: int = 1, before: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """Return the attributes of a run, or of a segment, of which one frame in n is left, without those of its arrays.

    :param every: n, for the positions.
    :param centres_every: the same for the centres of mass.
    :param before: the numbers of frames and of centres of mass of the segments before this segment. The frames of a run
        that are left are the same, however the run was cut.
    """
    attributes = dict(trajectory.base.attributes.all)
    for name, n, done, interval, start in (
        ('thinned_every', every, before[0], 'frame_interval_ps', 'start_ps'),
        ('centres_thinned_every', centres_every, before[1], 'com_interval_ps', 'com_start_ps'),
    ):
        if n == 1:
            continue
        if skipped := -done % n:
            attributes[start] = attributes.get(start, 0.0) + skipped * attributes[interval]
        attributes[interval] *= n
        attributes[name] = attributes.get(name, 1) * n
    attributes['n_frames'] = len(range(-before[0] % every, attributes['n_frames'], every))
    return attributes


def thinned(
    trajectory: IonTrajectoryData, every: int, centres_every: int = 1, before: tuple[int, int] = (0, 0)
) -> IonTrajectoryData:
    """Return a run, or a segment, of which one frame in n is left, with arrays of its own; not stored.

    Thermodynamic columns stay whole. Parameters as of :func:`thinned_attributes`.
    """
    own = ('n_frames', 'n_atoms', 'segments', REDUCED)
    attributes = thinned_attributes(trajectory, every, centres_every, before)
    return IonTrajectoryData(
        trajectory.positions[-before[0] % every :: every],
        trajectory.centres_of_mass[-before[1] % centres_every :: centres_every],
        trajectory.get_array('thermo'),
        **{name: value for name, value in attributes.items() if name not in own},
    )


@calcfunction
def thin_trajectory(trajectory: IonTrajectoryData, every: orm.Int) -> IonTrajectoryData:
    """Return a run with every n-th frame of its positions; centres of mass and thermodynamic columns stay whole.

    :param trajectory: whole, or joined from segments: the result holds its own arrays.
    :param every: n; the attribute ``thinned_every`` states it.
    """
    return thinned(trajectory, every.value)


def in_mean_cell(structure: orm.StructureData, thermo: Sequence[orm.ArrayData]) -> orm.StructureData:
    """Return a structure in the mean cell of the second half of a run at constant pressure.

    :param structure: the input of the run, in whose orientation the result is.
    :param thermo: thermodynamic columns of the segments of the run, in order of time.
    """
    columns = [np.concatenate([segment.get_array(name) for segment in thermo]) for name in CELL_THERMO.values()]
    lx, ly, lz, xy, xz, yz = (column[len(column) // 2 :].mean() for column in columns)
    cell = np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]])
    atoms = structure.get_ase()
    atoms.set_cell(cell @ lammps_rotation(np.array(structure.cell)).T, scale_atoms=True)
    return orm.StructureData(ase=atoms)


@calcfunction
def mean_structure_of_segments(structure: orm.StructureData, **thermo: orm.ArrayData) -> orm.StructureData:
    """Return a structure in the mean cell of the second half of a run at constant pressure.

    :param structure: the input of the run, in whose orientation the result is.
    :param thermo: thermodynamic columns of the segments, whose labels, such as ``segment_000``, sort in order of time.
    """
    return in_mean_cell(structure, [segment for _, segment in sorted(thermo.items())])
