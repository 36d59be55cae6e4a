"""`aiida-ionconduct export` and `import`: give results away, and take them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_ionconduct.cli.nodes import CAMPAIGN, Node, open_profile
from aiida_ionconduct.cli.options import PROFILE
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from aiida import orm

LARGEST = 4
"""How many types of nodes are named with the bytes of their files."""
RESULT = Node(CAMPAIGN, 'ionconduct.conductivity')


@click.command('export')
@click.argument('node', type=RESULT, metavar='PK')
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    help='The file to write. [default: conductivity-PK.aiida in the current folder]',
)
@click.option(
    '--trajectories/--no-trajectories',
    default=True,
    show_default=True,
    help='Whether to include the trajectories, without which the runs cannot be analysed again.',
)
@click.option(
    '--every',
    type=click.IntRange(min=1),
    default=1,
    metavar='N',
    help='Take the positions of one frame in N only, and compare the conductivities from them with those from all '
    'frames.',
)
@click.option('--provenance', is_flag=True, help='Include every job as well; jobs name folders and computers.')
@click.option(
    '--centres-every',
    type=click.IntRange(min=1),
    default=1,
    metavar='N',
    help='With --provenance, take one in N of the centres of mass of the long runs only.',
)
@click.option(
    '--working-files/--no-working-files',
    default=None,
    help='With --provenance, whether to include compiled models, restart files and checkpoints of trainings, which '
    'only a job needs that goes on from them. [default: include them unless frames are thinned]',
)
@click.option(
    '--logs/--no-logs',
    default=True,
    show_default=True,
    help='With --provenance, whether to include the logs of LAMMPS, whose columns the trajectories hold as well.',
)
@click.option(
    '--hide-folders',
    is_flag=True,
    help='With --provenance, replace the names of folders and computers, in the database and in text files.',
)
@click.option('-f', '--force', is_flag=True, help='Overwrite the file if it exists.')
@PROFILE
def export_command(
    *,
    node: orm.Node,
    output: Path | None,
    trajectories: bool,
    every: int,
    provenance: bool,
    centres_every: int,
    working_files: bool | None,
    logs: bool,
    hide_folders: bool,
    force: bool,
    profile: str | None,
) -> None:
    """Write the archive of a campaign or a conductivity, with a README and the HTML page inside.

    An archive with trajectories holds everything that is needed to repeat the analysis to the last bit, but no path
    and no name of a machine. With --provenance it holds every job as well, with the folders in which the jobs ran
    unless --hide-folders is given. --every makes both small. `verdi archive import` reads the file as well, and
    `unzip -p FILE README.md` shows what it holds.

    \b
      aiida-ionconduct export PK
      aiida-ionconduct export PK --no-trajectories -o small.aiida
      aiida-ionconduct export PK --every 10
      aiida-ionconduct export PK --provenance
      aiida-ionconduct export PK --provenance --every 30 --centres-every 30 --no-logs --hide-folders
    """
    open_profile(profile)
    from tabulate import tabulate

    from aiida_ionconduct.archives import CONTENTS, README, export
    from aiida_ionconduct.report.number_format import format_bytes

    made = export(
        node,
        output or Path(f'conductivity-{node.pk}.aiida'),
        trajectories=trajectories,
        provenance=provenance,
        every=every,
        centres_every=centres_every,
        working_files=working_files,
        logs=logs,
        hide_folders=hide_folders,
        overwrite=force,
    )
    holds, caveat = CONTENTS[made.content]
    sizes = [format_bytes(n_bytes) for n_bytes in (made.n_bytes, made.trajectory_bytes)]
    echo(f'Written: {made.path}, {sizes[0]}, of which trajectories {sizes[1]}')
    echo(f'It holds {holds}: {", ".join(f"{count} {kind}" for kind, count in sorted(made.counts.items()))}.')
    echo(made.hiding or caveat)
    if made.hidden:
        echo(tabulate(sorted(made.hidden.items()), headers=('name', 'replaced by')))
    if made.reduction:
        echo(f'\nThinned or left out, in bytes that are not compressed; {README} in the archive lists each file:')
        echo(made.reduction)
        largest = sorted(made.bytes_by_type.items(), key=lambda item: -item[1])[:LARGEST]
        echo(f'Largest in the archive: {", ".join(f"{name} {format_bytes(n_bytes)}" for name, n_bytes in largest)}.')
    elif made.comparison:
        echo(f'\nIt holds the positions of one frame in {every}; centres of mass and energies are whole.')
    if made.comparison:
        echo(f'\n{made.comparison}')


@click.command('import')
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    '--page',
    type=click.Path(dir_okay=False, path_type=Path),
    metavar='FILE',
    help='Print the results as well, and write the HTML page: anew from the campaign, or, from an archive without '
    'jobs, the page inside the archive.',
)
@PROFILE
def import_command(*, file: Path, page: Path | None, profile: str | None) -> None:
    """Import an archive and list the conductivities in it.

    \b
      aiida-ionconduct import conductivity-12.aiida
      aiida-ionconduct import conductivity-12.aiida --page conductivity.html
    """
    open_profile(profile)
    from aiida_ionconduct.archives import import_results, what_stays
    from aiida_ionconduct.report.number_format import format_estimate

    conductivities = import_results(file)
    for text in what_stays(file):
        echo(f'{text}\n')
    if page:
        show_imported(file, page)
    for node in conductivities:
        attributes = node.base.attributes.all
        sigma = format_estimate(attributes['sigma_full_S_per_cm'], attributes['sigma_full_stderr'], 'S/cm')
        composition = attributes.get('reduced_composition', '')
        note = f'  ({node.label})' if node.label else ''
        echo(f'{node.pk}  {composition}  {node.temperature_K:g} K  σ = {sigma}{note}')
    if conductivities:
        pk = next((node for node in conductivities if node.creator), conductivities[0]).pk
        echo(f'\nNext:\n  aiida-ionconduct show {pk}\n  aiida-ionconduct analyse {pk}')
    else:
        echo('The archive was imported; it holds no conductivity.')


def show_imported(file: Path, page: Path) -> None:
    """Print the results of an archive that has been imported, and write the page.

    :param page: the file to write.
    :raises click.ClickException: if the archive holds neither a campaign nor a page.
    """
    from aiida_ionconduct.archives import campaigns_in, extract_page, read_reduction, read_results
    from aiida_ionconduct.report.graph.campaign import collect
    from aiida_ionconduct.report.page.campaign import write_page
    from aiida_ionconduct.report.page.comparison import write_comparison
    from aiida_ionconduct.report.tables.terminal import summary_tables

    campaigns = campaigns_in(file)
    for node in campaigns:
        echo(f'{summary_tables(collect(node))}\n')
    if campaigns:
        if text := read_reduction(file):
            echo(f'{text}\n')
        written = write_page(campaigns[0], page) if len(campaigns) == 1 else write_comparison(campaigns, page)
    else:
        echo(read_results(file))
        inside = extract_page(file, page)
        if inside is None:
            raise click.ClickException(
                f'{file} holds neither a campaign nor a page: export the campaign again (aiida-ionconduct export PK), '
                'or leave out --page.'
            )
        written = inside
    echo(f'Page written: {written}\n')
