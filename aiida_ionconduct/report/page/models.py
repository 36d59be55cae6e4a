"""The page of a study of models: the figure, the settings, and which parameter matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida import orm

from aiida_ionconduct.report.figures.colours import PALETTE
from aiida_ionconduct.report.figures.models import models
from aiida_ionconduct.report.graph.stages import process_state
from aiida_ionconduct.report.page.downloads import Columns
from aiida_ionconduct.report.page.template import Drawing, fill, write
from aiida_ionconduct.report.tables.models import (
    EFFECT_HEADERS,
    disturbed_timings,
    effect_rows,
    matters_most,
    model_rows,
)

NUMBERS = (
    'epochs',
    'forces_mae_eV_per_A',
    'energy_mae_eV_per_atom',
    'us_per_atom_step',
    'cpu_use_percent',
    'peak_memory_MB',
)


def write_models_page(node: orm.WorkChainNode, path: str | Path) -> Path:
    """Write the page of a study that has a table.

    :param node: of :class:`~aiida_ionconduct.workchains.models_study.ModelsStudyWorkChain`.
    :param path: the file to write; its folder is made.
    :return: the file written.
    """
    table = node.outputs.table.get_dict()
    headers, rows = model_rows(table)
    html = fill(
        'models.html.j2',
        PALETTE,
        [models_drawing(table)],
        pk=node.pk,
        state=process_state(node),
        n_settings=len(rows),
        epochs=', '.join(map(str, table['epochs'])),
        cell=table['cell'],
        headers=headers,
        rows=rows,
        effects=effect_rows(table),
        effect_headers=EFFECT_HEADERS,
        sentences=matters_most(table),
        warnings=disturbed_timings(table),
    )
    return write(html, path)


def models_drawing(table: Mapping[str, Any]) -> Drawing:
    """Return the figure of the page, from the table of a study."""
    return Drawing(
        'models',
        'Force error and time',
        'Each point is a setting; no setting on the Pareto front is beaten in both. Hollow: stopped early.',
        models(table['rows']),
        _columns(table['rows']),
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Return the numbers of the settings for the download."""
    keys = list(rows[0]['settings'])
    return {
        'setting': [row['label'] for row in rows],
        **{key: [row['settings'][key] for row in rows] for key in keys},
        **{name: [row.get(name) for row in rows] for name in NUMBERS},
    }
