"""`aiida-ionconduct export` and `import`: give results away, and take them."""

from pathlib import Path

import click

from aiida_ionconduct.cli.nodes import CAMPAIGN, PROFILE, Node, open_profile

RESULT = Node(CAMPAIGN, 'ionconduct.conductivity')


@click.command('export')
@click.argument('node', type=RESULT, metavar='PK')
@click.option(
    '-o', '--output', type=click.Path(dir_okay=False, path_type=Path), help='Default: conductivity-PK.aiida, here.'
)
@click.option('--trajectories/--no-trajectories', default=True, show_default=True, help='Needed to analyse again.')
@click.option('--provenance', is_flag=True, help='Every job too. These name folders and computers.')
@click.option('-f', '--force', is_flag=True, help='Overwrite the file.')
@PROFILE
def export_command(node, output, trajectories, provenance, force, profile):
    """Write the archive of a campaign or a conductivity, with a README and the page inside.

    With the trajectories it is all that it takes to analyse again, bit for bit; it holds no path and no name of a
    machine. `verdi archive import` takes it as well, and `unzip -p FILE README.md` shows what it is.

    \b
      aiida-ionconduct export PK
      aiida-ionconduct export PK --no-trajectories -o small.aiida
      aiida-ionconduct export PK --provenance
    """
    open_profile(profile)
    from aiida_ionconduct.archives import CONTENTS, export

    made = export(node, output or Path(f'conductivity-{node.pk}.aiida'), trajectories, provenance, force)
    holds, caveat = CONTENTS[made.content]
    click.echo(f'Written: {made.path}, {size(made.n_bytes)}, of which trajectories {size(made.trajectory_bytes)}')
    click.echo(f'It holds {holds}: {", ".join(f"{count} {kind}" for kind, count in sorted(made.counts.items()))}.')
    click.echo(caveat)


@click.command('import')
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@PROFILE
def import_command(file, profile):
    """Import an archive and list the conductivities in it.

    \b
      aiida-ionconduct import conductivity-12.aiida
    """
    open_profile(profile)
    from aiida_ionconduct.archives import import_results
    from aiida_ionconduct.report.numbers import format_estimate

    found = import_results(file)
    for one in found:
        a = one.base.attributes.all
        sigma = format_estimate(a['sigma_full_S_per_cm'], a['sigma_full_stderr'], 'S/cm')
        click.echo(f'{one.pk}  {a.get("reduced_composition", "")}  {one.temperature_K:g} K  σ = {sigma}')
    if found:
        pk = found[0].pk
        click.echo(f'\nNext:\n  aiida-ionconduct show {pk}\n  aiida-ionconduct analyse {pk}')
    else:
        click.echo('There is no conductivity in it; whatever is in it was imported.')


def size(n_bytes: int) -> str:
    """Return a number of bytes with a unit."""
    return f'{n_bytes / 1e6:.1f} MB' if n_bytes >= 1e5 else f'{n_bytes / 1e3:.1f} kB'
