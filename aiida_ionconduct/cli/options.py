"""Options that several commands share, and which options a user has given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from aiida_ionconduct.choices import ORDERING_METHODS, STRESS_UNITS
from aiida_ionconduct.cli.words import OxidationStates, Pairs, PairsOption

BUDGETS = ('max_md_ns', 'max_core_hours', 'max_gpu_hours')
"""The parameters that limit the production of a campaign."""
PROFILE = click.option(
    '-p', '--profile', is_eager=True, help='The AiiDA profile; the default profile if none is given.'
)
MOBILE = click.option(
    '--mobile', default='Li', show_default=True, metavar='SYMBOL', help='The chemical symbol of the mobile ion.'
)
LAYOUT = click.option(
    '-f',
    '--format',
    'layout',
    type=click.Choice(('text', 'json')),
    default='text',
    show_default=True,
    help='How to print the result.',
)
CHARGES = click.option(
    '--charges',
    cls=PairsOption,
    type=OxidationStates(),
    multiple=True,
    metavar='SYMBOL=CHARGE',
    help='Oxidation states to use instead of those found, such as Ge=4; several as Ge=4 P=5 or Ge=4,P=5. An average, '
    'such as B=-0.1667, is made exact by the balance of charges.',
)

STRESS_UNIT = click.option(
    '--stress-unit',
    type=click.Choice(STRESS_UNITS),
    help='The unit of the stress in the frames, if neither energies nor magnitudes tell; with a minus where a '
    'compressed crystal has a positive stress.',
)
Command = TypeVar('Command', bound=Callable[..., Any])

BLOCK = click.option(
    '--block', metavar='NAME', help='The data block of a CIF that holds several crystals. [default: the only one]'
)
COMPENSATE = click.option(
    '--compensate',
    metavar='SYMBOL',
    help='The ion that is added or removed to balance the charge. [default: the mobile ion]',
)
STRAIN = click.option(
    '--strain',
    default=0.0,
    show_default=True,
    help='The linear strain of the cell, such as 0.01, for ions without room.',
)
ORDERING = click.option(
    '--ordering',
    type=click.Choice(ORDERING_METHODS),
    default='lowest',
    show_default=True,
    help='Which orderings of an alloy or of a disordered crystal are taken: the lowest in electrostatic energy, or '
    'random orderings, as of a quenched crystal.',
)
SITE_COUNTS = click.option(
    '--site-counts',
    cls=PairsOption,
    type=Pairs(int),
    multiple=True,
    metavar='SITE=NUMBER',
    help='The number of ions in the ordered cell on a site of the file, such as Li2=6, or M1:Al=2 on a site with '
    'several species. The sites are those that `structures show` prints.',
)
TOLERANCE = click.option(
    '--tolerance',
    type=float,
    help='The largest relative deviation of the amount of a species from the file. [default: 0.1]',
)


def given_options(ctx: click.Context) -> dict[str, str]:
    """Return the options that the user has given, also where a value equals the default.

    :return: the long name of each option as it is typed, by the name of its parameter.
    """
    defaults = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    return {
        param.name: max(param.opts, key=len)
        for param in ctx.command.params
        if isinstance(param, click.Option) and param.name and ctx.get_parameter_source(param.name) not in defaults
    }


def refuse_other_options(ctx: click.Context, mode: str, allowed: Collection[str]) -> None:
    """Refuse the options that a mode of a command would ignore.

    :param mode: name of the parameter that switches the mode on.
    :param allowed: names of the other parameters that the mode takes.
    :raises click.UsageError: naming the options as they are typed, and the options that the mode takes.
    """
    names = {param.name: max(param.opts, key=len) for param in ctx.command.params}
    refused = [option for name, option in given_options(ctx).items() if name != mode and name not in allowed]
    if refused:
        taken = ', '.join(option for name, option in names.items() if name in allowed)
        raise click.UsageError(f'{names[mode]} does not take {", ".join(refused)}; it takes {taken}.')


def labels_of_frames(command: Command) -> Command:
    """Add the options that say how the labels of a training set are named, and the unit of its stress."""
    command = STRESS_UNIT(command)
    for name, label in (('stress', 'stress or virial'), ('forces', 'forces'), ('energy', 'energy')):
        text = f'The name of the {label} in the labelled frames, if there are several.'
        command = click.option(f'--{name}-key', metavar='NAME', help=text)(command)
    return command
