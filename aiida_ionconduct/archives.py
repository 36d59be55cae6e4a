"""Results to give away: AiiDA archives with a README and the page inside, and their import."""

from __future__ import annotations

import logging
import pathlib
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from aiida import orm
from aiida.common.links import LinkType
from aiida.common.log import override_log_level
from aiida.tools.archive import create_archive, import_archive
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip
from tabulate import tabulate

from aiida_ionconduct import __version__
from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.calculations.functions.trajectories import thin_trajectory
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.queries import CAMPAIGN, stored_pk, trajectories_of
from aiida_ionconduct.report.graph.campaign import collect_result
from aiida_ionconduct.report.number_format import format_estimate
from aiida_ionconduct.report.page.campaign import write_page
from aiida_ionconduct.report.tables.terminal import summary_tables
from aiida_ionconduct.transport.estimators import MIN_FRAMES

README, PAGE = 'README.md', 'conductivity.html'
CONTENTS_HEADING = '## What is in this archive'  # the heading in the text that follows the results
Content = Literal['results', 'analysis', 'campaign']
CONTENTS: dict[Content, tuple[str, str]] = {
    'results': (
        'the numbers with their curves; of a campaign also the model, the training set and the structures',
        'Without the trajectories nothing can be analysed again, and how the numbers were made is not in the graph: '
        'only this file says it.',
    ),
    'analysis': (
        'the numbers with their curves, the trajectories, and the analyses between them; of a campaign also the model, '
        'the training set and the structures',
        'The jobs that made trajectories and model are not in it: `export --provenance` would add them.',
    ),
    'campaign': (
        'every job with its inputs and outputs, from the first structure on',
        'Jobs name the folders and computers on which they ran.',
    ),
}
"""What an archive holds, and what its reader has to know."""
NO_JOBS: dict[str, Any] = dict.fromkeys(
    ('create_backward', 'return_backward', 'call_calc_backward', 'call_work_backward'), False
)
"""Rules for `results` and `analysis`: no link is followed to the jobs, whose nodes name folders of machines."""
LEFT_OUT = ('compiled_model', 'restarts')
"""Outputs that are of use only on the machine that made them."""


class Exported(NamedTuple):
    """An archive that was written: its file, what it holds, the number of nodes by type, and the bytes of its parts.

    ``comparison`` is a table of what the thinned positions of the archive give beside all positions, or empty.
    """

    path: pathlib.Path
    content: Content
    counts: dict[str, int]
    n_bytes: int
    trajectory_bytes: int
    comparison: str = ''


def export(
    node: orm.Node,
    path: str | pathlib.Path,
    *,
    trajectories: bool = True,
    provenance: bool = False,
    every: int = 1,
    overwrite: bool = False,
) -> Exported:
    """Write an archive of a campaign, of another work chain with conductivities, or of a conductivity.

    With its trajectories it is all that an analysis needs, and holds no name of a machine. The file is an AiiDA
    archive, which `verdi archive import` takes as well, and a zip file with a README and the page inside.

    :param trajectories: whether the archive holds the trajectories; without them the file is small, and its reader
        cannot repeat the analysis.
    :param provenance: whether the archive holds every job.
    :param every: the archive holds every n-th frame of the positions, and conductivities that are computed from them
        beside those from all frames. Centres of mass and thermodynamic columns are whole.
    :param overwrite: whether the file may exist.
    :raises ValueError: if there is nothing to export, trajectories are missing, or the file exists.
    """
    path = pathlib.Path(path)
    content: Content = 'campaign' if provenance else 'analysis' if trajectories else 'results'
    if provenance and not trajectories:
        raise ValueError('the provenance holds the trajectories: give --provenance or --no-trajectories.')
    if every != 1 and content != 'analysis':
        raise ValueError('--every thins the trajectories: leave out --no-trajectories and --provenance.')
    if path.exists() and not overwrite:
        raise ValueError(f'`{path}` exists: give another name, or --force.')
    if not isinstance(node, (orm.WorkChainNode, ConductivityData)):
        raise ValueError(f'node {node.pk} is a {type(node).__name__}: give a campaign or a conductivity.')
    results, runs = _results_of(node)
    conductivities = [result for result in results if isinstance(result, ConductivityData)]
    if not conductivities:
        raise ValueError(f'node {node.pk} has no conductivities yet.')
    thinned = _thinned(conductivities, runs, every) if every != 1 else []
    if thinned:
        kept = [run for result in thinned for run in trajectories_of(result).values()]
        analysed = [*results, *thinned, *kept, *_analyses(thinned)]
    else:
        analysed = [*results, *runs, *_analyses(results), *(process for run in runs for process in _joins(run))]
    comparison = _comparison(conductivities, thinned)
    entities: dict[Content, Iterable[orm.Node]] = {'campaign': [node], 'analysis': analysed, 'results': results}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = pathlib.Path(folder) / 'archive.aiida'
        with override_log_level(logging.WARNING):
            create_archive(entities[content], draft, include_logs=provenance, **({} if provenance else NO_JOBS))
        counts, trajectory_bytes = _census(draft)
        with zipfile.ZipFile(draft, 'a', zipfile.ZIP_DEFLATED) as archive:
            text = _readme(
                node,
                content,
                counts,
                conductivities=thinned or conductivities,
                thinning=_thinning_text(every, comparison),
            )
            archive.writestr(README, text)
            if isinstance(node, orm.WorkChainNode) and node.process_type == CAMPAIGN:
                archive.write(write_page(node, pathlib.Path(folder) / PAGE), PAGE)
        draft.replace(path)
    return Exported(path, content, counts, path.stat().st_size, trajectory_bytes, comparison)


