"""Frames as tables, CSV or JSON, with the options that `verdi` has for lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aiida_ionconduct.cli.words import echo
from aiida_ionconduct.labels import csv_cell, printable

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ('table', 'csv', 'json')

Command = TypeVar('Command', bound=Callable[..., Any])


def TABLE(command: Command) -> Command:
    """Add the options that say how a frame is printed."""
    for option in (
        click.option(
            '-P', '--project', multiple=True, metavar='COLUMN', help='Print this column alone; can be repeated.'
        ),
        click.option(
            '-r', '--raw', is_flag=True, help='Leave out the headers, and print nothing where there are no rows.'
        ),
        click.option(
            '-f',
            '--format',
            'layout',
            type=click.Choice(LAYOUTS),
            default='table',
            show_default=True,
            help='How to print the rows. CSV and JSON have all columns, with all digits.',
        ),
    ):
        command = option(command)
    return command


def print_frame(
    frame: pd.DataFrame,
    shown: Sequence[str],
    *,
    layout: str = 'table',
    raw: bool = False,
    project: Sequence[str] = (),
) -> None:
    """Print a frame.

    :param frame: of :mod:`aiida_ionconduct.queries`.
    :param shown: columns of a table; CSV and JSON have all.
    :param project: columns chosen by the user.
    :raises click.BadParameter: if a chosen column does not exist.
    """
    if unknown := sorted(set(project) - set(frame.columns)):
        raise click.BadParameter(
            f'there is no column {", ".join(unknown)}, but {", ".join(frame.columns)}.', param_hint='--project'
        )
    columns = list(project or (shown if layout == 'table' else frame.columns))
    chosen = frame[columns]
    if layout == 'csv':
        texts = {name: chosen[name].map(csv_cell) for name in columns if chosen[name].dtype.kind == 'O'}
        echo(chosen.assign(**texts).to_csv(index=False, header=not raw), nl=False)
    elif layout == 'json':
        echo(chosen.to_json(orient='records', date_format='iso', indent=None if raw else 2, double_precision=15))
    elif len(chosen) or raw:
        echo(as_text(chosen, raw), nl=bool(len(chosen)))
    else:
        echo('Nothing found.')


def as_text(frame: pd.DataFrame, raw: bool) -> str:
    """Return a frame as a table: numbers with four significant figures, times to the minute, missing values as dashes.

    :param raw: leave out the headers.
    """
    import pandas as pd
    from tabulate import tabulate

    def cell(value: Any) -> str:
        if isinstance(value, pd.Timestamp):
            return f'{value:%Y-%m-%d %H:%M}'
        if pd.isna(value):
            return '–'
        return f'{value:.4g}' if isinstance(value, float) else printable(str(value))

    rows = [[cell(value) for value in row] for row in frame.itertuples(index=False)]
    headers = () if raw else [name.removesuffix('_S_per_cm').replace('_', ' ') for name in frame.columns]
    return tabulate(rows, headers=headers, tablefmt='plain' if raw else 'simple', disable_numparse=True)
