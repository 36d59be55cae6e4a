"""Results to give away: AiiDA archives with a README and the page inside, and their import."""

from __future__ import annotations

import logging
import pathlib
import tempfile
import zipfile
from typing import NamedTuple

from aiida import orm
from aiida.common.links import LinkType
from aiida.common.log import override_log_level
from aiida.tools.archive import create_archive, import_archive
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip

from aiida_ionconduct import __version__
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.queries import CAMPAIGN, trajectories_of
from aiida_ionconduct.report.page.campaign import write_page
from aiida_ionconduct.report.tables.describe import gather
from aiida_ionconduct.report.tables.text import summary_tables

README, PAGE = 'README.md', 'conductivity.html'
CONTENTS = {
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
"""What an archive holds, and what one has to know."""
RULES = {'create_backward': False, 'return_backward': False, 'call_calc_backward': False, 'call_work_backward': False}
"""For `results` and `analysis`: nothing is followed to the jobs, whose nodes name folders of machines."""
LEFT_OUT = ('compiled_model', 'restarts')
"""Outputs that are of use on one machine only."""


class Exported(NamedTuple):
    """An archive that was written: its file, what it holds, how many nodes by type, and the bytes of its parts."""

    path: pathlib.Path
    content: str
    counts: dict[str, int]
    n_bytes: int
    trajectory_bytes: int


def export(
    node: orm.Node,
    path: str | pathlib.Path,
    trajectories: bool = True,
    provenance: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write an archive of a campaign, of another work chain with conductivities, or of a conductivity.

    With its trajectories it is all that an analysis needs, and holds no name of a machine. The file is an AiiDA
    archive, which `verdi archive import` takes as well, and a zip file with a README and the page inside.

    :param trajectories: without them the file is small, and nothing can be analysed again.
    :param provenance: with every job.
    :raises ValueError: if there is nothing to export, trajectories are missing, or the file exists.
    """
    path = pathlib.Path(path)
    content = 'campaign' if provenance else 'analysis' if trajectories else 'results'
    if provenance and not trajectories:
        raise ValueError('the provenance holds the trajectories: give --provenance or --no-trajectories.')
    if path.exists() and not overwrite:
        raise ValueError(f'`{path}` exists: give another name, or --force.')
    if not isinstance(node, (orm.WorkChainNode, ConductivityData)):
        raise ValueError(f'node {node.pk} is a {type(node).__name__}: give a campaign or a conductivity.')
    results, runs = results_of(node)
    if not any(isinstance(one, ConductivityData) for one in results):
        raise ValueError(f'node {node.pk} has no conductivities yet.')
    if provenance:
        entities, rules = [node], {}
    else:
        processes = [one for run in runs for one in joins(run)] + [one.creator for one in results if analysed(one)]
        entities, rules = [*results, *runs, *processes] if trajectories else results, RULES
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = pathlib.Path(folder) / 'archive.aiida'
        with override_log_level(logging.WARNING):
            create_archive(entities, draft, include_logs=provenance, **rules)
        counts, trajectory_bytes = census(draft)
        with zipfile.ZipFile(draft, 'a', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(README, readme(node, content, counts, results))
            if getattr(node, 'process_type', None) == CAMPAIGN:
                archive.write(write_page(node, pathlib.Path(folder) / PAGE), PAGE)
        draft.replace(path)
    return Exported(path, content, counts, path.stat().st_size, trajectory_bytes)


def results_of(node: orm.Node) -> tuple[list[orm.Data], list[IonTrajectoryData]]:
    """Return the results of a work chain, or a conductivity alone, and the trajectories behind them."""
    if isinstance(node, ConductivityData):
        return [node], list(trajectories_of(node).values())
    outputs = node.base.links.get_outgoing(link_type=LinkType.RETURN).all()
    results = {
        link.node.pk: link.node
        for link in outputs
        if link.link_label.partition('__')[0] not in LEFT_OUT and not isinstance(link.node, IonTrajectoryData)
    }
    behind = [one for result in results.values() if isinstance(result, ConductivityData) for one in behind_of(result)]
    return list(results.values()), list({run.pk: run for run in behind}.values())


def behind_of(result: ConductivityData) -> list[IonTrajectoryData]:
    """Return the trajectories that a conductivity was computed from."""
    return list(trajectories_of(result).values())


def analysed(result: orm.Data) -> bool:
    """Whether the process that made a result is an analysis: one that takes trajectories or conductivities."""
    if not isinstance(result.creator, orm.CalcFunctionNode):
        return False
    inputs = result.creator.base.links.get_incoming(link_type=LinkType.INPUT_CALC).all_nodes()
    return all(isinstance(one, (IonTrajectoryData, ConductivityData, orm.Dict)) for one in inputs) and not all(
        isinstance(one, orm.Dict) for one in inputs
    )


def joins(run: IonTrajectoryData) -> list[orm.ProcessNode]:
    """Return the functions that joined the segments of a run, which holds no array of its own then."""
    if 'segments' not in run.base.attributes:
        return []
    inputs = run.creator.base.links.get_incoming(IonTrajectoryData, LinkType.INPUT_CALC).all_nodes()
    return [run.creator, *(one for part in inputs for one in joins(part))]


def census(path: pathlib.Path) -> tuple[dict[str, int], int]:
    """Return how many nodes an archive holds by type, and the bytes of the trajectories, packed as they are."""
    counts: dict[str, int] = {}
    keys = set()
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        query = reader.querybuilder().append(orm.Node, project=['node_type', 'repository_metadata'])
        for node_type, files in query.iterall():
            name = node_type.rstrip('.').rpartition('.')[2]
            counts[name] = counts.get(name, 0) + 1
            if name == 'IonTrajectoryData':
                keys |= {one['k'] for one in files.get('o', {}).values() if 'k' in one}
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(one.compress_size for one in archive.infolist() if one.filename.rpartition('/')[2] in keys)
    return counts, n_bytes


def readme(node: orm.Node, content: str, counts: dict[str, int], results: list[orm.Data]) -> str:
    """Return the README of an archive: the result, what it holds, how to analyse again."""
    data = gather(node)
    conductivities = sorted(
        (one for one in results if isinstance(one, ConductivityData)), key=lambda one: one.temperature_K
    )
    name = conductivities[0].base.attributes.get('reduced_composition', 'an electrolyte')
    holds, caveat = CONTENTS[content]
    listed = '\n'.join(f'- {one.temperature_K:g} K: `{one.uuid}`' for one in conductivities)
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

## What is in this archive

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
Made with aiida-ionconduct {__version__}{versions(data.versions)}.
"""


def versions(known: dict[str, str]) -> str:
    """Return the versions that the processes recorded, as they follow those of this package."""
    texts = [f'{name} {version}' for name, version in sorted(known.items())]
    return f'; the processes ran with {", ".join(texts)}' if texts else ''


def read_readme(path: str | pathlib.Path) -> str | None:
    """Return the README inside an archive, if it has one.

    :raises ValueError: if the file is no archive.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f'`{path}` is no AiiDA archive.')
    with zipfile.ZipFile(path) as archive:
        return archive.read(README).decode() if README in archive.namelist() else None


def import_results(path: str | pathlib.Path) -> list[ConductivityData]:
    """Import an archive, of this package or any other of AiiDA, and return the conductivities that it holds.

    :raises ValueError: if the file is no archive.
    """
    read_readme(path)
    with override_log_level(logging.WARNING):
        import_archive(path, create_group=False)
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        uuids = reader.querybuilder().append(ConductivityData, project='uuid').all(flat=True)
    found = [orm.load_node(uuid) for uuid in uuids]
    return sorted(found, key=lambda one: (one.temperature_K, one.pk))
