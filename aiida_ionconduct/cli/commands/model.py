"""`aiida-ionconduct model …`: potentials in and out."""

from pathlib import Path

import click

from aiida_ionconduct.cli.groups import Group
from aiida_ionconduct.cli.nodes import PROFILE, Node, of_kind, open_profile
from aiida_ionconduct.cli.tables import TABLE, print_frame

MODEL = click.argument('model', type=Node('ionconduct.model'), metavar='PK')


@click.group('model', cls=Group)
def model_command():
    """Allegro potentials: the packaged ones are portable, the compiled ones belong to one kind of machine."""


@model_command.command('list')
@click.option('--all', 'compiled', is_flag=True, help='The compiled files too.')
@TABLE
@PROFILE
def model_list(compiled, profile, **table):
    """List the packaged models, and with --all the compiled ones.

    \b
      aiida-ionconduct model list
    """
    open_profile(profile)
    from aiida_ionconduct import queries

    found = queries.models()
    if not compiled:
        found = found[found['model_format'] == 'package']
    print_frame(found, ('pk', 'label', 'type_names', 'r_max', 'model_format', 'created'), **table)


@model_command.command('show')
@MODEL
@PROFILE
def model_show(model, profile):
    """Print what a model states about itself: species, cutoff, errors on held-out frames, checksum.

    \b
      aiida-ionconduct model show PK
    """
    open_profile(profile)
    import yaml

    from aiida_ionconduct.data import AllegroModelData

    of_kind(model, AllegroModelData, 'is no model')
    attributes = {'pk': model.pk, 'uuid': str(model.uuid), 'label': model.label, **model.base.attributes.all}
    click.echo(yaml.safe_dump(attributes, sort_keys=False, allow_unicode=True).rstrip())


@model_command.command('export')
@MODEL
@click.option('-o', '--output', type=click.Path(dir_okay=False, path_type=Path), help='Default: its own name, here.')
@PROFILE
def model_export(model, output, profile):
    """Write the file of a model.

    \b
      aiida-ionconduct model export PK -o model.nequip.zip
    """
    open_profile(profile)
    from aiida_ionconduct.data import AllegroModelData

    of_kind(model, AllegroModelData, 'is no model')
    path = output or Path(model.filename)
    if path.exists():
        raise click.ClickException(f'`{path}` exists: give another name with -o.')
    path.write_bytes(model.get_content(mode='rb'))
    click.echo(f'Written: {path}')


@model_command.command('import')
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option('--label', default='', help='Of the node.')
@PROFILE
def model_import(file, label, profile):
    """Store a model made by nequip-package or nequip-compile; nothing in it is unpickled. The same file is one node.

    \b
      aiida-ionconduct model import model.nequip.zip --label LGPS-v2
    """
    open_profile(profile)
    from aiida import orm

    from aiida_ionconduct.data import AllegroModelData

    node = AllegroModelData(file, label=label)
    query = orm.QueryBuilder().append(AllegroModelData, filters={'attributes.sha256': node.sha256})
    same = query.first(flat=True)
    click.echo(f'It is there already: {same.pk}' if same else f'Stored: {node.store().pk}')
