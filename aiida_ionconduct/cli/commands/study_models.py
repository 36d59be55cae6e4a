"""`aiida-ionconduct study models`: which settings of the potential are worth their cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aiida_ionconduct.cli.nodes import open_profile
from aiida_ionconduct.cli.options import PROFILE, labels_of_frames
from aiida_ionconduct.cli.words import Pairs, PairsOption


@click.command('models')
@click.argument('dataset', metavar='DATASET|PK')
@click.option(
    '--grid', cls=PairsOption, type=Pairs(), multiple=True, metavar='KEY=VALUE,…',
    help='Parameters of the training and the values to try, such as r_max=4,5 l_max=1,2; all combinations are tried.',
)  # fmt: skip
@click.option(
    '--epochs', default='10,30,90', show_default=True, metavar='N,N,…',
    help='The epochs, counted from the start, after which it is decided which settings go on; the last number is the '
    'length of a full training.',
)  # fmt: skip
@click.option(
    '--keep', type=click.FloatRange(0, 1, min_open=True), default=0.5, show_default=True,
    help='The fraction of the settings that goes on.',
)  # fmt: skip
@click.option(
    '--protocol', default='quickstart', show_default=True,
    help='The protocol: parameters that are not in the grid, the split of the frames, and resources.',
)  # fmt: skip
@click.option(
    '--overrides', type=click.Path(exists=True, dir_okay=False),
    help='A YAML file with parameters that replace those of the protocol, nested like the protocol.',
)  # fmt: skip
@click.option(
    '--codes', cls=PairsOption, type=Pairs(), multiple=True, metavar='NAME=LABEL',
    help='A code that is not called NAME@localhost, such as lammps=lammps@cluster; can be repeated.',
)  # fmt: skip
@click.option(
    '--atoms', type=click.IntRange(min=1), default=128, show_default=True,
    help='The least number of atoms of the cell in which LAMMPS is timed.',
)  # fmt: skip
@click.option(
    '--steps', type=click.IntRange(min=50), default=200, show_default=True, help='The number of steps that are timed.'
)
@click.option(
    '--max-concurrent', type=click.IntRange(min=1), metavar='N',
    help="The number of trainings at a time. [default: the protocol's]",
)  # fmt: skip
@labels_of_frames
@click.option(
    '--choose', metavar='CRITERION',
    help='Choose the fastest setting with a force error below a limit, such as "forces<50meV/A".',
)  # fmt: skip
@click.option(
    '--output', type=click.Path(dir_okay=False, path_type=Path),
    help='With --choose: the file to write, for `launch --overrides`.',
)  # fmt: skip
@click.option(
    '--figures', type=click.Path(file_okay=False, path_type=Path), default=Path('study'), show_default=True,
    help='The folder for the figure.',
)  # fmt: skip
@click.option('--dry-run', is_flag=True, help='Print the settings, the rungs and the cost, and submit nothing.')
@click.option('--detach', is_flag=True, help='Submit and return at once.')
@PROFILE
def models_command(
    *,
    dataset: str,
    choose: str | None,
    output: Path | None,
    figures: Path,
    dry_run: bool,
    detach: bool,
    profile: str | None,
    **options: Any,
) -> None:
    """Find the settings of the potential that are worth their cost: force error against time.

    Settings are trained for a few epochs, timed in LAMMPS, and go on from their checkpoints if they are good or fast.
    DATASET is a file or a folder of labelled frames, or the PK of a training set. With the PK of a study, its table is
    printed, and --choose chooses from it.

    \b
      aiida-ionconduct study models frames.extxyz --grid r_max=4,5 l_max=1,2 num_tensor_features=8,16 --dry-run
      aiida-ionconduct study models PK --choose "forces<50meV/A" --output model.yaml
      aiida-ionconduct launch --structure cell.cif --overrides model.yaml
    """
    if output is not None and choose is None:
        raise click.UsageError('--output needs --choose: without a choice there is nothing to write.')
    open_profile(profile)
    from aiida_ionconduct.cli.models import get_study_builder, run_study, show_study, stored_study

    study = stored_study(dataset)
    if study is not None:
        if options['grid']:
            raise click.UsageError(f'{study.pk} is a study, and --grid needs labelled frames: leave one of them out.')
        show_study(study, choose=choose, output=output, figures=figures)
        return
    builder = get_study_builder(dataset, **options)
    run_study(builder, choose=choose, output=output, figures=figures, detach=detach, dry_run=dry_run)