def _results_of(node: orm.WorkChainNode | ConductivityData) -> tuple[list[orm.Node], list[IonTrajectoryData]]:
    """Return the results of a work chain, or a conductivity alone, and the trajectories behind them."""
    if isinstance(node, ConductivityData):
        return [node], list(trajectories_of(node).values())
    results = {
        link.node.pk: link.node
        for link in node.base.links.get_outgoing(link_type=LinkType.RETURN).all()
        if link.link_label.partition('__')[0] not in LEFT_OUT and not isinstance(link.node, IonTrajectoryData)
    }
    conductivities = [result for result in results.values() if isinstance(result, ConductivityData)]
    runs = {run.pk: run for result in conductivities for run in trajectories_of(result).values()}
    return list(results.values()), list(runs.values())


def _thinned(
    conductivities: Sequence[ConductivityData], runs: Sequence[IonTrajectoryData], every: int
) -> list[ConductivityData]:
    """Return conductivities computed anew from every n-th frame of the same runs.

    :raises ValueError: if n is not positive, or leaves too few frames.
    """
    shortest = min((run.base.attributes.get('n_frames') for run in runs), default=0)
    if not runs:
        raise ValueError('the trajectories are not stored in this profile: give --no-trajectories instead of --every.')
    if every < 1 or shortest // every < MIN_FRAMES:
        raise ValueError(
            f'--every {every} cannot be: give a number from 2 to {shortest // MIN_FRAMES}, which leaves at least '
            f'{MIN_FRAMES} frames of the shortest run.'
        )
    smaller = {run.pk: thin_trajectory(run, orm.Int(every)) for run in runs}
    results = []
    for conductivity in conductivities:
        labelled = {label: smaller[run.pk] for label, run in trajectories_of(conductivity).items()}
        results.append(analyse_trajectories(conductivity.creator.inputs.parameters, **labelled))
        results[-1].label = f'one frame in {every}'
    return results


def _comparison(conductivities: Sequence[ConductivityData], thinned: Sequence[ConductivityData]) -> str:
    """Return a table of full and tracer conductivity from all frames and from thinned positions."""
    rows = [
        (
            f'{pair[0].temperature_K:g} K',
            name,
            *(
                format_estimate(
                    result.base.attributes.get(f'sigma_{name}_S_per_cm'),
                    result.base.attributes.get(f'sigma_{name}_stderr'),
                    'S/cm',
                )
                for result in pair
            ),
        )
        for pair in sorted(zip(conductivities, thinned, strict=False), key=lambda pair: pair[0].temperature_K)
        for name in ('full', 'tracer')
    ]
    return tabulate(rows, headers=('', 'σ', 'all frames', 'thinned positions')) if rows else ''


def _thinning_text(every: int, comparison: str) -> str:
    """Return the part of the README on thinned positions, or nothing."""
    if not comparison:
        return ''
    return f"""
## Thinned positions

The archive holds the positions of one frame in {every}; centres of mass and thermodynamic columns are whole.
The results above are from all frames. The positions of the archive give:

```text
{comparison}
```
"""


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


