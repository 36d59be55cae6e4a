"""What the stages of a campaign have cost, and what was planned for them."""

from __future__ import annotations

from collections.abc import Mapping

from aiida import orm

from aiida_ionconduct.farm.ledger import Cost, total_cost
from aiida_ionconduct.labels import planned_label
from aiida_ionconduct.report.graph.call_tree import CallTree
from aiida_ionconduct.report.result import StageCost

PLANNED = 'planned_core_hours'
"""Extra of a campaign: by stage, the core hours that were estimated when it was submitted."""


def stage_costs(
    node: orm.ProcessNode, tree: CallTree | None = None, planned: Mapping[str, float] | None = None
) -> list[StageCost]:
    """Return what the stages below a process have cost so far, in the order in which they began.

    :param tree: the calls, where they are known.
    :param planned: core hours by the label of the stage; by default those that were noted at the submission.
    """
    tree = tree or CallTree(node)
    planned = planned or node.base.extras.get(PLANNED, None) or {}
    jobs = {str(node.process_label): [node]} if isinstance(node, orm.CalcJobNode) else {}
    for call, child in tree.called_by(node):
        if below := tree.jobs(child):
            jobs.setdefault(planned_label(call, planned), []).extend(below)
    rows = []
    for label in [*jobs, *(label for label in planned if label not in jobs)]:
        own = jobs.get(label, [])
        cost = total_cost(own) if own else Cost()
        rows.append(
            StageCost(
                label=label,
                n_jobs=len(own),
                n_cached=sum(job.base.caching.is_created_from_cache for job in own),
                core_hours=cost.core_hours,
                gpu_hours=cost.gpu_hours,
                planned_core_hours=planned.get(label),
                accounted=cost.accounted,
            )
        )
    return rows
