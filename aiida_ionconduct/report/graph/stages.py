"""The stages of a campaign as they are in the provenance graph: who called whom, what flowed, how long it took."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct import labels
from aiida_ionconduct.queries import stored_pk
from aiida_ionconduct.report.graph.call_tree import CallTree, Direction, linked
from aiida_ionconduct.report.result import Flow, StageRun

STAGE_TITLES = {
    labels.PRERELAX: 'Relaxation by the pretrained potential',
    labels.RELAX: 'Relaxation',
    labels.AIMD: 'Ab initio MD',
    labels.LABEL_RATTLED: 'Rattled cells',
    labels.LABEL_LEVELS: 'Levels of theory',
    labels.SAMPLE: 'Pretrained potential',
    labels.LABEL_SAMPLED: 'DFT of sampled frames',
    labels.TEACH: 'Teaching',
    labels.TRAIN: 'Training',
    labels.ACTIVE_LEARNING: 'Active learning',
    labels.EXPLORE: 'Exploration',
    labels.LABEL: 'Relabelling',
    labels.COMPILE: 'Compilation',
    labels.VALIDATE: 'Validation MD',
    labels.EXPAND: 'Thermal expansion',
    labels.MD: 'Molecular dynamics',
}
"""What a stage is called on the page, by the label of its call link without the number of its round."""
JOB_TITLES = {
    'PwCalculation': 'pw.x',
    'PwFramesCalculation': 'pw.x on frames',
    'AllegroTrainCalculation': 'nequip-train',
    'AllegroCompileCalculation': 'nequip-compile',
    'AllegroEvaluateCalculation': 'nequip, committee',
    'LammpsMdCalculation': 'LAMMPS',
    'AseSamplingCalculation': 'pretrained potential',
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


def collect_stages(node: orm.WorkChainNode, tree: CallTree) -> tuple[list[StageRun], list[Flow]]:
    """Group what a work chain called into stages, and follow the data between them.

    :param tree: all processes below the work chain.
    :return: the stages in order of their start, and the flows, whose ``source`` and ``targets`` index the stages.
    """
    groups: dict[str, list[orm.ProcessNode]] = {}
    for label, process in sorted(tree.called_by(node), key=lambda call: (call[1].ctime, stored_pk(call[1]))):
        groups.setdefault(stage_title(label, process), []).append(process)
    titles = _job_titles(tree.jobs(node))
    stages = []
    for title, processes in groups.items():
        stage = _stage_run(title, processes, tree, titles)
        stage.start_s = (processes[0].ctime - node.ctime).total_seconds()
        stages.append(stage)
    return stages, _flows(node, list(groups.values()))


def stage_title(label: str, process: orm.ProcessNode) -> str:
    """Return what a process is called on the page, by the label of its call link or by its own name."""
    stage, number = labels.read_numbered(label)
    if stage in STAGE_TITLES:
        return STAGE_TITLES[stage] + (f' {number}' if number else '')
    words = re.sub(r'(WorkChain|Calculation)$', '', process.process_label or 'Process')
    words = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', words).replace('_', ' ').strip()
    return words[:1].upper() + words[1:].lower()


def wall_time_s(processes: Sequence[orm.ProcessNode]) -> float:
    """Return the time from the first start to the last change of some processes."""
    first, last = min(process.ctime for process in processes), max(process.mtime for process in processes)
    return (last - first).total_seconds()


def process_state(process: orm.ProcessNode) -> str:
    """Return the state of a process in a word, such as ``finished``, ``failed (305)``, ``running`` or ``killed``."""
    if process.is_finished and process.exit_status:
        return f'failed ({process.exit_status})'
    return str(process.process_state.value) if process.process_state else 'unknown'


def _job_titles(jobs: Sequence[orm.CalcJobNode]) -> dict[int, str]:
    """Return, by primary key, the program of a job, and the temperature where it has one."""
    parameters = {
        link.process_pk: link.node.base.attributes.all
        for link in linked(jobs, 'incoming', LinkType.INPUT_CALC, kind=orm.Dict, label='parameters')
    }
    titles = {}
    for job in jobs:
        label, pk = job.process_label or 'job', stored_pk(job)
        name, values = JOB_TITLES.get(label, label), parameters.get(pk, {})
        temperature = values.get('temperature_K', values.get('IONS', {}).get('tempw'))
        titles[pk] = f'{name} {temperature:g} K' if temperature else name
    return titles


def _data_title(data: orm.Node) -> str | None:
    """Return what a node is called on the page; None for settings, files and folders, which would hide the rest."""
    if model_format := data.base.attributes.get('model_format', None):
        return MODEL_TITLES.get(model_format, 'model')
    return DATA_TITLES.get(type(data).__name__)


def _stage_run(title: str, processes: Sequence[orm.ProcessNode], tree: CallTree, titles: dict[int, str]) -> StageRun:
    jobs = [job for process in processes for job in tree.jobs(process)]
    states = [process_state(process) for process in processes]
    return StageRun(
        title=title,
        process=processes[0].process_label or '',
        state=next((state for state in states if state != 'finished'), 'finished'),
        jobs=list(Counter(titles[stored_pk(job)] for job in jobs).items()),
        from_cache=sum(job.base.caching.is_created_from_cache for job in jobs),
        pks=[stored_pk(process) for process in processes],
        wall_time_s=wall_time_s([node for process in processes for node in tree.whole(process)]),
    )


def _flows(node: orm.WorkChainNode, groups: Sequence[Sequence[orm.ProcessNode]]) -> list[Flow]:
    """Return the flows of data.

    :param groups: the processes of each stage.
    """
    made = [_by_pk(group, 'outgoing', LinkType.CREATE, LinkType.RETURN) for group in groups]
    used = [_by_pk(group, 'incoming', LinkType.INPUT_CALC, LinkType.INPUT_WORK) for group in groups]
    given = _by_pk([node], 'incoming', LinkType.INPUT_WORK)
    returned = _by_pk([node], 'outgoing', LinkType.RETURN)
    sources: list[tuple[int | None, dict[int, orm.Node]]] = [(None, given), *enumerate(made)]
    flows = []
    for source, nodes in sources:
        pks_by_title: dict[str, list[int]] = {}
        for pk, data in nodes.items():
            title = _data_title(data)
            if title and (source is None or pk not in given):
                pks_by_title.setdefault(title, []).append(pk)
        for title, pks in pks_by_title.items():
            targets = [
                index for index, stage in enumerate(used) if index != source and not stage.keys().isdisjoint(pks)
            ]
            if targets or (source is not None and not returned.keys().isdisjoint(pks)):
                flows.append(Flow(title, len(pks), sorted(pks), source, targets))
    return flows


def _by_pk(processes: Iterable[orm.ProcessNode], direction: Direction, *link_types: LinkType) -> dict[int, orm.Node]:
    """Return the data that processes made (``outgoing``) or used (``incoming``), by primary key."""
    return {stored_pk(link.node): link.node for link in linked(processes, direction, *link_types)}
