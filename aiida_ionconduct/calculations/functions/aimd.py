"""Molecular dynamics of pw.x in segments: reading what a segment has done, and joining segments to one run.

pw.x integrates by Störmer and Verlet. Started from the positions and velocities of a whole step, it takes the step that
it would have taken: x(n+1) = x(n) + v(n) dt + a(n) dt²/2, with v(n) = (x(n+1) - x(n))/dt - a(n) dt/2. A seam is
therefore invisible, except that the self-consistent calculation of its step is done twice.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import units

from aiida_ionconduct.calculations.functions.structures import RYDBERG_VELOCITY

STEP = re.compile(r'Entering Dynamics:\s+iteration =')
WHOLE_STEP = re.compile(r'Ekin \+ Etot \(const\)\s+=\s+\S+ Ry')
POSITIONS = re.compile(r'^[A-Z]\w*((?:\s+-?\d+\.\d+){3})', re.MULTILINE)
FORCES = re.compile(r'atom\s+\d+\s+type\s+\d+\s+force =((?:\s+-?\d+\.\d+){3})')
STRESS = re.compile(r'total\s+stress.*\n((?:(?:\s+-?\d+\.\d+){6}\n){3})')  # in Ry/bohr³, then in kbar
SCALARS = {
    'kinetic_energy': re.compile(r'kinetic energy \(Ekin\)\s+=\s+(\S+) Ry'),
    'temperature': re.compile(r'temperature\s+=\s+(\S+) K'),
    'conserved_energy': re.compile(r'Ekin \+ Etot \(const\)\s+=\s+(\S+) Ry'),
}
ENERGY = re.compile(r'total energy\s+=\s+(\S+) Ry')
UNCONVERGED = 'convergence NOT achieved'
FORCE_UNIT = units.Rydberg / units.Bohr
# A seam repeats one step: its conserved energy may differ by what self-consistency leaves, and by no more than the
# run itself scatters.
SEAM_NOISE_FACTOR, SEAM_EV_PER_ATOM = 5.0, 1e-5


def count_whole_steps(text: str) -> int:
    """Return how many steps of molecular dynamics an output of pw.x holds to their end."""
    return len(WHOLE_STEP.findall(text))


def read_md(text: str, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Read the whole steps from the standard output of pw.x; a step that was cut off is left out.

    :param positions: (atoms, 3), Å, of the input: the output holds the positions that follow each step.
    :return: ``positions`` and ``next_positions`` (steps, atoms, 3) in Å, ``forces`` in eV/Å, ``energy``,
        ``kinetic_energy`` and ``conserved_energy`` (steps,) in eV, ``temperature`` in K, ``scf_converged``; and, if
        pw.x was asked for stresses, ``stress`` (steps, 3, 3) in GPa, positive under compression.
    """
    n_atoms = len(positions)
    blocks = STEP.split(text)
    steps = []
    for before, after in itertools.pairwise(blocks):
        if not WHOLE_STEP.search(after):
            break
        scf = before[before.rfind('Self-consistent Calculation') :]
        listed = after[after.index('ATOMIC_POSITIONS') :]
        step: dict[str, Any] = {name: float(pattern.findall(after)[0]) for name, pattern in SCALARS.items()}
        step['energy'] = float(ENERGY.findall(scf)[-1])
        step['scf_converged'] = UNCONVERGED not in scf
        step['next_positions'] = [match.split() for match in POSITIONS.findall(listed)[:n_atoms]]
        forces = scf[scf.index('Forces acting on atoms') :]
        step['forces'] = [match.split() for match in FORCES.findall(forces)[:n_atoms]]
        if stress := STRESS.search(scf):
            step['stress'] = [row.split()[3:] for row in stress.group(1).splitlines()]
        steps.append(step)
    arrays = {name: np.array([step[name] for step in steps], dtype=float) for name in (steps[0] if steps else ())}
    if steps:
        arrays['positions'] = np.concatenate([positions[None], arrays['next_positions'][:-1]])
        arrays['forces'] *= FORCE_UNIT
        if 'stress' in arrays:
            arrays['stress'] *= 0.1  # kbar to GPa
        for name in ('energy', 'kinetic_energy', 'conserved_energy'):
            arrays[name] *= units.Rydberg
    return arrays


def verlet_velocities(md: Mapping[str, np.ndarray], masses: np.ndarray, timestep_fs: float) -> np.ndarray:
    """Return the velocities of the steps of :func:`read_md`, (steps, atoms, 3) in ASE's unit (sqrt(eV/u)).

    :param masses: (atoms,), u.
    """
    dt = timestep_fs * units.fs
    accelerations = md['forces'] / masses[:, None]
    return (md['next_positions'] - md['positions']) / dt - accelerations * dt / 2


