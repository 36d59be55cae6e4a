"""`aiida-ionconduct alloy` and `structures`: cells to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import Node, of_kind, open_profile
from aiida_ionconduct.cli.options import (
    BLOCK,
    CHARGES,
    COMPENSATE,
    MOBILE,
    ORDERING,
    PROFILE,
    SITE_COUNTS,
    STRAIN,
    TOLERANCE,
    given_options,
)
from aiida_ionconduct.cli.tables import TABLE, print_frame
from aiida_ionconduct.cli.words import Pairs, PairsOption, echo

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from aiida_ionconduct.structures import Crystal


PICTURE = click.option(
    '--picture',
    type=click.Path(dir_okay=False, path_type=Path),
    metavar='FILE.svg',
    help='A file for a drawing of the cell, two views with a legend, as SVG.',
)


@click.command('alloy')
@click.argument('parent')
@click.option(
    '--substitute',
    cls=PairsOption,
    type=Pairs(),
    multiple=True,
    metavar='OLD=NEW',
    help='Which species replaces which: P=Si puts silicon on sites of phosphorus.',
)
@click.option(
    '--fraction', type=float, default=0.0, show_default=True, help='The fraction of the sites that are substituted.'
)
@click.option(
    '--formula-units',
    type=int,
    help="The number of formula units in the supercell. [default: as in the crystal's cell, or as many as its "
    'composition needs]',
)
@MOBILE
@COMPENSATE
@TOLERANCE
@BLOCK
@CHARGES
@SITE_COUNTS
@ORDERING
@click.option(
    '--ordering-seed',
    '--seed',
    'seed',
    default=0,
    show_default=True,
    help='The seed of the random orderings, or of the search for the lowest.',
)
@click.option('--n-best', default=10, show_default=True, help='The largest number of cells to return.')
@STRAIN
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    help='A file for the cells, in the format that ASE takes from its name.',
)
@PICTURE
@click.pass_context
def alloy_command(
    ctx: click.Context,
    *,
    parent: str,
    substitute: list[tuple[str, str]],
    charges: list[tuple[str, float]],
    site_counts: list[tuple[str, int]],
    mobile: str,
    output: Path | None,
    picture: Path | None,
    **options: Any,
) -> None:
    """Make ordered cells of an alloy, or of a crystal with partial occupancies, and rank them by electrostatics.

    PARENT is a structure file or the name of a shipped crystal, such as gamma-Li3PO4. The cell of the talk:

    \b
      aiida-ionconduct alloy gamma-Li3PO4 --substitute P=Si --fraction 0.25 --formula-units 16 -o cells.extxyz
      aiida-ionconduct alloy LGPS.cif --charges Ge=4 P=5
    """
    import ase.io

    from aiida_ionconduct.structures import composition_text, ordered_cells, scores_table
    from aiida_ionconduct.structures.site_table import sites_table

    check_picture(picture)
    if options['compensate'] is None and 'mobile' in given_options(ctx):
        options['compensate'] = mobile
    if options['tolerance'] is None:
        del options['tolerance']
    try:
        ordering = ordered_cells(
            parent, dict(substitute), charges=dict(charges), site_counts=dict(site_counts), **options
        )
    except ValueError as exception:
        raise click.ClickException(str(exception)) from exception
    candidates = ordering.candidates
    echo(f'{candidates[0].description}\n\n{composition_text(ordering)}\n\n{scores_table(candidates)}')
    echo(f'\nSites of the first cell:\n\n{sites_table(candidates[0].sites)}')
    if output:
        ase.io.write(output, [candidate.atoms for candidate in candidates])
        echo(f'\nWritten: {output}')
    if picture:
        atoms = candidates[0].atoms
        write_picture(picture, atoms.cell.array, atoms.positions, [{symbol: 1.0} for symbol in atoms.symbols])


@click.group('structures', cls=Group)
def structures_command() -> None:
    """List, show and export crystals to start from, shipped or stored.

    A crystal is given by a shipped name, a file that ASE reads, or a PK.
    """


@structures_command.command('list')
@click.option('--stored', is_flag=True, help='List the StructureData nodes of the profile instead.')
@TABLE
@PROFILE
def structures_list(*, stored: bool, profile: str | None, **table: Any) -> None:
    """List the shipped crystals, or the stored structures.

    \b
      aiida-ionconduct structures list
      aiida-ionconduct structures list --stored
    """
    if stored:
        open_profile(profile)
        from aiida_ionconduct import queries

        print_frame(queries.structures(), ('pk', 'label', 'formula', 'n_atoms', 'created'), **table)
        return
    import pandas as pd

    from aiida_ionconduct.structures import CRYSTALS, is_disordered

    rows = []
    for name in CRYSTALS:
        atoms = read_atoms(name, profile)
        volume = atoms.get_volume()
        rows.append((name, f'{atoms.symbols.formula:metal}', len(atoms), volume, is_disordered(atoms)))
    columns = ('name', 'formula', 'n_sites', 'volume_A3', 'partial_occupancies')
    print_frame(pd.DataFrame(rows, columns=columns), columns, **table)


@structures_command.command('show')
@click.argument('source', metavar='NAME|FILE|PK')
@MOBILE
@CHARGES
@BLOCK
@PICTURE
@PROFILE
def structures_show(
    *,
    source: str,
    mobile: str,
    charges: list[tuple[str, float]],
    block: str | None,
    picture: Path | None,
    profile: str | None,
) -> None:
    """Print a crystal, what stands where, and whether it can be calculated: contacts, neutrality, the mobile ion.

    \b
      aiida-ionconduct structures show gamma-Li3PO4 --picture crystal.svg
      aiida-ionconduct structures show cell.cif --charges Ge=4
    """
    import numpy as np
    from ase import Atoms

    from aiida_ionconduct.structures import check_structure, oxidation_states, states_text

    check_picture(picture)
    crystal = read_crystal(source, block, profile)
    structure = crystal.structure
    lengths = ', '.join(f'{value:.4g}' for value in structure.lattice.abc)
    angles = ', '.join(f'{value:.4g}' for value in structure.lattice.angles)
    formula = structure.composition.formula.replace(' ', '')
    if structure.is_ordered:
        atoms = Atoms(structure.to_ase_atoms(msonable=False))
        formula = f'{atoms.symbols.formula:metal}'
    echo(f'{formula}, {len(structure)} sites, {lengths} Å, {angles}°')
    for note in crystal.notes:
        echo(note)
    occupancies = [{str(key): float(n) for key, n in site.species.as_dict().items()} for site in structure]
    if picture:
        write_picture(picture, structure.lattice.matrix, structure.cart_coords, occupancies)
    if table := sites_text(source, [site.label for site in structure], occupancies):
        echo(f'\n{table}\n')
    if not structure.is_ordered:
        echo('Sites are partly occupied: `aiida-ionconduct alloy` makes ordered cells of it.')
    else:
        check_structure(atoms, mobile)
    amounts = structure.composition.get_el_amt_dict()
    if absent := sorted(set(dict(charges)) - set(amounts)):
        raise click.ClickException(f'charges are given for {", ".join(absent)}, which the structure does not contain.')
    states = oxidation_states(amounts, user=dict(charges), stated=crystal.oxidation, structure=structure)
    for note in states.notes:
        echo(note)
    echo(f'Charges: {states_text(states.charges)}; neutral')
    if structure.is_ordered:
        distances = atoms.get_all_distances(mic=True)
        np.fill_diagonal(distances, np.inf)
        echo(f'Shortest distance: {distances.min():.3g} Å')


@structures_command.command('export')
@click.argument('source', metavar='NAME|FILE|PK')
@click.option(
    '-o',
    '--output',
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help='The file to write; its name says the format.',
)
@PROFILE
def structures_export(*, source: str, output: Path, profile: str | None) -> None:
    """Write a crystal to a file, in any format of ASE.

    \b
      aiida-ionconduct structures export beta-Li3PO4 -o start.cif
    """
    import ase.io

    ase.io.write(output, read_atoms(source, profile))
    echo(f'Written: {output}')


def check_picture(picture: Path | None) -> None:
    """Refuse a picture in another format than SVG, before anything is computed.

    :raises click.BadParameter: naming the file.
    """
    if picture is not None and picture.suffix.lower() != '.svg':
        raise click.BadParameter(f'`{picture}` must end in .svg, the format of the drawing.', param_hint='--picture')


def write_picture(picture: Path, cell: np.ndarray, positions: np.ndarray, sites: Sequence[Mapping[str, float]]) -> None:
    """Write the drawing of a cell, see :func:`aiida_ionconduct.report.figures.crystal.crystal_drawing`."""
    from aiida_ionconduct.report.figures.crystal import crystal_drawing

    try:
        picture.write_text(crystal_drawing(cell, positions, sites, background='#ffffff'), encoding='utf-8')
    except OSError as exception:
        raise click.ClickException(f'the picture `{picture}` cannot be written: {exception.strerror}.') from exception
    echo(f'Written: {picture}')


def sites_text(source: str, labels: Sequence[str], occupancies: Sequence[Mapping[str, float]]) -> str:
    """Return what stands where: in a stored cell that was made here by its provenance, in a disordered crystal by file.

    :param source: as the user has given it.
    :param labels: of the sites.
    :param occupancies: by species, for each site.
    """
    from aiida_ionconduct.structures.site_table import occupancies_table, sites_table

    if not Path(source).suffix and source.isdigit() and not Path(source).is_file():
        from aiida import orm

        from aiida_ionconduct.report.graph.crystal import sites_of

        if rows := sites_of(of_kind(Node().convert(source, None, None), orm.StructureData, 'is not a structure')):
            return sites_table(rows)
    if all(len(site) == 1 and sum(site.values()) > 0.999 for site in occupancies):
        return ''
    return occupancies_table(labels, occupancies)


def read_atoms(source: str, profile: str | None) -> Atoms:
    """Return a crystal as ASE atoms, from a shipped name, a file or a node.

    Partial occupancies are in ``atoms.info`` as ASE has them.
    """
    import ase.io

    from aiida_ionconduct.structures import CRYSTALS

    if source in CRYSTALS:
        return cast('Atoms', ase.io.read(CRYSTALS[source]))
    structure = read_crystal(source, None, profile).structure
    if structure.is_ordered:
        return ase.Atoms(structure.to_ase_atoms(msonable=False))
    raise click.ClickException(f'{source} has partial occupancies: make ordered cells of it with `alloy`.')


def read_crystal(source: str, block: str | None, profile: str | None) -> Crystal:
    """Return a crystal with its occupancies, from a shipped name, a file or a node."""
    from aiida_ionconduct.structures import CRYSTALS, Crystal, read_structure

    path = CRYSTALS.get(source, Path(source))
    if path.is_file():
        try:
            return read_structure(path, block)
        except ValueError as exception:
            raise click.ClickException(str(exception)) from exception
    if Path(source).suffix:
        raise click.BadParameter(f'there is no file {source}; shipped are {", ".join(CRYSTALS)}.', param_hint='NAME')
    open_profile(profile)
    from aiida import orm

    node = of_kind(Node().convert(source, None, None), orm.StructureData, 'is not a structure')
    return Crystal(node.get_pymatgen(), {}, ())
