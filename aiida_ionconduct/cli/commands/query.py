"""`aiida-ionconduct query …`: the functions of :mod:`aiida_ionconduct.queries`, one command each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import Node, of_kind, open_profile
from aiida_ionconduct.cli.options import PROFILE
from aiida_ionconduct.cli.tables import TABLE, print_frame
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from aiida import orm

COMPOSITION = click.argument('composition', required=False)
CAMPAIGN = click.option('-c', '--campaign', type=Node(), metavar='PK', help='Show only the results of this campaign.')


@click.group('query', cls=Group)
def query_command() -> None:
    """Look results up: tables for the terminal, CSV or JSON for a file.

    COMPOSITION may be written in any way: Li7SiPO8 and Li28P4Si4O32 are the same. The module aiida_ionconduct.queries
    has the same queries for Python.
    """


@query_command.command('conductivities')
@COMPOSITION
@click.option(
    '-T',
    '--temperatures',
    nargs=2,
    type=float,
    metavar='LOW HIGH',
    help='Show only temperatures from LOW to HIGH in K, both included.',
)
@click.option(
    '--converged/--not-converged',
    default=None,
    help='Show only conductivities that are converged, or only those that are not. [default: all]',
)
@CAMPAIGN
@TABLE
@PROFILE
def conductivities(
    *,
    composition: str | None,
    temperatures: tuple[float, float] | None,
    converged: bool | None,
    campaign: orm.Node | None,
    profile: str | None,
    **table: Any,
) -> None:
    """Print the conductivities of all compositions or of one, with their 95 % intervals.

    \b
      aiida-ionconduct query conductivities
      aiida-ionconduct query conductivities Li7SiPO8 --temperatures 800 1200 --format csv > sigma.csv
    """
    open_profile(profile)
    from aiida_ionconduct import queries

    frame = queries.conductivities(composition, temperatures or None, converged, campaign)
    shown = ('pk', 'campaign', 'composition', 'temperature_K', 'sigma_full_S_per_cm', 'sigma_full_ci95_low',
             'sigma_full_ci95_high', 'haven_ratio', 'n_atoms', 'n_seeds', 'total_time_ps', 'converged',
             'n_warnings', 'labels')  # fmt: skip
    print_frame(frame, shown, **table)


@query_command.command('arrhenius')
@COMPOSITION
@CAMPAIGN
@TABLE
@PROFILE
def arrhenius(*, composition: str | None, campaign: orm.Node | None, profile: str | None, **table: Any) -> None:
    """Print the points of Arrhenius lines, cold to hot, and the activation energy of each campaign.

    \b
      aiida-ionconduct query arrhenius Li7SiPO8
      aiida-ionconduct query arrhenius --campaign PK --format csv
    """
    open_profile(profile)
    from aiida_ionconduct import queries
    from aiida_ionconduct.report.tables.arrhenius import arrhenius_rows

    frame = queries.arrhenius_series(composition, campaign)
    shown = ('pk', 'campaign', 'composition', 'temperature_K', 'inverse_temperature_1000_per_K', 'sigma_full_S_per_cm',
             'sigma_full_stderr', 'ln_sigma_T', 'ln_sigma_T_stderr', 'converged')  # fmt: skip
    print_frame(frame, shown, **table)
    if table['layout'] == 'table' and not table['raw']:
        for pk, fit in frame.attrs['fits'].items():
            for label, value, interval in arrhenius_rows(fit):
                echo(f'campaign {pk}: {label} {value}, 95 % {interval}')


@query_command.command('campaigns')
@COMPOSITION
@TABLE
@PROFILE
def campaigns(*, composition: str | None, profile: str | None, **table: Any) -> None:
    """Print the campaigns of all compositions or of one: state, temperatures, activation energy, validation.

    \b
      aiida-ionconduct query campaigns
      aiida-ionconduct query campaigns Li7SiPO8 --raw --project pk
    """
    open_profile(profile)
    from aiida_ionconduct import queries

    shown = ('pk', 'composition', 'protocol', 'state', 'exit_status', 'temperatures_K', 'activation_energy_eV',
             'passed_validation', 'started')  # fmt: skip
    print_frame(queries.campaigns(composition), shown, **table)


@query_command.command('model')
@click.argument('model', type=Node('ionconduct.model'), metavar='PK')
@TABLE
@PROFILE
def model(*, model: orm.Node, profile: str | None, **table: Any) -> None:
    """Print everything that was made with a model: compiled models, trajectories, conductivities.

    PK is an AllegroModelData.

    \b
      aiida-ionconduct query model PK
    """
    open_profile(profile)
    from aiida_ionconduct import queries
    from aiida_ionconduct.data import AllegroModelData

    node = of_kind(model, AllegroModelData, 'is not a model')
    shown = ('pk', 'kind', 'temperature_K', 'sigma_full_S_per_cm', 'seed', 'created')
    print_frame(queries.made_with_model(node), shown, **table)


@query_command.command('trajectories')
@click.argument('conductivity', type=Node('ionconduct.conductivity'), metavar='PK')
@TABLE
@PROFILE
def trajectories(*, conductivity: orm.Node, profile: str | None, **table: Any) -> None:
    """Print the trajectories that a conductivity comes from, with the job and the model of each.

    PK is a ConductivityData.

    \b
      aiida-ionconduct query trajectories PK
    """
    open_profile(profile)
    from aiida_ionconduct import queries
    from aiida_ionconduct.data import ConductivityData

    node = of_kind(conductivity, ConductivityData, 'is not a conductivity')
    shown = ('pk', 'label', 'temperature_K', 'seed', 'length_ps', 'n_frames', 'n_atoms', 'n_segments', 'job', 'model')
    print_frame(queries.trajectories_behind(node), shown, **table)


@query_command.command('warnings')
@COMPOSITION
@CAMPAIGN
@TABLE
@PROFILE
def warnings(*, composition: str | None, campaign: orm.Node | None, profile: str | None, **table: Any) -> None:
    """Print the warnings of conductivities.

    \b
      aiida-ionconduct query warnings
      aiida-ionconduct query warnings Li7SiPO8 --format json
    """
    open_profile(profile)
    from aiida_ionconduct import queries

    shown = ('pk', 'campaign', 'composition', 'temperature_K', 'warning')
    print_frame(queries.with_warnings(composition, campaign), shown, **table)
