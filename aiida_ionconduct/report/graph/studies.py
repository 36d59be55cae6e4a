"""Studies of the results of a campaign, twin runs of its cells and decisions of its rounds, as the profile has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.queries import stored_pk
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.graph.campaign import array_attributes, arrays
from aiida_ionconduct.report.result import StoredStudy, TwinRuns

STUDIES = {'compare_block_sizes': 'blocks', 'mobile_density': 'density', 'compare_sizes': 'sizes'}
"""The kinds of studies, by the calculation function that makes them."""


def stored_studies(results: Iterable[orm.Node]) -> dict[str, list[StoredStudy]]:
    """Return the studies of a campaign's results that are in the profile, oldest first.

    :param results: trajectories and conductivities of the campaign.
    :return: ``blocks``, ``density`` and ``sizes``, as ``aiida-ionconduct study`` has made them.
    """
    studies: dict[str, list[StoredStudy]] = {kind: [] for kind in STUDIES.values()}
    users = _users(results, orm.CalcFunctionNode, list(STUDIES))
    for process in users:
        study: StoredStudy = {'pk': stored_pk(process), 'attributes': {}, 'arrays': {}}
        for link in process.base.links.get_outgoing(link_type=LinkType.CREATE).all():
            if isinstance(link.node, (orm.ArrayData, orm.Dict)):
                study['arrays'] |= arrays(link.node)
                study['attributes'] |= array_attributes(link.node)
        studies[STUDIES[process.process_label or '']].append(study)
    return studies


def twin_runs(structures: Iterable[orm.Node]) -> list[TwinRuns]:
    """Return the finished twin runs of some cells, oldest first."""
    twins: list[TwinRuns] = []
    for chain in _users(structures, orm.WorkChainNode, ['TwinsWorkChain']):
        curves = chain.outputs.divergence
        twins.append(
            {
                'pk': stored_pk(chain),
                'time_ps': curves.get_array('time_ps'),
                'difference_A': curves.get_array('difference_A'),
                'lyapunov': chain.outputs.lyapunov.get_dict(),
            }
        )
    return twins


def decisions(node: orm.WorkChainNode, tree: CallTree) -> list[dict[str, Any]]:
    """Return what was decided after every round of molecular dynamics of a campaign with a target, in order."""
    deciding = [process for process in tree.whole(node) if process.process_label == 'decide_next']
    made = linked(deciding, 'outgoing', LinkType.CREATE, kind=orm.Dict)
    return [dict(link.node.base.attributes.all) for link in made]


def _users(nodes: Iterable[orm.Node], kind: type[orm.ProcessNode], process_labels: list[str]) -> list[orm.ProcessNode]:
    """Return the processes with some labels that used any of the nodes and finished without an error, oldest first."""
    pks = [node.pk for node in nodes]
    if not pks:
        return []
    query = orm.QueryBuilder().append(orm.Data, filters={'id': {'in': pks}}, tag='used')
    filters = {'attributes.process_label': {'in': process_labels}, 'attributes.exit_status': 0}
    query.append(kind, project='*', filters=filters, joining_keyword='with_incoming', joining_value='used')
    users = {process.pk: process for process in query.all(flat=True)}
    return sorted(users.values(), key=stored_pk)
