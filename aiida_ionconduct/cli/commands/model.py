"""`aiida-ionconduct model …`: potentials in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import Node, of_kind, open_profile
from aiida_ionconduct.cli.options import PROFILE
from aiida_ionconduct.cli.tables import TABLE, print_frame
from aiida_ionconduct.cli.words import echo

if TYPE_CHECKING:
    from aiida import orm

MODEL = click.argument('model', type=Node('ionconduct.model'), metavar='PK')
NO_MODEL = 'is not a model'


@click.group('model', cls=Group)
def model_command() -> None:
    """List, show, export and import Allegro potentials.

    A packaged model is portable; a compiled model belongs to one kind of machine.
    """


@model_command.command('list')
@click.option('--all', 'compiled', is_flag=True, help='List the compiled models as well.')
@TABLE
@PROFILE
def model_list(*, compiled: bool, profile: str | None, **table: Any) -> None:
    """List the packaged models, and with --all the compiled models as well.

    \b
      aiida-ionconduct model list
    """
    open_profile(profile)
    from aiida_ionconduct import queries

    models = queries.models()
    if not compiled:
        models = models[models['model_format'] == 'package']
    print_frame(models, ('pk', 'label', 'type_names', 'r_max', 'model_format', 'created'), **table)


@model_command.command('show')
@MODEL
@PROFILE
def model_show(*, model: orm.Node, profile: str | None) -> None:
    """Print what a model states about itself: species, cutoff, errors on held-out frames, checksum.

    \b
      aiida-ionconduct model show PK
    """
    open_profile(profile)
    import yaml

    from aiida_ionconduct.data import AllegroModelData

    node = of_kind(model, AllegroModelData, NO_MODEL)
    attributes = {'pk': node.pk, 'uuid': str(node.uuid), 'label': node.label, **node.base.attributes.all}
    echo(yaml.safe_dump(attributes, sort_keys=False, allow_unicode=True).rstrip())


@model_command.command('export')
@MODEL
@click.option(
    '-o',
    '--output',
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. [default: the model's own name, in the current folder]",
)
@PROFILE
def model_export(*, model: orm.Node, output: Path | None, profile: str | None) -> None:
    """Write the file of a model.

    \b
      aiida-ionconduct model export PK -o model.nequip.zip
    """
    open_profile(profile)
    from aiida_ionconduct.data import AllegroModelData

    node = of_kind(model, AllegroModelData, NO_MODEL)
    path = output or Path(node.filename)
    if path.exists():
        raise click.ClickException(f'`{path}` exists: give another name with -o.')
    path.write_bytes(node.get_content(mode='rb'))
    echo(f'Written: {path}')


@model_command.command('import')
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option('--label', default='', help='The label of the node.')
@PROFILE
def model_import(*, file: Path, label: str, profile: str | None) -> None:
    """Store a model that nequip-package or nequip-compile has made.

    Nothing in the file is unpickled. A file that is stored already is not stored again.

    \b
      aiida-ionconduct model import model.nequip.zip --label LGPS-v2
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.data import AllegroModelData

    node = AllegroModelData(file, label=label)
    query = orm.QueryBuilder().append(AllegroModelData, filters={'attributes.sha256': node.sha256})
    same = query.first(flat=True)
    echo(f'It is there already: {same.pk}' if same else f'Stored: {node.store().pk}')