@calcfunction
def continue_md(
    structure: orm.StructureData, settings: orm.Dict, timestep_fs: orm.Float, retrieved: orm.FolderData
) -> dict[str, Any]:
    """Return the structure and the settings with which pw.x goes on from the last whole step of a segment.

    :param structure: the start of the segment.
    :param settings: of the segment; its velocities are replaced.
    :param timestep_fs: of the segment.
    :param retrieved: files of the segment, with the standard output of pw.x.
    :return: ``structure`` and ``settings``.
    """
    atoms = structure.get_ase()
    md = read_md(output_of(retrieved), atoms.positions)
    velocities = verlet_velocities(md, atoms.get_masses(), timestep_fs.value)[-1]
    atoms.positions = md['positions'][-1]
    return {
        'structure': orm.StructureData(ase=atoms),
        'settings': orm.Dict({**settings.get_dict(), 'ATOMIC_VELOCITIES': (velocities / RYDBERG_VELOCITY).tolist()}),
    }


@calcfunction
def join_segments(structure: orm.StructureData, parameters: orm.Dict, **segments: orm.FolderData) -> dict[str, Any]:
    """Return one run made of its segments, every step once, and its description.

    :param structure: the start of the first segment.
    :param parameters: ``timestep_fs``; ``n_equilibration``, steps at the start that are left out; ``thermostat`` of the
        steps after them.
    :param segments: retrieved files, whose labels, such as ``segment_000``, sort in order of time.
    :return: ``trajectory`` with velocities (Å/ps), times (ps), and per step the arrays of :func:`read_md`; and
        ``parameters``, in them the temperature, the drift of the conserved energy, and its jumps at the seams.
    """
    p = parameters.get_dict()
    atoms = structure.get_ase()
    pieces: list[dict[str, np.ndarray]] = []
    seams: list[float] = []
    positions = atoms.positions
    for _, retrieved in sorted(segments.items()):
        md = read_md(output_of(retrieved), positions)
        positions = md['positions'][-1]
        if pieces:
            seams.append(float(md['conserved_energy'][0] - pieces[-1]['conserved_energy'][-1]))
            md = {name: array[1:] for name, array in md.items()}
        pieces.append({**md, 'jumps': np.full(len(md['energy']), sum(seams))})
    md = {name: np.concatenate([piece[name] for piece in pieces])[p['n_equilibration'] :] for name in pieces[0]}
    n_frames = len(md['energy'])
    steps = p['n_equilibration'] + np.arange(n_frames)
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=list(atoms.symbols),
        pbc=(True, True, True),
        stepids=steps,
        times=steps * p['timestep_fs'] * 1e-3,
        positions=md['positions'],
        cells=np.repeat(atoms.cell.array[None], n_frames, axis=0),
        velocities=verlet_velocities(md, atoms.get_masses(), p['timestep_fs']) * units.fs * 1e3,
    )
    for name in ('forces', 'energy', 'kinetic_energy', 'conserved_energy', 'temperature', 'scf_converged', 'stress'):
        if name in md:
            trajectory.set_array(name, md[name])
    return {'trajectory': trajectory, 'parameters': orm.Dict(md_summary(md, p, len(atoms), seams))}


def md_summary(
    md: Mapping[str, np.ndarray], p: Mapping[str, Any], n_atoms: int, seams: Sequence[float]
) -> dict[str, Any]:
    """Return the description of a run: temperature, drift, scatter and jumps of the conserved energy.

    :param md: of all steps, with ``jumps``, the sum of the jumps of the conserved energy before each step, in eV.
    :param p: parameters of :func:`join_segments`.
    :param seams: jump of the conserved energy at each seam, in eV.
    """
    times = np.arange(len(md['energy'])) * p['timestep_fs'] * 1e-3
    conserved = md['conserved_energy'] - md['jumps']  # the scatter of the run itself, by which the jumps are judged
    slope, scatter = None, None
    if p['thermostat'] == 'none' and len(times) > 2:
        fit = np.polyfit(times, conserved, 1)
        slope, scatter = float(fit[0]), float(np.std(conserved - np.polyval(fit, times)))
    tolerance = max(SEAM_NOISE_FACTOR * (scatter or 0), SEAM_EV_PER_ATOM * n_atoms)
    return {
        'n_frames': len(times),
        'n_equilibration': p['n_equilibration'],
        'n_unconverged': int((md['scf_converged'] == 0).sum()),
        'n_segments': len(seams) + 1,
        'timestep_fs': p['timestep_fs'],
        'thermostat': p['thermostat'],
        'mean_temperature_K': float(md['temperature'].mean()),
        'temperature_std_K': float(md['temperature'].std()),
        'energy_drift_eV_per_atom_per_ps': None if slope is None else slope / n_atoms,
        'conserved_energy_scatter_eV': scatter,
        'seam_jumps_eV': list(seams),
        'seam_tolerance_eV': tolerance,
        'seams_conserve_energy': all(abs(jump) <= tolerance for jump in seams),
    }


def output_of(retrieved: orm.FolderData) -> str:
    """Return the standard output of pw.x among the retrieved files; empty if it is not there."""
    names = retrieved.base.repository.list_object_names()
    return retrieved.base.repository.get_object_content('aiida.out', 'r') if 'aiida.out' in names else ''
