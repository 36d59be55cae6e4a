"""`aiida-ionconduct alloy` and `structures`: cells to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import Node, of_kind, open_profile
from aiida_ionconduct.cli.options import CHARGES, MOBILE, PROFILE
from aiida_ionconduct.cli.tables import TABLE, print_frame
from aiida_ionconduct.cli.words import Pairs

if TYPE_CHECKING:
    from ase import Atoms


@click.command('alloy')
@click.argument('parent')
@click.option(
    '--substitute',
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
    help="The number of formula units in the supercell. [default: as in the crystal's cell]",
)
@click.option(
    '--compensate',
    default='Li',
    show_default=True,
    metavar='SYMBOL',
    help='The ion that is added or removed to balance the charge.',
)
@CHARGES
@click.option('--seed', default=0, show_default=True, help='The seed of the random numbers in the search.')
@click.option('--n-best', default=10, show_default=True, help='The largest number of cells to return.')
@click.option('--strain', default=0.0, show_default=True, help='The linear strain of the cell.')
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    help='A file for the cells, in the format that ASE takes from its name.',
)
def alloy_command(
    *,
    parent: str,
    substitute: list[tuple[str, str]],
    charges: list[tuple[str, int]],
    output: Path | None,
    **options: Any,
) -> None:
    """Make ordered cells of an alloy, or of a crystal with partial occupancies, and rank them by electrostatics.

    PARENT is a CIF file or the name of a shipped crystal, such as gamma-Li3PO4. The cell of the talk:

    \b
      aiida-ionconduct alloy gamma-Li3PO4 --substitute P=Si --fraction 0.25 --formula-units 16 -o cells.extxyz
    """
    import ase.io

    from aiida_ionconduct.structures import alloy, scores_table

    try:
        candidates = alloy(parent, dict(substitute), charges=dict(charges), **options)
    except ValueError as exception:
        raise click.ClickException(str(exception)) from exception
    click.echo(f'{candidates[0].description}\n\n{scores_table(candidates)}')
    if output:
        ase.io.write(output, [candidate.atoms for candidate in candidates])
        click.echo(f'\nWritten: {output}')


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
@PROFILE
def structures_show(*, source: str, mobile: str, charges: list[tuple[str, int]], profile: str | None) -> None:
    """Print a crystal and whether it can be calculated: contacts, neutrality, the mobile ion.

    \b
      aiida-ionconduct structures show gamma-Li3PO4
      aiida-ionconduct structures show cell.cif --charges Ge=4
    """
    import numpy as np

    from aiida_ionconduct.structures import check_charges, check_structure, is_disordered

    atoms = read_atoms(source, profile)
    lengths = ', '.join(f'{value:.4g}' for value in atoms.cell.cellpar()[:3])
    angles = ', '.join(f'{value:.4g}' for value in atoms.cell.cellpar()[3:])
    click.echo(f'{atoms.symbols.formula:metal}, {len(atoms)} sites, {lengths} Å, {angles}°')
    if is_disordered(atoms):
        click.echo('Sites are partly occupied: `aiida-ionconduct alloy` makes ordered cells of it.')
        return
    check_structure(atoms, mobile)
    known = check_charges(atoms, dict(charges))
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    click.echo(f'Charges: {", ".join(f"{symbol} {charge:+d}" for symbol, charge in known.items())}; neutral')
    click.echo(f'Shortest distance: {distances.min():.3g} Å')


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
    click.echo(f'Written: {output}')


def read_atoms(source: str, profile: str | None) -> Atoms:
    """Return a crystal as ASE atoms, from a shipped name, a file or a node."""
    import ase.io

    from aiida_ionconduct.structures import CRYSTALS

    path = CRYSTALS.get(source, Path(source))
    if path.is_file():
        return cast('Atoms', ase.io.read(path))
    if Path(source).suffix:
        raise click.BadParameter(f'there is no file {source}; shipped are {", ".join(CRYSTALS)}.', param_hint='NAME')
    open_profile(profile)
    from aiida import orm

    node = Node().convert(source, None, None)
    return of_kind(node, orm.StructureData, 'is not a structure').get_ase()
