"""The HTML page of one campaign: self-contained, one file, nothing fetched."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from . import figures, rows
from .collect import Campaign, collect
from .numbers import format_duration
from .rows import chosen_lags
from .stages import Stage
from .study_figures import haven_ratio
from .svg import colour_variables, embed, figure_to_svg
from .text import campaign_verdict

if TYPE_CHECKING:
    from aiida import orm
    from matplotlib.figure import Figure

MAX_CSV_ROWS = 20000


@dataclass
class Drawing:
    """A figure with what stands around it, and the numbers it shows as columns."""

    name: str
    title: str
    caption: str
    figure: Figure
    columns: dict[str, Sequence]


def write_page(node: orm.WorkChainNode, path: str | Path) -> Path:
    """Write the page of a campaign, finished or not.

    :param node: the process node of a :class:`ConductivityWorkChain`.
    :param path: the file to write; its folder is made.
    :returns: the file written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(collect(node)), encoding='utf-8')
    return path


def render(data: Campaign) -> str:
    """Return the page of a campaign as HTML.

    :param data: as :func:`aiida_ionconduct.report.collect.collect` returns it; an empty field leaves its section out.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('aiida_ionconduct.report'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(duration=format_duration, formula=_subscripts)
    colours = colour_variables([one.temperature_K for one in data.conductivities])
    drawings = [
        {
            'name': one.name,
            'title': one.title,
            'caption': one.caption,
            'csv': _csv_uri(one.columns),
            'svg': figure_to_svg(one.figure, one.name, one.title, one.caption, colours),
        }
        for one in _drawings(data)
    ]
    return environment.get_template('page.html.j2').render(
        data=data,
        colours=colours,
        verdict=campaign_verdict(data),
        drawings=drawings,
        graph=_graph(data),
        rows=rows,
        timeline=_timeline(data.stages),
        json=_json_uri(data),
    )


def _drawings(data: Campaign) -> Iterator[Drawing]:
    """Make every figure whose numbers are there."""
    curves = {one.temperature_K: one.curves for one in data.conductivities if 'msd_A2' in one.curves}
    lags = {one.temperature_K: chosen_lags(one.attributes) for one in data.conductivities}
    if curves:
        yield from _displacements(curves, {temperature: lag.get('tracer') for temperature, lag in lags.items()})
    for temperature, curve in curves.items():
        yield Drawing(
            f'running-{temperature:g}K',
            f'Running conductivity at {temperature:g} K',
            'Lines: from the slope of the displacement at each lag; points: the estimator with nothing faster than '
            'each lag. Bands and bars are one standard error. A value counts where it no longer depends on the lag.',
            figures.running_conductivity(curve, lags[temperature]),
            _columns(curve, temperature, ('lag_ps', 'running_', 'plateau_')),
        )
    if any(one.get('sigma_full_S_per_cm') for one in data.attributes):
        yield _arrhenius(data)
    if len(data.arrhenius.get('haven_ratio', {}).get('values', [])) > 1:
        yield _haven(data.arrhenius['haven_ratio'])
    if 'forces_reference' in data.parity:
        yield from _parities(data.parity)
    if any(name.startswith(('train_loss', 'val_force')) for name in data.training.get('curves', {})):
        yield Drawing(
            'learning',
            'Learning curves',
            'Training loss and mean absolute error of the forces on the validation frames.',
            figures.learning_curves(data.training['curves']),
            data.training['curves'],
        )


def _displacements(curves: Mapping[float, Mapping], lags: Mapping[float, float]) -> Iterator[Drawing]:
    band = 'The band is one standard error over the seeds.'
    for quantity, title, detail in (
        ('msd', 'Mean squared displacement', 'Of the mobile ions, relative to the framework.'),
        (
            'charge_msd',
            'Charge displacement',
            'Of the total charge displacement of all species: its slope is the full conductivity.',
        ),
    ):
        columns = _stack(
            _columns(curve, temperature, ('lag_ps', f'{quantity}_')) for temperature, curve in curves.items()
        )
        yield Drawing(
            quantity.replace('_', '-'), title, f'{detail} {band}', figures.displacement(curves, quantity), columns
        )
    yield Drawing(
        'exponent',
        'Is it diffusive?',
        f'The local exponent of the displacement; diffusion is β = 1. Points mark the lag that was chosen. {band}',
        figures.exponent(curves, lags),
        _stack(_columns(curve, temperature, ('lag_ps', 'beta')) for temperature, curve in curves.items()),
    )


def _arrhenius(data: Campaign) -> Drawing:
    columns = {'temperature_K': [one.temperature_K for one in data.conductivities]}
    for kind in ('full', 'tracer'):
        intervals = [one.get(f'sigma_{kind}_ci95') or (None, None) for one in data.attributes]
        columns[f'sigma_{kind}_S_per_cm'] = [one.get(f'sigma_{kind}_S_per_cm') for one in data.attributes]
        columns[f'sigma_{kind}_low'], columns[f'sigma_{kind}_high'] = zip(*intervals, strict=True)
    line = figures.fit_line([one.temperature_K for one in data.conductivities], data.arrhenius)
    return Drawing(
        'arrhenius',
        'Arrhenius plot',
        'Full and tracer conductivity with 95 % intervals'
        + ('; the line is the fit of σT, with its 95 % band.' if line else '.'),
        figures.arrhenius(data.attributes, line),
        columns,
    )


def _haven(found: Mapping) -> Drawing:
    return Drawing(
        'haven',
        'Haven ratio',
        'Tracer over full conductivity with one standard error; the band is the weighted mean.',
        haven_ratio(found),
        {'temperature_K': found['temperatures_K'], 'haven_ratio': found['values'], 'stderr': found['stderrs']},
    )


def _parities(parity: Mapping) -> Iterator[Drawing]:
    forces = [np.asarray(parity[f'forces_{kind}']).reshape(-1, 3) for kind in ('reference', 'predicted')]
    symbols = parity.get('symbols')
    columns = {
        f'{kind}_{axis}': force[:, index]
        for kind, force in zip(('dft', 'allegro'), forces, strict=True)
        for index, axis in enumerate('xyz')
    }
    yield Drawing(
        'parity-forces',
        'Forces, held-out frames',
        f'All components on {len(forces[0])} atoms of frames the training never saw.',
        figures.parity(*forces, 'force', 'eV/Å', symbols),
        columns if symbols is None else {'symbol': symbols, **columns},
    )
    energies = [np.asarray(parity[f'energy_{kind}_eV_per_atom']) for kind in ('reference', 'predicted')]
    mean = energies[0].mean()
    yield Drawing(
        'parity-energies',
        'Energies, held-out frames',
        f'{len(energies[0])} frames, relative to the mean DFT energy per atom.',
        figures.parity(energies[0] - mean, energies[1] - mean, 'energy', 'eV/atom'),
        {'dft_eV_per_atom': energies[0], 'allegro_eV_per_atom': energies[1]},
    )


def _columns(curve: Mapping, temperature: float, prefixes: tuple[str, ...]) -> dict[str, Sequence]:
    """Return the curves whose names start so, after a column with the temperature."""
    chosen = {name: column for name, column in curve.items() if name.startswith(prefixes)}
    return {'temperature_K': [temperature] * len(curve['lag_ps']), **chosen}


def _stack(tables) -> dict[str, Sequence]:
    """Put tables with the same columns below each other."""
    tables = list(tables)
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _csv_uri(columns: Mapping[str, Sequence]) -> str:
    """Return columns, padded to one length, as a CSV file in a data URI: at most MAX_CSV_ROWS evenly chosen rows."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(columns)
    table = list(itertools.zip_longest(*columns.values(), fillvalue=''))
    for row in table[:: -(-len(table) // MAX_CSV_ROWS) or 1]:
        writer.writerow([f'{value:.6g}' if isinstance(value, (float, np.floating)) else value for value in row])
    return _data_uri('text/csv', stream.getvalue())


def _json_uri(data: Campaign) -> str:
    """Return all that is not an array as a JSON file in a data URI."""
    names = ('process', 'composition', 'dataset', 'training', 'validation', 'arrhenius', 'outcome', 'codes', 'versions')
    summary = {name: getattr(data, name) for name in names}
    summary['conductivities'] = [{**one.attributes, 'uuid': one.uuid} for one in data.conductivities]
    return _data_uri('application/json', json.dumps(summary, indent=1, default=str))


def _data_uri(media_type: str, text: str) -> str:
    return f'data:{media_type};base64,{base64.b64encode(text.encode()).decode()}'


def _subscripts(formula: str) -> Markup:
    """Set the counts of a formula lower: Li7PO4."""
    return Markup(re.sub(r'(\d+)', r'<sub>\1</sub>', str(escape(formula))))


def _graph(data: Campaign) -> str | None:
    """Return the provenance drawing; None without stages or without Graphviz on this machine."""
    import graphviz

    from .graph import draw

    if not data.stages:
        return None
    try:
        svg = draw(data.stages, data.flows)
    except graphviz.ExecutableNotFound:
        return None
    titles = ', '.join(stage.title for stage in data.stages)
    return embed(
        svg,
        'provenance',
        'Provenance of this campaign',
        f'Stages in order: {titles}. The table below lists their jobs.',
    )


def _timeline(stages: Sequence[Stage]) -> list[dict]:
    """Return the stages with the place of their bar on a common time axis, in percent."""
    total = max([stage.start_s + stage.wall_time_s for stage in stages], default=0) or 1
    return [
        {'stage': stage, 'left': 100 * stage.start_s / total, 'width': max(0.6, 100 * stage.wall_time_s / total)}
        for stage in stages
    ]
