"""`aiida-ionconduct study potentials`: what the potential adds to the error of a campaign."""

from __future__ import annotations

import click

from aiida_ionconduct.cli.nodes import open_profile
from aiida_ionconduct.cli.options import PROFILE


@click.command('potentials')
@click.argument('pk', type=int, metavar='PK')
@click.option(
    '--training-seeds', metavar='N,N,…',
    help="The seeds of the potentials that are trained on the campaign's frames. [default: none; the other members of "
    "the campaign's committee run]",
)  # fmt: skip
@click.option(
    '--temperatures', metavar='K,K,…',
    help='The temperatures of the production, among those of the campaign. [default: all of them]',
)  # fmt: skip
@click.option('--dry-run', is_flag=True, help='Print the plan and submit nothing.')
@click.option('--detach', is_flag=True, help='Submit and return at once.')
@PROFILE
def potentials_command(
    *,
    pk: int,
    training_seeds: str | None,
    temperatures: str | None,
    dry_run: bool,
    detach: bool,
    profile: str | None,
) -> None:
    """Run the production of a campaign again with other potentials, and compare the conductivities.

    The potentials are the members of the campaign's committee, or are trained for this study with other seeds, at once
    on all frames of the campaign, also where the campaign has trained in rounds. The scatter of their conductivities,
    beyond the errors of the runs, is a lower limit of the error of the potential, as all of them learn from the same
    frames. The error budget of the campaign shows it afterwards. With the PK of such a study, its table is printed.

    \b
      aiida-ionconduct study potentials PK --dry-run
      aiida-ionconduct study potentials PK --training-seeds 2,3 --temperatures 1200
    """
    open_profile(profile)
    from aiida_ionconduct.cli.potentials import study_potentials

    study_potentials(pk, training_seeds, temperatures, dry_run=dry_run, detach=detach)
