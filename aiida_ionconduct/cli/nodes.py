"""Profiles and nodes as words of the command line, as verdi has them. AiiDA is imported when one is loaded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from aiida_ionconduct.labels import printable

if TYPE_CHECKING:
    from aiida import orm

N_COMPLETIONS = 50
CAMPAIGN = 'aiida.workflows:ionconduct.conductivity'
"""The kind of a campaign, for :class:`Node`; the same as in `queries`, which imports AiiDA."""

Kind = TypeVar('Kind')


def open_profile(name: str | None = None) -> None:
    """Load a profile.

    :raises click.ClickException: if there is none, saying what to do.
    """
    # AiiDA warns of this as soon as it is imported; where there is no profile, the message below is enough.
    warnings.filterwarnings('ignore', message='Creating AiiDA configuration folder')
    from aiida import load_profile
    from aiida.common.exceptions import ConfigurationError

    try:
        load_profile(name)
    except ConfigurationError as exception:
        raise click.ClickException(
            f'{exception}: `aiida-ionconduct setup` makes a profile, `verdi profile list` shows those there are, and '
            'AIIDA_PATH says where they are looked for.'
        ) from exception


class Node(click.ParamType):
    """A stored node by PK, UUID or label.

    :param entry_points: of the kinds that completion offers, such as ``ionconduct.conductivity`` for data and
        ``aiida.workflows:ionconduct.conductivity`` for processes.
    """

    name = 'PK'

    def __init__(self, *entry_points: str) -> None:
        """Remember what completion offers."""
        self.entry_points = entry_points

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> orm.Node:
        """Load it."""
        if not isinstance(value, str):
            return value
        open_profile(ctx.params.get('profile') if ctx else None)
        from aiida import orm
        from aiida.common.exceptions import MultipleObjectsError, NotExistent

        try:
            return orm.load_node(value)
        except MultipleObjectsError:
            self.fail(f'several nodes are called {value}: give the PK.', param, ctx)
        except (NotExistent, ValueError):
            self.fail(f'no node {value} in this profile.', param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the newest nodes of the kinds, by PK."""
        open_profile(ctx.params.get('profile'))
        from aiida import orm

        offered: list[list[Any]] = []
        for entry_point in self.entry_points or (CAMPAIGN,):
            query = orm.QueryBuilder().append(
                orm.Node, filters=entry_point_filter(entry_point), project=['id', 'label', 'ctime'], tag='node'
            )
            offered += query.order_by({'node': {'id': 'desc'}}).limit(N_COMPLETIONS).all()
        return [
            CompletionItem(str(pk), help=printable(label) or f'{ctime:%Y-%m-%d %H:%M}')
            for pk, label, ctime in offered
            if str(pk).startswith(incomplete)
        ]


def entry_point_filter(entry_point: str) -> dict[str, Any]:
    """Return the filter of a query for nodes of a kind: a process by its type, data by an entry point's name."""
    if ':' in entry_point:
        return {'process_type': entry_point}
    return {'node_type': {'like': f'data.{entry_point}.%'}}


def of_kind(node: orm.Node, kinds: type[Kind] | tuple[type[Kind], ...], purpose: str) -> Kind:
    """Return a node if it belongs to some classes.

    :param purpose: what to say of another node, such as ``is not a model``.
    :raises click.BadParameter: saying what it is and what it cannot be used for.
    """
    if not isinstance(node, kinds):
        raise click.BadParameter(f'node {node.pk} is a {kind(node)}, which {purpose}.', param_hint='PK')
    return node


def kind(node: orm.Node) -> str:
    """Return what a node is: the process's name, or the class."""
    return getattr(node, 'process_label', None) or type(node).__name__
