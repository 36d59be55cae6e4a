"""The export of results: AiiDA archives with a README and the page inside."""

from __future__ import annotations

import inspect
import logging
import pathlib
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aiida import orm
from aiida.common.links import LinkType
from aiida.common.log import override_log_level
from aiida.repository import Repository
from aiida.tools.archive import create_archive
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip
from tabulate import tabulate

from aiida_ionconduct.archives.hiding import Hiding, names_to_hide
from aiida_ionconduct.archives.readme import (
    PAGE,
    README,
    Content,
    hiding_text,
    reduction_text,
    thinning_text,
    write_readme,
)
from aiida_ionconduct.archives.reduction import (
    Change,
    Reduced,
    ReducingFormat,
    nodes_behind,
    plan_changes,
    reduction_list,
    reduction_table,
)
from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.calculations.functions.trajectories import thin_trajectory, thinned
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.queries import CAMPAIGN, trajectories_of
from aiida_ionconduct.report.number_format import format_estimate
from aiida_ionconduct.report.page.campaign import write_page
from aiida_ionconduct.transport.estimators import MIN_FRAMES

NO_JOBS: dict[str, Any] = dict.fromkeys(
    ('create_backward', 'return_backward', 'call_calc_backward', 'call_work_backward'), False
)
"""Rules for `results` and `analysis`: no link is followed to the jobs, whose nodes name folders of machines."""
LEFT_OUT = ('compiled_model', 'restarts')
"""Outputs that are of use only on the machine that made them."""


class Exported(NamedTuple):
    """An archive that was written: its file, what it holds, the number of nodes by type, and the bytes of its parts.

    ``trajectory_bytes`` and ``bytes_by_type`` are bytes in the archive, where they are compressed. ``comparison`` is a
    table of what the thinned positions of the archive give beside all positions, or empty. ``reduction`` is a table of
    what an archive with all jobs has thinned and left out, or empty. ``hidden`` is what stands for each name of a
    folder or a computer that was looked for, and ``hiding`` says where names were replaced.
    """

    path: pathlib.Path
    content: Content
    counts: dict[str, int]
    n_bytes: int
    trajectory_bytes: int
    comparison: str = ''
    reduction: str = ''
    bytes_by_type: Mapping[str, int] = {}
    hidden: Mapping[str, str] = {}
    hiding: str = ''


