"""`aiida-ionconduct launch`: from a crystal to its conductivity. ``submit_conductivity.py`` is the same command."""

import click

from aiida_ionconduct.cli.nodes import PROFILE, open_profile
from aiida_ionconduct.cli.words import Pairs


@click.command('launch', context_settings={'help_option_names': ['-h', '--help'], 'show_default': True})
@click.option(
    '--structure',
    metavar='FILE|PK|NAME',
    help='Anything ASE reads, a node, or a crystal of `aiida-ionconduct structures`. [default: Li7SiPO8, 17 atoms]',
)
@click.option('--substitute', type=Pairs(), multiple=True, metavar='OLD=NEW', help='Make an alloy: P=Si.')
@click.option('--fraction', type=float, default=0.0, help='Of the sites that are substituted.')
@click.option('--formula-units', type=int, help="In the alloy's supercell. [default: as in the crystal's cell]")
@click.option('--compensate', default='Li', help='The ion that balances the charge of an alloy.')
@click.option('--protocol', default='quickstart', help='quickstart, fast, balanced, stringent or talk.')
@click.option('--temperatures', metavar='K,K,…', help='Temperatures of the production runs.')
@click.option('--seeds', metavar='N,N,…', help='Velocity seeds of the production runs.')
@click.option('--mobile', default='Li', help='The mobile ion.')
@click.option('--charges', type=Pairs(), multiple=True, metavar='SYMBOL=CHARGE', help='Where not the usual ones.')
@click.option('--codes', type=Pairs(), multiple=True, metavar='NAME=LABEL', help='Codes not called name@localhost.')
@click.option('--dataset', metavar='FILE|PK', help='Labelled frames (extended XYZ), instead of AIMD.')
@click.option('--model', metavar='FILE|PK', help='A packaged Allegro model (.nequip.zip), instead of training one.')
@click.option('--trust-model', is_flag=True, help='Load that model though no training in this profile made it.')
@click.option('--relaxed', is_flag=True, help='Take the structure as it is.')
@click.option('--target-error', type=float, help='Run until the relative standard error of σ is this: 0.1.')
@click.option('--max-md-ns', type=float, help='MD in ns that this may take, all runs together.')
@click.option(
    '--extend', type=int, metavar='PK', help='Go on with the production of a campaign, with a new target or budget.'
)
@click.option('--overrides', type=click.Path(exists=True, dir_okay=False), help='YAML file, nested like a protocol.')
@click.option('--ignore-validation', is_flag=True, help='Go on with a potential that fails its validation.')
@click.option('--dry-run', is_flag=True, help='Print the plan and submit nothing.')
@click.option('--detach', is_flag=True, help='Submit and return at once.')
@click.option('--follow', 'follow_pk', type=int, metavar='PK', help='Come back to a campaign already submitted.')
@click.option('--output', type=click.Path(file_okay=False), default='results', help='Folder of the HTML page.')
@PROFILE
def launch_command(profile, **options):
    """From a crystal to its ionic conductivity.

    Without options this runs the quickstart. Examples:

    \b
      aiida-ionconduct launch --dry-run
      aiida-ionconduct launch --structure LGPS.cif --protocol balanced --temperatures 600,800,1000
      aiida-ionconduct launch --structure cell.cif --dataset frames.extxyz --charges Ge=4
      aiida-ionconduct launch --structure gamma-Li3PO4 --substitute P=Si --fraction 0.25 \\
          --formula-units 16 --protocol talk --dry-run
      aiida-ionconduct launch --structure cell.cif --protocol balanced --target-error 0.1 --max-md-ns 60
      aiida-ionconduct launch --extend PK --max-md-ns 120
    """
    open_profile(profile)
    from aiida_ionconduct.cli.submit import submit

    try:
        submit(**options)
    except ValueError as exception:  # as `submit_conductivity.py` it is in no group that does this
        raise click.ClickException(str(exception)) from exception
