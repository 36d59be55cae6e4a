"""Structures from structures: supercells, initial conditions of molecular dynamics, rattled cells, alloys."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms, units

from aiida_ionconduct.labels import seeds_of_orderings
from aiida_ionconduct.sampling.cells import rattled_cells
from aiida_ionconduct.structures import (
    build_supercell,
    ordered_cells,
    substitute,
    supercell_matrix,
)
from aiida_ionconduct.structures.electrostatics import ewald_matrix

RYDBERG_VELOCITY = units.Bohr * units.Rydberg / (units._hbar * units.J * units.s)  # pw.x' unit, in ASE's unit


def frames_to_trajectory(frames: list[Atoms]) -> orm.TrajectoryData:
    """Return unlabelled frames of one composition as a node."""
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=list(frames[0].symbols),
        pbc=(True, True, True),
        positions=np.array([frame.positions for frame in frames]),
        stepids=np.arange(len(frames)),
        cells=np.array([frame.cell.array for frame in frames]),
    )
    return trajectory


@calcfunction
def make_supercell(structure: orm.StructureData, n_atoms_min: orm.Int) -> orm.StructureData:
    """Return a compact supercell with at least a number of atoms, see :mod:`aiida_ionconduct.structures.supercell`.

    :param structure: unit cell.
    :param n_atoms_min: least number of atoms.
    :return: the supercell.
    """
    atoms = structure.get_ase()
    matrix = supercell_matrix(atoms.cell.array, len(atoms), n_atoms_min.value)
    return orm.StructureData(ase=build_supercell(atoms, matrix))


@calcfunction
def make_supercells(n_atoms_min: orm.Int, **orderings: orm.StructureData) -> dict[str, Any]:
    """Return supercells of orderings of one crystal, all with the vectors that suit the first, by the same labels.

    :param n_atoms_min: least number of atoms.
    :param orderings: cells of one composition, by label.
    """
    first = orderings[min(orderings)].get_ase()
    matrix = supercell_matrix(first.cell.array, len(first), n_atoms_min.value)
    return {
        label: orm.StructureData(ase=build_supercell(structure.get_ase(), matrix))
        for label, structure in orderings.items()
    }


@calcfunction
def describe_orderings(charges: orm.Dict, seeds: orm.List, **orderings: orm.StructureData | orm.Dict) -> orm.Dict:
    """Return the energy of each ordering and the velocity seeds that start from it.

    :param charges: by chemical symbol, for the electrostatic energies.
    :param seeds: of the production.
    :param orderings: cells by label, and ``ranking``, if they were relaxed by DFT: of :func:`rank_energies`.
    :return: by label of the ordering: ``electrostatic_energy_eV``, ``dft_energy_eV`` (None without a relaxation),
        ``candidate`` (label of the relaxed candidate, None without) and ``seeds``.
    """
    ranking = orderings.pop('ranking', None)
    energies = ranking['energies_eV'] if isinstance(ranking, orm.Dict) else {}
    ranked = sorted(energies, key=lambda candidate: energies[candidate])
    used = seeds_of_orderings(seeds.get_list(), len(orderings))
    rows = {}
    for index, (label, cell) in enumerate(sorted(orderings.items())):
        candidate = ranked[index] if ranked else None
        atoms = cell.get_ase()
        q = np.array([charges[symbol] for symbol in atoms.symbols], dtype=float)
        rows[label] = {
            'electrostatic_energy_eV': float(q @ ewald_matrix(atoms.cell.array, atoms.positions) @ q),
            'dft_energy_eV': None if candidate is None else energies[candidate],
            'candidate': candidate,
            'seeds': used[label],
            'n_atoms': len(atoms),
        }
    return orm.Dict(rows)


@calcfunction
def rattle_orderings(parameters: orm.Dict, **orderings: orm.StructureData) -> orm.TrajectoryData:
    """Return rattled copies of several orderings of a crystal, as many of each, see :func:`rattle`.

    :param parameters: of :func:`rattle`; ``n_frames`` of all orderings together.
    :param orderings: cells of one composition, by label.
    """
    p = parameters.get_dict()
    frames: list[Atoms] = []
    for index, (_, structure) in enumerate(sorted(orderings.items())):
        n_frames = len(range(index, p['n_frames'], len(orderings)))
        if n_frames:
            frames += rattled_frames(structure.get_ase(), {**p, 'n_frames': n_frames, 'seed': p['seed'] + index})
    return frames_to_trajectory(frames)


@calcfunction
def initial_conditions(
    structure: orm.StructureData, settings: orm.Dict, temperature_K: orm.Float, seed: orm.Int
) -> dict[str, Any]:
    """Return the settings of a pw.x run with Maxwell–Boltzmann velocities, and the structure moved off its symmetry.

    The velocities are drawn for twice the temperature: in the nearly harmonic crystal half of that kinetic energy
    becomes potential energy within a vibration, and the constant-energy run goes on at the temperature asked for.

    :param structure: crystal at rest.
    :param settings: of aiida-quantumespresso, to which the velocities are added.
    :param temperature_K: of the run.
    :param seed: of the random numbers.
    :return: ``structure`` and ``settings``.
    """
    rng = np.random.default_rng(seed.value)
    atoms = structure.get_ase()
    atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)  # pw.x keeps the symmetry it finds
    velocities = maxwell_boltzmann(atoms.get_masses(), 2 * temperature_K.value, rng)
    return {
        'structure': orm.StructureData(ase=atoms),
        'settings': orm.Dict({**settings.get_dict(), 'ATOMIC_VELOCITIES': (velocities / RYDBERG_VELOCITY).tolist()}),
    }


def maxwell_boltzmann(masses: np.ndarray, temperature_K: float, rng: np.random.Generator) -> np.ndarray:
    """Draw velocities at exactly a temperature and without total momentum.

    :param masses: (n,), u.
    :return: (n, 3), in ASE's unit (sqrt(eV/u)).
    """
    velocities = rng.normal(size=(len(masses), 3)) / np.sqrt(masses)[:, None]
    velocities -= masses @ velocities / masses.sum()
    kinetic = 0.5 * (masses[:, None] * velocities**2).sum()
    return velocities * np.sqrt(1.5 * (len(masses) - 1) * units.kB * temperature_K / kinetic)


@calcfunction
def rattle(structure: orm.StructureData, parameters: orm.Dict) -> orm.TrajectoryData:
    """Return copies of a structure with random displacements and no hard contacts.

    They show the potential what molecular dynamics near the crystal does not: short contacts, and mobile ions off
    their sites.

    :param structure: crystal at rest.
    :param parameters: ``n_frames``; ``amplitudes_A`` [smallest, largest], the standard deviation is uniform between
        them; ``mobile`` and ``mobile_factor``, by which the mobile ions move more; ``seed``.
    :return: the frames, unlabelled.
    :raises ValueError: if too few random displacements have no hard contact.
    """
    return frames_to_trajectory(rattled_frames(structure.get_ase(), parameters.get_dict()))


def rattled_frames(atoms: Atoms, p: dict[str, Any]) -> list[Atoms]:
    """Return copies with random displacements and no hard contacts.

    :param p: parameters of :func:`rattle`.
    :raises ValueError: if too few random displacements have no hard contact.
    """
    rng, amplitudes = np.random.default_rng(p['seed']), p['amplitudes_A']
    frames = rattled_cells(atoms, p['mobile'], p['n_frames'], rng, amplitudes_A=amplitudes, factor=p['mobile_factor'])
    if len(frames) == p['n_frames']:
        return frames
    raise ValueError(f'only {len(frames)} of {p["n_frames"]} rattled cells have no hard contact: lower the amplitudes.')


@calcfunction
def substitute_structure(parent: orm.StructureData, parameters: orm.Dict) -> orm.StructureData:
    """Substitute ions of a crystal, with interstitials for the charge.

    :param parent: ordered crystal.
    :param parameters: the arguments of :func:`aiida_ionconduct.structures.substitute`.
    """
    return orm.StructureData(ase=substitute(parent.get_ase(), **parameters.get_dict()))


@calcfunction
def alloy_structures(parent: orm.StructureData, parameters: orm.Dict) -> dict[str, Any]:
    """Return ordered cells of an alloy, in the order of their electrostatic energies, and the energies.

    :param parent: may have partial occupancies.
    :param parameters: the arguments of :func:`aiida_ionconduct.structures.ordered_cells`.
    :return: ``candidate_00`` and so on, and ``scores`` with ``electrostatic_energies_eV``, ``descriptions``,
        ``oxidation_states``, ``notes``, ``composition``: the amount of each species by the file and in the cell, and
        ``sites``: for each candidate, what stands on which sites, see :mod:`aiida_ionconduct.structures.site_table`.
    """
    ordering = ordered_cells(parent.get_pymatgen(), **parameters.get_dict())
    candidates = ordering.candidates
    scores = {
        'electrostatic_energies_eV': [candidate.electrostatic_energy_eV for candidate in candidates],
        'descriptions': [candidate.description for candidate in candidates],
        'oxidation_states': ordering.oxidation,
        'notes': ordering.notes,
        'composition': {row.species: {'file': row.file, 'cell': row.cell} for row in ordering.deviations},
        'sites': [[row._asdict() for row in candidate.sites] for candidate in candidates],
    }
    cells = {
        f'candidate_{index:02d}': orm.StructureData(ase=candidate.atoms) for index, candidate in enumerate(candidates)
    }
    return {**cells, 'scores': orm.Dict(scores)}


@calcfunction
def rank_energies(**calculations: orm.Dict) -> orm.Dict:
    """Return the total energies of relaxed cells of one composition, and the label of the lowest.

    :param calculations: the output parameters of pw.x, by label.
    :return: ``energies_eV`` by label, ``lowest``.
    """
    energies = {label: float(node['energy']) for label, node in calculations.items()}
    return orm.Dict({'energies_eV': energies, 'lowest': min(energies, key=lambda label: energies[label])})