def export(
    node: orm.Node,
    path: str | pathlib.Path,
    *,
    trajectories: bool = True,
    provenance: bool = False,
    every: int = 1,
    centres_every: int = 1,
    working_files: bool | None = None,
    logs: bool = True,
    hide_folders: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write an archive of a campaign, of another work chain with conductivities, or of a conductivity.

    With its trajectories it is all that an analysis needs, and holds no name of a machine. The file is an AiiDA
    archive, which `verdi archive import` takes as well, and a zip file with a README and the page inside.

    :param trajectories: whether the archive holds the trajectories; without them the file is small, and its reader
        cannot repeat the analysis.
    :param provenance: whether the archive holds every job.
    :param every: the archive holds every n-th frame of the positions, and says which conductivities follow from them.
        Without the jobs these are nodes beside those from all frames. With the jobs the nodes of the runs are thinned,
        see :mod:`~aiida_ionconduct.archives.reduction`.
    :param centres_every: with the jobs, the archive holds every n-th of the centres of mass.
    :param working_files: with the jobs, whether the archive holds compiled models, restart files and checkpoints; by
        default where nothing is thinned.
    :param logs: with the jobs, whether the archive holds the logs of LAMMPS, whose columns trajectories hold as well.
    :param hide_folders: with the jobs, whether something else stands for the names of folders and computers, see
        :mod:`~aiida_ionconduct.archives.hiding`.
    :param overwrite: whether the file may exist.
    :raises ValueError: if there is nothing to export, trajectories are missing, or the file exists.
    """
    path = pathlib.Path(path)
    content: Content = 'campaign' if provenance else 'analysis' if trajectories else 'results'
    if provenance and not trajectories:
        raise ValueError('the provenance holds the trajectories: give --provenance or --no-trajectories.')
    _check_options(content, every, centres_every, has_all=working_files is None and logs and not hide_folders)
    if path.exists() and not overwrite:
        raise ValueError(f'`{path}` exists: give another name, or --force.')
    results, runs, conductivities = _results_of(node)
    fewer_frames: list[ConductivityData] = []
    if every != 1:
        _check_frames(runs, every)
        compute = _from_frames_left if provenance else _thinned
        fewer_frames = compute(conductivities, every, centres_every)
    entities: list[orm.Node] = [node] if provenance else results
    if content == 'analysis':
        entities = [*results, *_analysed(results, runs, fewer_frames)]
    changes: dict[str, Change] = {}
    if provenance:
        kept = max(every, centres_every) == 1 if working_files is None else working_files
        changes = plan_changes(node, every=every, centres_every=centres_every, working_files=kept, logs=logs)
    hiding = Hiding(names_to_hide(nodes_behind(node)) if hide_folders else {})
    comparison = _comparison(conductivities, fewer_frames)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = pathlib.Path(folder) / 'archive.aiida'
        reduced = _write_archive(entities, draft, content, changes=changes, hiding=hiding)
        counts, sizes = _census(draft)
        reduction = reduction_table(reduced) if reduced else ''
        hidden = hiding_text(hiding.names.values(), hiding.n_rows, hiding.n_files)
        readme = write_readme(
            node,
            content,
            counts,
            conductivities=conductivities if provenance else fewer_frames or conductivities,
            thinning=reduction_text(reduction, reduction_list(reduced), comparison) or thinning_text(every, comparison),
            hidden=hidden,
        )
        _add_texts(draft, node, readme)
        draft.replace(path)
    n_bytes, trajectory_bytes = path.stat().st_size, sizes.get(IonTrajectoryData.__name__, 0)
    return Exported(
        path, content, counts, n_bytes, trajectory_bytes, comparison, reduction, sizes, hiding.names, hidden
    )


def _add_texts(path: pathlib.Path, node: orm.Node, readme: str) -> None:
    """Add the README to an archive and, of a campaign, the page."""
    with zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(README, readme)
        if isinstance(node, orm.WorkChainNode) and node.process_type == CAMPAIGN:
            archive.write(write_page(node, path.with_name(PAGE)), PAGE)


def _write_archive(
    entities: Iterable[orm.Node],
    path: pathlib.Path,
    content: Content,
    *,
    changes: Mapping[str, Change],
    hiding: Hiding,
) -> list[Reduced]:
    """Write an archive of AiiDA, and return what was thinned and left out in it.

    :param changes: of nodes, by UUID.
    """
    archive_format = ReducingFormat(changes, hiding)
    with_jobs = content == 'campaign'
    with override_log_level(logging.WARNING):
        create_archive(
            entities,
            path,
            archive_format=archive_format,
            include_logs=with_jobs,
            **({} if with_jobs else NO_JOBS),
        )
    return archive_format.reduced


def _check_options(content: Content, every: int, centres_every: int, *, has_all: bool) -> None:
    """Refuse options that do not go together.

    :param has_all: whether no option leaves out files, or hides names, of an archive with all jobs.
    :raises ValueError: saying which to leave out.
    """
    if every != 1 and content == 'results':
        raise ValueError('--every thins the trajectories: leave out --no-trajectories.')
    if centres_every < 1:
        raise ValueError(f'--centres-every {centres_every} cannot be: give a positive number.')
    if centres_every != 1 and content != 'campaign':
        raise ValueError('--centres-every thins archives with all jobs: give --provenance as well.')
    if not has_all and content != 'campaign':
        raise ValueError(
            'logs, compiled models, restart files, checkpoints and names of folders are in archives with all jobs '
            'alone: give --provenance as well, or leave out --no-logs, --working-files, --no-working-files and '
            '--hide-folders.'
        )


def _results_of(
    node: orm.Node,
) -> tuple[list[orm.Node], list[IonTrajectoryData], list[ConductivityData]]:
    """Return the results of a work chain, or a conductivity alone, the trajectories behind them, and conductivities.

    :raises ValueError: if the node is of another kind, or has no conductivity.
    """
    if isinstance(node, ConductivityData):
        return [node], list(trajectories_of(node).values()), [node]
    if not isinstance(node, orm.WorkChainNode):
        raise ValueError(f'node {node.pk} is a {type(node).__name__}: give a campaign or a conductivity.')
    results = {
        link.node.pk: link.node
        for link in node.base.links.get_outgoing(link_type=LinkType.RETURN).all()
        if link.link_label.partition('__')[0] not in LEFT_OUT and not isinstance(link.node, IonTrajectoryData)
    }
    conductivities = [result for result in results.values() if isinstance(result, ConductivityData)]
    if not conductivities:
        raise ValueError(f'node {node.pk} has no conductivities yet.')
    runs = {run.pk: run for result in conductivities for run in trajectories_of(result).values()}
    return list(results.values()), list(runs.values()), conductivities


def _check_frames(runs: Sequence[IonTrajectoryData], every: int) -> None:
    """Refuse a thinning that leaves too few frames.

    :raises ValueError: if n is not positive, there are no runs, or too few frames would be left.
    """
    if not runs:
        raise ValueError('the trajectories are not stored in this profile: give --no-trajectories instead of --every.')
    shortest = min(run.base.attributes.get('n_frames') for run in runs)
    if every < 1 or shortest // every < MIN_FRAMES:
        raise ValueError(
            f'--every {every} cannot be: give a number from 2 to {shortest // MIN_FRAMES}, which leaves at least '
            f'{MIN_FRAMES} frames of the shortest run.'
        )


def _thinned(conductivities: Sequence[ConductivityData], every: int, centres_every: int) -> list[ConductivityData]:
    """Return conductivities computed anew from every n-th frame of the same runs, stored with these runs.

    :param centres_every: 1, as these runs keep all their centres of mass.
    """
    runs = {run.pk: run for conductivity in conductivities for run in trajectories_of(conductivity).values()}
    smaller = {pk: thin_trajectory(run, orm.Int(every)) for pk, run in runs.items()}
    results = []
    for conductivity in conductivities:
        labelled = {label: smaller[run.pk] for label, run in trajectories_of(conductivity).items()}
        results.append(analyse_trajectories(conductivity.creator.inputs.parameters, **labelled))
        results[-1].label = f'one frame in {every}'
    return results


def _from_frames_left(
    conductivities: Sequence[ConductivityData], every: int, centres_every: int
) -> list[ConductivityData]:
    """Return conductivities computed from the frames that an archive leaves; nothing is stored."""
    analyse = inspect.unwrap(analyse_trajectories)
    results = []
    for conductivity in conductivities:
        left = {label: thinned(run, every, centres_every) for label, run in trajectories_of(conductivity).items()}
        results.append(analyse(conductivity.creator.inputs.parameters, **left))
    return results


def _estimate(conductivity: ConductivityData, name: str) -> str:
    """Return a full or a tracer conductivity with its error."""
    attributes = conductivity.base.attributes
    value, stderr = attributes.get(f'sigma_{name}_S_per_cm', None), attributes.get(f'sigma_{name}_stderr', None)
    return format_estimate(value, stderr, 'S/cm')


def _comparison(conductivities: Sequence[ConductivityData], fewer_frames: Sequence[ConductivityData]) -> str:
    """Return a table of full and tracer conductivity from all frames and from thinned positions.

    A sentence below it names what lies outside of its 95 % interval from all frames.
    """
    rows, outside = [], []
    pairs = zip(conductivities, fewer_frames, strict=False)
    for whole, left in sorted(pairs, key=lambda pair: pair[0].temperature_K):
        for name in ('full', 'tracer'):
            label = f'{whole.temperature_K:g} K'
            low, high = whole.base.attributes.get(f'sigma_{name}_ci95', None) or (None, None)
            value = left.base.attributes.get(f'sigma_{name}_S_per_cm', None)
            within = '–'
            if value is not None and low is not None and high is not None:
                within = 'yes' if low <= value <= high else 'no'
            if within == 'no':
                outside.append(f'σ {name} at {label}')
            rows.append((label, name, _estimate(whole, name), _estimate(left, name), within))
    if not rows:
        return ''
    table = tabulate(rows, headers=('', 'σ', 'all frames', 'thinned positions', 'within 95 %'))
    if outside:
        table += (
            f'\nWarning: outside of the 95 % interval from all frames: {", ".join(outside)}. Take a smaller --every.'
        )
    return table


def _analysed(
    results: Sequence[orm.Node], runs: Sequence[IonTrajectoryData], fewer_frames: Sequence[ConductivityData]
) -> list[orm.Node]:
    """Return the trajectories that an archive without jobs holds, with their analyses and the joins of segments.

    :param fewer_frames: conductivities from thinned trajectories, which then replace the whole ones.
    """
    if not fewer_frames:
        return [*runs, *_analyses(results), *(process for run in runs for process in _joins(run))]
    kept = [run for result in fewer_frames for run in trajectories_of(result).values()]
    return [*fewer_frames, *kept, *_analyses(fewer_frames)]


def _analyses(results: Iterable[orm.Node]) -> list[orm.ProcessNode]:
    """Return the analyses that made results: calculation functions of trajectories or conductivities alone."""
    analyses: list[orm.ProcessNode] = []
    for result in results:
        process = result.creator if isinstance(result, orm.Data) else None
        if not isinstance(process, orm.CalcFunctionNode):
            continue
        inputs = process.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all_nodes()
        data = [node for node in inputs if not isinstance(node, orm.Dict)]
        if data and all(isinstance(node, (IonTrajectoryData, ConductivityData)) for node in data):
            analyses.append(process)
    return analyses


def _joins(run: IonTrajectoryData) -> list[orm.ProcessNode]:
    """Return the functions that joined the segments of a run; a run from segments holds no array of its own."""
    if 'segments' not in run.base.attributes or run.creator is None:
        return []
    segments = run.creator.base.links.get_incoming(IonTrajectoryData, LinkType.INPUT_CALC).all_nodes()
    return [run.creator, *(process for segment in segments for process in _joins(segment))]


def _census(path: pathlib.Path) -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of nodes in an archive by type, and the bytes of their files in their packed form.

    A file of nodes of several types counts for the type of the first.
    """
    counts: dict[str, int] = {}
    owners: dict[str, str] = {}
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        query = reader.querybuilder().append(orm.Node, project=['node_type', 'repository_metadata'])
        for node_type, metadata in query.iterall():
            name = node_type.rstrip('.').rpartition('.')[2]
            counts[name] = counts.get(name, 0) + 1
            for key in Repository.flatten(metadata).values():
                if key is not None:
                    owners.setdefault(key, name)
    sizes: dict[str, int] = {}
    with zipfile.ZipFile(path) as archive:
        for file in archive.infolist():
            if name := owners.get(file.filename.rpartition('/')[2]):
                sizes[name] = sizes.get(name, 0) + file.compress_size
    return counts, sizes
