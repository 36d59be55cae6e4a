"""The stages of a campaign as they are in the provenance graph: who called whom, what flowed, how long it took."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.report.graph.calls import CallTree, linked

STAGE_TITLES = {
    'relax': 'Relaxation',
    'aimd': 'Ab initio MD',
    'label_rattled': 'Rattled cells',
    'train': 'Training',
    'active_learning': 'Active learning',
    'explore': 'Exploration',
    'label': 'Relabelling',
    'compile': 'Compilation',
    'validate': 'Validation MD',
    'md': 'Molecular dynamics',
}
"""What a stage is called on the page, by the label of its call link without the number of its round."""
JOB_TITLES = {
    'PwCalculation': 'pw.x',
    'PwFramesCalculation': 'pw.x on frames',
    'AllegroTrainCalculation': 'nequip-train',
    'AllegroCompileCalculation': 'nequip-compile',
    'AllegroEvaluateCalculation': 'nequip, committee',
    'LammpsMdCalculation': 'LAMMPS',
}
DATA_TITLES = {
    'StructureData': 'structure',
    'TrajectoryData': 'ab initio trajectory',
    'DatasetData': 'training set',
    'AllegroModelData': 'model',
    'IonTrajectoryData': 'ion trajectory',
    'ConductivityData': 'conductivity',
}
MODEL_TITLES = {'package': 'packaged model', 'aotinductor': 'compiled model'}


@dataclass
class Stage:
    """All processes that one work chain called for one purpose."""

    title: str
    process: str
    state: str
    jobs: list[tuple[str, int]] = field(default_factory=list)
    from_cache: int = 0
    pks: list[int] = field(default_factory=list)
    start_s: float = 0.0
    wall_time_s: float = 0.0


@dataclass
class Flow:
    """Data that one stage made, or that were given, and the stages that used them; None stands for the campaign."""

    title: str
    count: int
    pks: list[int]
    source: int | None
    targets: list[int]


def collect_stages(node: orm.WorkChainNode, tree: CallTree) -> tuple[list[Stage], list[Flow]]:
    """Group what a work chain called into stages, and follow the data between them.

    :param tree: what it called.
    :returns: the stages in order of their start, and the flows, whose ``source`` and ``targets`` index the stages.
    """
    groups: dict[str, list[orm.ProcessNode]] = {}
    for call in sorted(tree.calls.get(node.pk, []), key=lambda call: (call.node.ctime, call.node.pk)):
        groups.setdefault(stage_title(call.label, call.node), []).append(call.node)
    titles = job_titles(tree.jobs(node))
    stages = [_stage(node, title, processes, tree, titles) for title, processes in groups.items()]
    return stages, _flows(node, list(groups.values()))


def stage_title(label: str, process: orm.ProcessNode) -> str:
    """Return what a process is called on the page, by the label of its call link or by its own name."""
    stage, number = re.fullmatch(r'(.+?)(?:_(\d+))?', label).groups()
    if stage in STAGE_TITLES:
        return STAGE_TITLES[stage] + (f' {number}' if int(number or 0) else '')
    words = re.sub(r'(WorkChain|Calculation)$', '', process.process_label or 'Process')
    words = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', words).replace('_', ' ').strip()
    return words[:1].upper() + words[1:].lower()


def wall_time_s(processes: Iterable[orm.ProcessNode]) -> float:
    """Return the time from the first start to the last change of some processes."""
    processes = list(processes)
    return (max(one.mtime for one in processes) - min(one.ctime for one in processes)).total_seconds()


def process_state(process: orm.ProcessNode) -> str:
    """Return ``finished``, ``failed (305)``, ``running``, ``excepted``, ``killed`` …"""
    if process.is_finished and process.exit_status:
        return f'failed ({process.exit_status})'
    return process.process_state.value if process.process_state else 'unknown'


def job_titles(jobs: list[orm.CalcJobNode]) -> dict[int, str]:
    """Return, by primary key, the program of a job, and the temperature where it has one."""
    parameters = {
        row.process_pk: row.node.get_dict()
        for row in linked(jobs, 'incoming', LinkType.INPUT_CALC, kind=orm.Dict, label='parameters')
    }
    titles = {}
    for job in jobs:
        name, values = JOB_TITLES.get(job.process_label, job.process_label or 'job'), parameters.get(job.pk, {})
        temperature = values.get('temperature_K', values.get('IONS', {}).get('tempw'))
        titles[job.pk] = f'{name} {temperature:g} K' if temperature else name
    return titles


def _stage(
    node: orm.WorkChainNode, title: str, processes: list[orm.ProcessNode], tree: CallTree, titles: dict[int, str]
) -> Stage:
    jobs = [job for process in processes for job in tree.jobs(process)]
    states = [process_state(process) for process in processes]
    return Stage(
        title=title,
        process=processes[0].process_label or '',
        state=next((state for state in states if state != 'finished'), 'finished'),
        jobs=list(Counter(titles[job.pk] for job in jobs).items()),
        from_cache=sum(job.base.caching.is_created_from_cache for job in jobs),
        pks=[process.pk for process in processes],
        start_s=(processes[0].ctime - node.ctime).total_seconds(),
        wall_time_s=wall_time_s(one for process in processes for one in tree.whole(process)),
    )


def _flows(node: orm.WorkChainNode, groups: list[list[orm.ProcessNode]]) -> list[Flow]:
    made = [_linked(group, 'outgoing', LinkType.CREATE, LinkType.RETURN) for group in groups]
    used = [_linked(group, 'incoming', LinkType.INPUT_CALC, LinkType.INPUT_WORK) for group in groups]
    given = _linked([node], 'incoming', LinkType.INPUT_WORK)
    returned = _linked([node], 'outgoing', LinkType.RETURN)
    flows = []
    for source, data in [(None, given), *enumerate(made)]:
        titles: dict[str, list[orm.Data]] = {}
        for one in data.values():
            if data_title(one) and (source is None or one.pk not in given):
                titles.setdefault(data_title(one), []).append(one)
        for title, nodes in titles.items():
            pks = sorted(one.pk for one in nodes)
            targets = [
                index for index, there in enumerate(used) if index != source and not there.keys().isdisjoint(pks)
            ]
            if targets or (source is not None and not returned.keys().isdisjoint(pks)):
                flows.append(Flow(title, len(pks), pks, source, targets))
    return flows


def data_title(data: orm.Data) -> str | None:
    """Return what a node is called on the page; None for settings, files and folders, which would hide the rest."""
    if model_format := data.base.attributes.get('model_format', None):
        return MODEL_TITLES.get(model_format, 'model')
    return DATA_TITLES.get(type(data).__name__)


def _linked(processes: Iterable[orm.ProcessNode], direction: str, *link_types: LinkType) -> dict[int, orm.Data]:
    """Return the data that processes made (``outgoing``) or used (``incoming``), by primary key."""
    return {row.node.pk: row.node for row in linked(processes, direction, *link_types)}
