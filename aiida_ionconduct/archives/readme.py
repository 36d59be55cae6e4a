"""The text inside an archive: the result, what the archive holds, and how to analyse again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from aiida import orm

from aiida_ionconduct import __version__
from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.data.reduced import REDUCED
from aiida_ionconduct.report.graph.campaign import collect_result
from aiida_ionconduct.report.tables.terminal import summary_tables

README, PAGE = 'README.md', 'conductivity.html'
CONTENTS_HEADING = '## What is in this archive'  # the heading in the text that follows the results
REDUCTION_HEADING = '## What was thinned or left out'
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
        'Jobs name the folders and computers on which they ran; `export --hide-folders` would hide these names.',
    ),
}
"""What an archive holds, and what its reader has to know."""


def thinning_text(every: int, comparison: str) -> str:
    """Return the part of the README on thinned positions, or nothing.

    :param comparison: of the conductivities, with what follows from it.
    """
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


def reduction_text(table: str, files: str, comparison: str) -> str:
    """Return the part of the README on nodes that are thinned or lack a file, or nothing.

    :param table: sizes by kind.
    :param files: a line for each file.
    :param comparison: of the conductivities; empty if no positions are thinned.
    """
    if not table:
        return ''
    compared = f"""
The results above are from all frames. The positions of the archive give:

```text
{comparison}
```
"""
    return f"""
{REDUCTION_HEADING}

```text
{table}
```

All nodes and links are there, under their own UUIDs. The attribute `{REDUCED}` of a node says what it lacks, with the
SHA-256 of the whole file. A profile that has such a node whole keeps it whole.
{compared if comparison else ''}
### Files

{files}
"""


def hiding_text(stand_ins: Iterable[str], n_rows: int, n_files: int) -> str:
    """Return a sentence on the names of folders and computers that are hidden, or nothing.

    :param stand_ins: what stands for them.
    :param n_rows: rows of the database with a name that is hidden.
    :param n_files: files likewise.
    """
    listed = ', '.join(sorted(set(stand_ins)))
    if not listed:
        return ''
    return (
        f'Names of folders and computers are hidden in {n_rows} rows of the database and in {n_files} text files, '
        f'where one of these stands for each: {listed}. Files that are not text are as they were.'
    )


def write_readme(
    node: orm.Node,
    content: Content,
    counts: Mapping[str, int],
    *,
    conductivities: Sequence[ConductivityData],
    thinning: str,
    hidden: str = '',
) -> str:
    """Return the README of an archive: the result, what the archive holds, how to analyse again.

    :param conductivities: those that can be analysed again.
    :param thinning: of :func:`thinning_text` or :func:`reduction_text`.
    :param hidden: of :func:`hiding_text`.
    """
    data = collect_result(node)
    conductivities = sorted(conductivities, key=lambda result: result.temperature_K)
    name = conductivities[0].base.attributes.get('reduced_composition', 'an electrolyte')
    holds, caveat = CONTENTS[content]
    listed = '\n'.join(f'- {result.temperature_K:g} K: `{result.uuid}`' for result in conductivities)
    first = conductivities[0].uuid
    exactly = 'with the frames that are left' if REDUCTION_HEADING in thinning else 'bit for bit'
    again = f"""
To repeat the analysis, {exactly}, and to do it in another way:

```bash
aiida-ionconduct analyse {first}
aiida-ionconduct analyse {first} --estimator cve
```
"""
    number = ', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))
    caveat = hidden or caveat
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
