"""The import of archives, and what their text says."""

from __future__ import annotations

import logging
import math
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.common.log import override_log_level
from aiida.tools.archive import import_archive
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip

from aiida_ionconduct.archives.readme import CONTENTS_HEADING, PAGE, README, REDUCTION_HEADING
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.data.reduced import REDUCED
from aiida_ionconduct.queries import CAMPAIGN, stored_pk


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


def read_reduction(path: str | pathlib.Path) -> str:
    """Return what the text inside an archive with all jobs says of thinned and left-out files; empty if nothing."""
    text = (read_readme(path) or '').partition(f'\n{CONTENTS_HEADING}')[0]
    return text.partition(f'\n{REDUCTION_HEADING}\n')[2].partition('\n### ')[0].strip()


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


def what_stays(path: str | pathlib.Path) -> list[str]:
    """Return what an import could not change, in sentences: AiiDA keeps the nodes that a profile already has.

    :param path: of an archive that has been imported.
    """
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        thinned_there = _reduced_nodes(reader.querybuilder())
        thinned_here = _reduced_nodes(orm.QueryBuilder())
        query = reader.querybuilder().append(orm.Node, filters={'uuid': {'in': list(thinned_here)}}, project='uuid')
        in_archive = {*thinned_there, *map(str, query.all(flat=True))} if thinned_here else {*thinned_there}
    fuller = [uuid for uuid in in_archive if _is_less(thinned_there.get(uuid, {}), thinned_here.get(uuid, {}))]
    smaller = [uuid for uuid in in_archive if _is_less(thinned_here.get(uuid, {}), thinned_there.get(uuid, {}))]
    texts = []
    if fuller:
        texts.append(
            f'{_nodes(fuller)} thinned or without a file in this archive, but were in this profile before, and stay as '
            'they were.'
        )
    if smaller:
        texts.append(
            f'Warning: {_nodes(smaller)} thinned or without a file in this profile, from an archive that was imported '
            'before, and stay so, although this archive has more of them. To have them whole, import this archive into '
            f'an empty profile:\n  verdi presto --profile-name whole\n  aiida-ionconduct import {path} --profile whole'
        )
    return texts


def _nodes(uuids: list[str]) -> str:
    """Return the subject of a sentence about nodes."""
    return '1 node is' if len(uuids) == 1 else f'{len(uuids)} nodes are'


def _reduced_nodes(query: orm.QueryBuilder) -> dict[str, dict[str, Any]]:
    """Return what the nodes of a profile or an archive state of their thinned and left-out files, by UUID."""
    query.append(orm.Data, filters={'attributes': {'has_key': REDUCED}}, project=['uuid', f'attributes.{REDUCED}'])
    return {str(uuid): statements for uuid, statements in query.all()}


def _is_less(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether a node has less of one of its files in a first place than in a second place."""

    def share(place: Mapping[str, Any], name: str) -> float:
        return place[name].get('every', math.inf) if name in place else 1.0

    return any(share(first, name) > share(second, name) for name in {*first, *second})
