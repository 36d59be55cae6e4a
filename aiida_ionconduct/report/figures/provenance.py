"""The provenance of a campaign as a drawing: stages as boxes, jobs counted in them, data flowing between them."""

from __future__ import annotations

import html
from collections.abc import Sequence

from aiida_ionconduct.labels import printable
from aiida_ionconduct.report.result import Flow, StageRun

FONT = 'Helvetica'


def draw(stages: Sequence[StageRun], flows: Sequence[Flow]) -> str:
    """Draw stages and data from top to bottom.

    The classes ``stage``, ``failed``, ``data`` and ``flow`` in the SVG leave the colours to the page.

    :return: an SVG document.
    :raises graphviz.ExecutableNotFound: if Graphviz is not installed; the Python package only calls its ``dot``.
    """
    import graphviz

    graph = graphviz.Digraph('provenance', format='svg')
    graph.attr(rankdir='TB', nodesep='0.3', ranksep='0.32', bgcolor='transparent', margin='0.05')
    graph.attr('node', fontname=FONT, fontsize='11')
    graph.attr('edge', arrowsize='0.6', **{'class': 'flow'})
    for index, stage in enumerate(stages):
        failed = stage.state not in ('finished', 'running', 'waiting', 'created')
        graph.node(
            f's{index}',
            _stage_label(stage),
            shape='box',
            style='rounded',
            margin='0.16,0.09',
            **{'class': 'stage failed' if failed else 'stage'},
        )
    for index, flow in enumerate(flows):
        label = flow.title if flow.count == 1 else f'{flow.count} × {flow.title}'
        graph.node(
            f'd{index}',
            f'{graphviz.escape(printable(label))}\n{_pks(flow.pks)}',
            shape='ellipse',
            fontsize='9.5',
            margin='0.02,0.02',
            **{'class': 'data given' if flow.source is None else 'data'},
        )
        if flow.source is not None:
            graph.edge(f's{flow.source}', f'd{index}')
        for target in flow.targets:
            graph.edge(f'd{index}', f's{target}')
    return graph.pipe(encoding='utf-8')


def _stage_label(stage: StageRun) -> str:
    """Return a Graphviz HTML-like label: the title, the jobs, the primary keys."""
    jobs = [f'{count} × {title}' if count > 1 else title for title, count in stage.jobs]
    note = '' if stage.state == 'finished' else stage.state
    lines = [*jobs, _pks(stage.pks), note]
    small = ''.join(f'<br/><font point-size="9.5">{html.escape(printable(line))}</font>' for line in lines if line)
    return f'<<b>{html.escape(printable(stage.title))}</b>{small}>'


def _pks(pks: Sequence[int]) -> str:
    """Return the primary keys, shortened when there are many."""
    return f'pk {", ".join(map(str, pks))}' if len(pks) <= 3 else f'pk {pks[0]} … {pks[-1]}'
