"""What only the page of a campaign shows, gathered: computed from its trajectories, and stored studies."""

from __future__ import annotations

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.labels import in_namespace
from aiida_ionconduct.report.graph.call_tree import CallTree, linked
from aiida_ionconduct.report.graph.crystal import crystal_of
from aiida_ionconduct.report.graph.studies import decisions, stored_studies, twin_runs
from aiida_ionconduct.report.graph.trajectories import against_aimd, block_studies, by_temperature, densities
from aiida_ionconduct.report.result import Details


def collect_details(node: orm.WorkChainNode) -> Details:
    """Return what can be shown of a campaign beyond its outputs. No dynamics are run and no nodes are stored."""
    tree = CallTree(node)
    outputs = {link.label: link.node for link in linked([node], 'outgoing', LinkType.RETURN)}
    inputs = {link.label: link.node for link in linked([node], 'incoming', LinkType.INPUT_WORK)}
    mobile = inputs['mobile'].base.attributes.get('value') if 'mobile' in inputs else 'Li'
    charges = inputs['charges'].base.attributes.all if 'charges' in inputs else {}
    runs = by_temperature(in_namespace('trajectories', outputs).values())
    studies = stored_studies(
        result for result in outputs.values() if isinstance(result, (IonTrajectoryData, orm.ArrayData))
    )
    # A stored study, of lengths that someone has chosen, goes before the study made here.
    chosen = {
        study['attributes']['temperature_K']: {**study['attributes'], 'pk': study['pk']} for study in studies['blocks']
    }
    others = {temperature: seeds for temperature, seeds in runs.items() if temperature not in chosen}
    crystal = crystal_of(node)
    return {
        **({} if crystal is None else {'crystal': crystal}),
        'blocks': dict(sorted((block_studies(others, charges, mobile) | chosen).items())),
        'density': densities(runs, mobile),
        'aimd': against_aimd(node, tree, mobile),
        'studies': studies,
        'twins': twin_runs(output for output in outputs.values() if isinstance(output, orm.StructureData)),
        'decisions': decisions(node, tree),
    }
