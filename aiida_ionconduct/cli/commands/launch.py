"""`aiida-ionconduct launch`: from a crystal to its conductivity. ``submit_conductivity.py`` is the same command."""

from __future__ import annotations

from typing import Any

import click

from aiida_ionconduct.cli.nodes import open_profile
from aiida_ionconduct.cli.options import (
    BLOCK,
    BUDGETS,
    CHARGES,
    COMPENSATE,
    MOBILE,
    ORDERING,
    PROFILE,
    SITE_COUNTS,
    STRAIN,
    TOLERANCE,
    labels_of_frames,
    refuse_other_options,
)
from aiida_ionconduct.cli.words import Pairs, PairsOption

FOLLOWING = ('output', 'profile')
"""The parameters that --follow takes."""
EXTENDING = ('target_error', *BUDGETS, 'ignore_validation', 'dry_run', 'detach', *FOLLOWING)
"""The parameters that --extend takes; all others come from the campaign that is extended."""


@click.command('launch', context_settings={'help_option_names': ['-h', '--help'], 'show_default': True})
@click.option(
    '--structure',
    metavar='FILE|PK|NAME',
    help='The crystal: a CIF or another file that ASE reads, a stored structure, or a name from '
    '`aiida-ionconduct structures list`. [default: Li7SiPO8, 17 atoms]',
)
@click.option(
    '--substitute',
    cls=PairsOption,
    type=Pairs(),
    multiple=True,
    metavar='OLD=NEW',
    help='Make an alloy: P=Si puts silicon on sites of phosphorus.',
)
@click.option('--fraction', type=float, default=0.0, help='The fraction of the sites that are substituted.')
@click.option(
    '--formula-units',
    type=int,
    help="The number of formula units in the alloy's supercell. [default: as in the crystal's cell]",
)
@COMPENSATE
@STRAIN
@TOLERANCE
@BLOCK
@SITE_COUNTS
@ORDERING
@click.option(
    '--ordering-seed', default=0, help='The seed of the random orderings, or of the search for the lowest orderings.'
)
@click.option(
    '--orderings',
    type=click.IntRange(min=1),
    metavar='N',
    help="The number of orderings over which the seeds are spread, at least two seeds each. [default: the protocol's]",
)
@click.option(
    '--protocol',
    default='quickstart',
    help='The protocol: quickstart, fast, balanced, stringent, talk, overnight, or screen, which does no DFT.',
)
@click.option(
    '--temperatures',
    metavar='K,K,…',
    help="The temperatures of the production runs, in K. [default: the protocol's]",
)
@click.option('--seeds', metavar='N,N,…', help="The velocity seeds of the production runs. [default: the protocol's]")
@MOBILE
@CHARGES
@click.option(
    '--codes',
    cls=PairsOption,
    type=Pairs(),
    multiple=True,
    metavar='NAME=LABEL',
    help='A code that is not called NAME@localhost, such as pw=pw@cluster; can be repeated.',
)
@click.option(
    '--dataset',
    metavar='FILE|FOLDER|PK',
    help='Labelled frames, which replace the AIMD: extended XYZ, npz, DeePMD, vasprun.xml or another file of ASE.',
)
@labels_of_frames
@click.option('--model', metavar='FILE|PK', help='A packaged Allegro model (.nequip.zip), which replaces the training.')
@click.option(
    '--foundation',
    metavar='FILE|PK',
    help='A packaged Allegro model (.nequip.zip) from whose weights the training starts. Its architecture and cutoff '
    'replace those of the protocol; the energies of atoms are fitted anew.',
)
@click.option(
    '--trust-model',
    is_flag=True,
    help='Load the model of --model or --foundation even if no training in this profile has made it.',
)
@click.option(
    '--expand',
    is_flag=True,
    help='Run the production in the mean cell at each temperature, found at constant pressure, instead of the cell at '
    '0 K. The potential is then trained on stress.',
)
@click.option('--relaxed', is_flag=True, help='Take the structure as it is, without a relaxation.')
@click.option(
    '--target-error',
    type=float,
    help='Run until the standard error of σ is this fraction of σ at every temperature, such as 0.1.',
)
@click.option('--max-md-ns', type=float, help='The most MD in ns that all production runs together may take.')
@click.option('--max-core-hours', type=float, help='The most core hours that the production may take.')
@click.option('--max-gpu-hours', type=float, help='The most GPU hours that the production may take.')
@click.option(
    '--extend',
    type=int,
    metavar='PK',
    help='Continue the production of a campaign with a new target or budget. Takes only '
    '--target-error, --max-md-ns, --max-core-hours, --max-gpu-hours, --ignore-validation, --dry-run, --detach, '
    '--output and --profile.',
)
@click.option(
    '--overrides',
    type=click.Path(exists=True, dir_okay=False),
    help='A YAML file with parameters that replace those of the protocol, nested like the protocol.',
)
@click.option('--ignore-validation', is_flag=True, help='Continue with a potential even if it fails its validation.')
@click.option('--dry-run', is_flag=True, help='Print the plan and submit nothing.')
@click.option('--detach', is_flag=True, help='Submit and return at once.')
@click.option(
    '--follow',
    'follow_pk',
    type=int,
    metavar='PK',
    help='Show the progress of a campaign that was submitted before. Takes only --output and --profile.',
)
@click.option('--output', type=click.Path(file_okay=False), default='results', help='The folder for the HTML page.')
@PROFILE
@click.pass_context
def launch_command(ctx: click.Context, *, profile: str | None, **options: Any) -> None:
    """Compute the ionic conductivity of a crystal.

    Without options this runs the quickstart. Examples:

    \b
      aiida-ionconduct launch --dry-run
      aiida-ionconduct launch --structure LGPS.cif --protocol balanced --temperatures 600,800,1000
      aiida-ionconduct launch --structure LGPS.cif --protocol screen --charges Ge=4 P=5
      aiida-ionconduct launch --structure cell.cif --dataset frames.extxyz --charges Ge=4 P=5
      aiida-ionconduct launch --structure gamma-Li3PO4 --substitute P=Si --fraction 0.25 \\
          --formula-units 16 --protocol talk --dry-run
      aiida-ionconduct launch --structure cell.cif --protocol balanced --target-error 0.1 --max-md-ns 60
      aiida-ionconduct launch --extend PK --max-md-ns 120
    """
    if options['follow_pk'] is not None:
        refuse_other_options(ctx, 'follow_pk', FOLLOWING)
    elif options['extend'] is not None:
        refuse_other_options(ctx, 'extend', EXTENDING)
    open_profile(profile)
    from aiida_ionconduct.cli.submit import submit

    try:
        submit(**options)
    except ValueError as exception:  # as `submit_conductivity.py` the command is in no group that does this
        raise click.ClickException(str(exception)) from exception
