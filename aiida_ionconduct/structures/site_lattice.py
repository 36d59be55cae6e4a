"""The sites of a supercell, and how many ions of each species they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import Atoms

from aiida_ionconduct.structures.composition import fill
from aiida_ionconduct.structures.ordering import VACANCY, Sublattice
from aiida_ionconduct.structures.recipes import Recipe
from aiida_ionconduct.structures.site_table import NEW_SITE, SiteOrigin, occupancies_text
from aiida_ionconduct.structures.supercell import build_supercell
from aiida_ionconduct.structures.symmetry import site_permutations, symmetry_operations
from aiida_ionconduct.structures.voids import void_orbits

if TYPE_CHECKING:
    from pymatgen.core import PeriodicSite, Structure


class SiteLattice(NamedTuple):
    """The sites of a supercell, the interstitial sites last.

    ``cell`` (3, 3) and ``positions`` (sites, 3) in Å; ``sublattices`` are a partition of the sites; ``permutations``
    (operations, sites) are made by :func:`~aiida_ionconduct.structures.symmetry.site_permutations`; ``names`` are for
    messages; ``origins`` are the sites as the file has them.
    """

    cell: np.ndarray
    positions: np.ndarray
    sublattices: list[Sublattice]
    permutations: np.ndarray
    names: list[str]
    origins: list[SiteOrigin]


def site_lattice(
    structure: Structure,
    matrix: np.ndarray,
    recipe: Recipe,
    *,
    origins: Mapping[str, SiteOrigin],
    fixed: Mapping[str, Mapping[str, int]] | None = None,
    is_mixed_valence: bool = False,
) -> SiteLattice:
    """Return the sites of the supercell with the numbers of ions on them, and its symmetry.

    :param structure: the substituted cell, with occupancies.
    :param matrix: (3, 3), vectors of the supercell in units of the cell's vectors.
    :param origins: the sites as the file has them, by their labels in the structure.
    :param fixed: numbers of ions that the user sets, by label of the sites and species.
    :raises ValueError: if the charge cannot be balanced, or there is no room for the ions.
    """
    unit, species = _as_sites(structure)
    kinds = _kinds(species)
    supercell = build_supercell(unit, matrix)
    cell, positions = supercell.cell.array, supercell.positions
    names = [structure[index].label for index in supercell.arrays['site']]
    sublattices, n_added = fill(
        [species[index] for index in supercell.arrays['site']],
        recipe.oxidation,
        None if is_mixed_valence else recipe.compensate,
        labels=names,
        fixed=fixed,
    )
    from_file = [origins[name] for name in names]
    if n_added:
        operations = symmetry_operations(unit.cell.array, unit.positions, kinds)
        voids = void_orbits(unit, recipe.compensate, operations, recipe.oxidation)
        interstitial = Atoms([recipe.compensate] * len(voids), positions=voids, cell=unit.cell, pbc=True)
        extra = build_supercell(interstitial, matrix)
        if len(extra) < n_added:
            raise ValueError(
                f'{n_added} {recipe.compensate} must be added, and there is room for {len(extra)}: strain the cell, '
                'such as with --strain 0.02.'
            )
        sites = np.arange(len(positions), len(positions) + len(extra))
        sublattices.append(Sublattice(sites, {recipe.compensate: n_added, VACANCY: len(extra) - n_added}))
        positions = np.vstack([positions, extra.positions])
        names += ['an interstitial site'] * len(extra)
        from_file += [NEW_SITE] * len(extra)
    operations = symmetry_operations(cell, supercell.positions, [kinds[index] for index in supercell.arrays['site']])
    permutations = site_permutations(cell, positions, operations)
    return SiteLattice(cell, positions, sublattices, permutations, names, from_file)


def with_shared_sites(lattice: SiteLattice, ion: str) -> SiteLattice | None:
    """Return the sites with all sublattices of an ion and vacancies in one; None if there are fewer than two."""
    partly = [part for part in lattice.sublattices if set(part.counts) == {ion, VACANCY}]
    if len(partly) < 2:
        return None
    counts = {name: sum(part.counts[name] for part in partly) for name in (ion, VACANCY)}
    others = [part for part in lattice.sublattices if set(part.counts) != {ion, VACANCY}]
    return lattice._replace(sublattices=[*others, Sublattice(np.concatenate([part.sites for part in partly]), counts)])


def occupancies_of(site: PeriodicSite) -> dict[str, float]:
    """Return the occupancies of a site by species."""
    return {str(key): float(amount) for key, amount in site.species.as_dict().items()}


def site_name(label: str, occupancies: Mapping[str, float]) -> str:
    """Return the label of a site in its file, with its occupancies."""
    return f'{label} ({occupancies_text(occupancies)})'


def _as_sites(structure: Structure) -> tuple[Atoms, list[dict[str, float]]]:
    """Return the cell with the most frequent species on each site, and the occupancies of each site by species.

    The array ``site`` numbers the sites, so that the repeated cell still knows them.
    """
    species = [occupancies_of(site) for site in structure]
    symbols = [max(occupancies, key=lambda symbol: occupancies[symbol]) for occupancies in species]
    atoms = Atoms(symbols, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
    atoms.set_array('site', np.arange(len(atoms)))
    return atoms, species


def _kinds(species: list[dict[str, float]]) -> list[int]:
    """Return a number for each site; sites with the same occupancies have the same number."""
    names = [repr(sorted(occupancies.items())) for occupancies in species]
    return [names.index(name) for name in names]