def _census(path: pathlib.Path) -> tuple[dict[str, int], int]:
    """Return the number of nodes in an archive by type, and the bytes of the trajectories in their packed form."""
    counts: dict[str, int] = {}
    keys = set()
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        query = reader.querybuilder().append(orm.Node, project=['node_type', 'repository_metadata'])
        for node_type, files in query.iterall():
            name = node_type.rstrip('.').rpartition('.')[2]
            counts[name] = counts.get(name, 0) + 1
            if name == 'IonTrajectoryData':
                keys |= {file['k'] for file in files.get('o', {}).values() if 'k' in file}
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(file.compress_size for file in archive.infolist() if file.filename.rpartition('/')[2] in keys)
    return counts, n_bytes


def _readme(
    node: orm.Node,
    content: Content,
    counts: Mapping[str, int],
    *,
    conductivities: Sequence[ConductivityData],
    thinning: str,
) -> str:
    """Return the README of an archive: the result, what the archive holds, how to analyse again.

    :param conductivities: those that can be analysed again.
    :param thinning: of :func:`_thinning_text`.
    """
    data = collect_result(node)
    conductivities = sorted(conductivities, key=lambda result: result.temperature_K)
    name = conductivities[0].base.attributes.get('reduced_composition', 'an electrolyte')
    holds, caveat = CONTENTS[content]
    listed = '\n'.join(f'- {result.temperature_K:g} K: `{result.uuid}`' for result in conductivities)
    first = conductivities[0].uuid
    again = f"""
To repeat the analysis, bit for bit, and to do it in another way:

```bash
aiida-ionconduct analyse {first}
aiida-ionconduct analyse {first} --estimator cve
```
"""
    number = ', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))
    return f"""# Ionic conductivity of {name}

```text
{summary_tables(data)}
```
{thinning}
{CONTENTS_HEADING}

It holds {holds}: {number}. {caveat}

It is an archive of AiiDA, and a zip file with this text and, of a campaign, the page `{PAGE}`. The conductivities:

{listed}

## How to use it

```bash
pip install aiida-ionconduct=={__version__}
verdi presto                          # an AiiDA profile, if there is none
aiida-ionconduct import FILE          # this file
aiida-ionconduct show {first}
```
{again if content != 'results' else ''}
Made with aiida-ionconduct {__version__}{_versions(data.versions)}.
"""


def _versions(known: Mapping[str, str]) -> str:
    """Return the versions that the processes recorded, as the end of a sentence."""
    texts = [f'{name} {version}' for name, version in sorted(known.items())]
    return f'; the processes ran with {", ".join(texts)}' if texts else ''


def read_readme(path: str | pathlib.Path) -> str | None:
    """Return the README inside an archive, if it has one.

    :raises ValueError: if the file is not an archive.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f'`{path}` is not an AiiDA archive.')
    with zipfile.ZipFile(path) as archive:
        return archive.read(README).decode() if README in archive.namelist() else None


def read_results(path: str | pathlib.Path) -> str:
    """Return the results that the text inside an archive states, without how to use it; empty if there is none."""
    return (read_readme(path) or '').partition(f'\n{CONTENTS_HEADING}')[0]


def campaigns_in(path: str | pathlib.Path) -> list[orm.WorkChainNode]:
    """Return the campaigns of an archive that has been imported; only an archive with the jobs holds any."""
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        query = reader.querybuilder().append(orm.WorkChainNode, filters={'process_type': CAMPAIGN}, project='uuid')
        uuids = query.all(flat=True)
    nodes = [orm.load_node(uuid) for uuid in uuids]
    return [node for node in nodes if isinstance(node, orm.WorkChainNode)]


def extract_page(path: str | pathlib.Path, output: str | pathlib.Path) -> pathlib.Path | None:
    """Write the page that lies inside an archive; return the file, or None if the archive has no page.

    :param output: the file to write; its folder is made.
    """
    output = pathlib.Path(output)
    with zipfile.ZipFile(path) as archive:
        if PAGE not in archive.namelist():
            return None
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(archive.read(PAGE))
    return output


def import_results(path: str | pathlib.Path) -> list[ConductivityData]:
    """Import an archive of AiiDA, of this package or any other, and return the conductivities that it holds.

    :raises ValueError: if the file is not an archive.
    """
    read_readme(path)
    with override_log_level(logging.WARNING):
        import_archive(path, create_group=False)
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        uuids = reader.querybuilder().append(ConductivityData, project='uuid').all(flat=True)
    nodes = [orm.load_node(uuid) for uuid in uuids]
    conductivities = [node for node in nodes if isinstance(node, ConductivityData)]
    return sorted(conductivities, key=lambda node: (node.temperature_K, stored_pk(node)))
