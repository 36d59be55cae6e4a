"""Relax crystals that are to be shipped, from a prototype, and compare them with what is published.

The level of theory is SevenNet-l3i5, a pretrained potential (Park et al. 2024, doi:10.1021/acs.jctc.4c00190) that was
fitted to the PBE calculations of MPtrj; no DFT is done. A prototype is a CIF of the crystal, or of a crystal with the
same sites. Lithium that is disordered there is distributed as `aiida-ionconduct alloy` does it; the distributions of
lowest electrostatic energy are relaxed, and the lowest in the potential's energy is kept.

    pip install sevenn==0.13.0
    python scripts/relax_crystals.py beta-Li3PS4 PROTOTYPE.cif

A CIF is written if all of these hold: the space group (for distributed lithium: the group of all other atoms, within
0.4 Å) is the published group; every lattice constant of the conventional cell is within 3 % of the published constant;
the density is within 5 % of the published density. Where only the cell of an isotype with a larger ion is
at hand, the crystal must be smaller than the isotype, and its framework may be distorted about the ordered lithium.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import spglib
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter

from aiida_ionconduct.structures import ordered_cells, read_structure
from aiida_ionconduct.structures.recipes import mass_density

FORCE_EV_A = 0.02  # largest force at the end
MAX_STEPS = 400
LITHIUM = 3
N_DISTRIBUTIONS = 4  # of lithium, that are relaxed
LENGTHS, DENSITY = 0.03, 0.05  # largest relative deviations from the published crystal
FRAMEWORK_A = 0.4  # by which the atoms of the framework may be off their ideal positions
THEORY = 'SevenNet-l3i5 (sevenn 0.13.0, doi:10.1021/acs.jctc.4c00190)'
FOLDER = pathlib.Path(__file__).parents[1] / 'aiida_ionconduct' / 'structures' / 'crystals'


class Target(NamedTuple):
    """A published crystal, and how it is made from its prototype.

    ``group`` is its space group; ``lengths_A`` and ``beta`` are the constants of its conventional cell, which has
    ``formula_units``. ``species`` is what stands on the sites of the prototype, by label, as ``{symbol: occupancy}``;
    sites that are not named stay as they are. ``distributed`` is the number of formula units of the cell in which
    lithium is distributed; None for a crystal without disorder, whose symmetry is kept. ``larger_ion`` names the ion of
    an isotype whose cell is given, where the cell of the crystal is not at hand: the crystal must be smaller.
    """

    group: int
    lengths_A: tuple[float, float, float]
    beta: float
    formula_units: int
    species: Mapping[str, Mapping[str, float]]
    reference: str
    distributed: int | None = None
    larger_ion: str = ''


class Relaxed(NamedTuple):
    """A relaxed crystal, with its energy in its calculator, and the constants of its conventional cell in Å."""

    atoms: Atoms
    lengths_A: np.ndarray


TARGETS = {
    'beta-Li3PS4': Target(
        group=62,
        lengths_A=(12.819, 8.2195, 6.1236),
        beta=90.0,
        formula_units=4,
        species={'Li1': {'Li': 1.0}, 'Li2': {}},
        reference='Homma et al. 2011, doi:10.1016/j.ssi.2010.10.001; Li on 8d and 4b alone, without the 4c site',
    ),
    'Li4SiO4': Target(
        group=11,
        lengths_A=(5.147, 6.094, 5.293),
        beta=90.33,
        formula_units=2,
        species={
            'Li0': {'Li': 0.778},
            'Li1': {'Li': 0.209},
            'Li2': {'Li': 0.265},
            'Li3': {'Li': 0.554},
            'Li4': {'Li': 0.316},
            'Li5': {'Li': 0.575},
            'P7': {'Si': 1.0},
        },
        reference='sites of Deng et al. 2015, doi:10.1021/jacs.5b04444, in the small cell of Hofmann and Hoppe 1987',
        distributed=2,
    ),
    'Li4B7O12Cl': Target(
        group=219,
        lengths_A=(12.167, 12.167, 12.167),
        beta=90.0,
        formula_units=8,
        species={'Li0': {'Li': 0.25}, 'Li1': {'Li': 1.0}},
        reference='Jeitschko et al. 1977, doi:10.1107/S0567740877009443',
        distributed=2,
    ),
    'Li4Al3B4O12Cl': Target(
        group=219,
        lengths_A=(13.5904, 13.5904, 13.5904),
        beta=90.0,
        formula_units=8,
        species={'Li0': {'Li': 0.25}, 'Li1': {'Li': 1.0}, 'B3': {'Al': 1.0}},
        reference='Li4B7O12Cl with Al in the tetrahedra, as Yoshino et al. 2024, doi:10.1107/S2056989024000501',
        distributed=2,
        larger_ion='Na',
    ),
}


def prepared(path: pathlib.Path, target: Target) -> Structure:
    """Return the prototype with the species of the target on its sites, in the published cell."""
    structure = read_structure(path).structure
    sites = [(target.species.get(site.label, site.species), site.frac_coords) for site in structure]
    species, coordinates = zip(*[(species, place) for species, place in sites if species], strict=True)
    return Structure(Lattice.from_parameters(*target.lengths_A, 90, target.beta, 90), species, coordinates)


def relax(atoms: Atoms, conventional: np.ndarray, *, keep_symmetry: bool) -> Relaxed:
    """Return a crystal with relaxed coordinates and cell.

    :param conventional: (3, 3), vectors of the conventional cell before the relaxation, Å.
    """
    from sevenn.calculator import SevenNetCalculator

    start = atoms.cell.array
    atoms = Atoms(atoms.symbols, atoms.positions, cell=start, pbc=True)
    atoms.calc = SevenNetCalculator('7net-l3i5', device='cpu')
    if keep_symmetry:
        atoms.set_constraint(FixSymmetry(atoms, symprec=1e-2))
    if not BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=FORCE_EV_A, steps=MAX_STEPS):
        sys.exit(f'the relaxation has not converged in {MAX_STEPS} steps.')
    lengths_A = np.linalg.norm(conventional @ np.linalg.inv(start) @ atoms.cell.array, axis=1)
    energy = atoms.get_potential_energy() / len(atoms)
    print(f'{atoms.symbols}: {energy:.4f} eV/atom, {mass_density(atoms):.3f} g/cm³, {lengths_A.round(3)} Å', flush=True)
    return Relaxed(atoms, lengths_A)


def best(structure: Structure, target: Target) -> Relaxed:
    """Return the relaxed crystal, of the distributions of lithium the lowest in energy."""
    conventional = structure.lattice.matrix
    if target.distributed is None:
        return relax(AseAtomsAdaptor.get_atoms(structure), conventional, keep_symmetry=True)
    ordering = ordered_cells(structure, n_best=N_DISTRIBUTIONS, formula_units=target.distributed)
    crystals = [relax(candidate.atoms, conventional, keep_symmetry=False) for candidate in ordering.candidates]
    return min(crystals, key=lambda crystal: crystal.atoms.get_potential_energy())


def group(atoms: Atoms, tolerance_A: float) -> int:
    """Return the number of the space group."""
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return int(spglib.get_symmetry_dataset(cell, tolerance_A).number)


def problems(crystal: Relaxed, target: Target) -> list[str]:
    """Return how a crystal differs from the published crystal by more than the limits; print all numbers."""
    atoms, published = crystal.atoms, np.array(target.lengths_A)
    is_ordered = target.distributed is None
    number = group(atoms, 0.01) if is_ordered else group(atoms[atoms.numbers != LITHIUM], FRAMEWORK_A)
    density = mass_density(atoms)
    n_units = math.gcd(*atoms.symbols.formula.count().values())
    volume_A3 = np.prod(published) * np.sin(np.radians(target.beta)) / target.formula_units
    ratio = atoms.get_volume() / n_units / volume_A3
    print(f'space group no. {number} of the framework, {group(atoms, 0.01)} of all atoms; published {target.group}')
    print(f'lattice constants {crystal.lengths_A.round(3)} Å, published {published} Å')
    print(f'density {density:.3f} g/cm³, published {density * ratio:.3f} g/cm³')
    if target.larger_ion:
        return [f'the crystal is larger than with {target.larger_ion}'] if ratio >= 1 else []
    checks = {
        'the space group is another': number != target.group,
        f'a lattice constant is more than {LENGTHS:.0%} off': np.abs(crystal.lengths_A / published - 1).max() > LENGTHS,
        f'the density is more than {DENSITY:.0%} off': abs(ratio - 1) > DENSITY,
    }
    return [words for words, is_wrong in checks.items() if is_wrong]


def write(name: str, atoms: Atoms, target: Target, folder: pathlib.Path) -> None:
    """Write a crystal as CIF, one site of each orbit, with how it was made."""
    plain = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    body = str(CifWriter(AseAtomsAdaptor.get_structure(plain), symprec=0.01)).split('data_', 1)[1].split('\n', 1)[1]
    comment = (
        f'# {name}, a computed crystal: coordinates and cell relaxed with\n# {THEORY}.\n'
        f'# Prototype: {target.reference}.\n'
        f'# Made by: python scripts/relax_crystals.py {name} PROTOTYPE.cif\n'
    )
    path = folder / f'{name}.cif'
    path.write_text(f'{comment}data_{name}\n{body}', encoding='utf-8')
    print(f'Written: {path}')


def main() -> None:
    """Relax a prototype, compare it, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name', choices=sorted(TARGETS))
    parser.add_argument('prototype', type=pathlib.Path, help='CIF with the sites to begin with')
    parser.add_argument('--output', type=pathlib.Path, default=FOLDER, help='folder that the CIF is written to')
    arguments = parser.parse_args()
    target = TARGETS[arguments.name]
    crystal = best(prepared(arguments.prototype, target), target)
    if wrong := problems(crystal, target):
        sys.exit('not written: ' + '; '.join(wrong))
    write(arguments.name, crystal.atoms, target, arguments.output)


if __name__ == '__main__':
    main()
