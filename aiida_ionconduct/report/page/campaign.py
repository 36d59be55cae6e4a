"""The HTML page of one campaign: self-contained, one file, nothing fetched."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from aiida_ionconduct.report.figures import campaign as figures
from aiida_ionconduct.report.figures.interactive import legend, readings
from aiida_ionconduct.report.figures.studies import (
    block_slopes,
    density_map,
    displacement_against_aimd,
    divergence,
    haven_ratio,
    projections,
    radial_distributions,
)
from aiida_ionconduct.report.figures.svg import colour_variables, embed, figure_to_svg, in_page_colours
from aiida_ionconduct.report.graph.campaign import Campaign, collect
from aiida_ionconduct.report.graph.runs import look_into
from aiida_ionconduct.report.graph.stages import Stage
from aiida_ionconduct.report.numbers import format_duration
from aiida_ionconduct.report.tables import rows
from aiida_ionconduct.report.tables.rows import chosen_lags
from aiida_ionconduct.report.tables.text import campaign_verdict

if TYPE_CHECKING:
    from aiida import orm
    from matplotlib.figure import Figure

MAX_CSV_ROWS = 20000
BLOCK_COLUMNS = ('block_ps', 'quantity', 'method', 'n_blocks', 'sigma_S_per_cm', 'stderr', 'beta', 'beta_stderr')


@dataclass
class Drawing:
    """A figure with what stands around it, and the numbers it shows as columns."""

    name: str
    title: str
    caption: str
    figure: Figure
    columns: dict[str, Sequence]
    wide: bool = False
    alt: str = ''


def write_page(node: orm.WorkChainNode, path: str | Path) -> Path:
    """Write the page of a campaign, finished or not.

    :param node: the process node of a :class:`ConductivityWorkChain`.
    :param path: the file to write; its folder is made.
    :returns: the file written.
    """
    data = collect(node)
    data.found = look_into(node)
    return write(render(data), path)


def write(html: str, path: str | Path) -> Path:
    """Write a page, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding='utf-8')
    return path


def render(data: Campaign) -> str:
    """Return the page of a campaign as HTML.

    :param data: as :func:`aiida_ionconduct.report.graph.campaign.collect` returns it; an empty field leaves its
        section out.
    """
    return fill(
        'page.html.j2',
        colour_variables([one.temperature_K for one in data.conductivities]),
        _drawings(data),
        data=data,
        verdict=campaign_verdict(data),
        graph=_graph(data),
        rows=rows,
        timeline=_timeline(data.stages),
        json=_json_uri(data),
    )


def fill(template: str, colours: dict[str, tuple[str, str]], drawings: Iterable[Drawing], **variables) -> str:
    """Fill a template with drawings and whatever else it shows.

    :param colours: as :func:`aiida_ionconduct.report.figures.svg.colour_variables` gives them.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('aiida_ionconduct.report.page'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(duration=format_duration, formula=_subscripts)
    shown, numbers = [], {}
    for one in drawings:
        # The page's own legend switches curves and wraps on a narrow screen.
        titles = {axes.get_title(loc='left') for axes in one.figure.axes}
        entries = [entry for entry in legend(one.figure) if entry['label'] not in {*titles, one.title}]
        entries = [{**entry, 'colour': in_page_colours(entry['colour'], colours)} for entry in entries]
        if entries:
            _drop_legends(one.figure)
        shown.append(
            {
                'name': one.name,
                'title': one.title,
                'caption': one.caption,
                'wide': one.wide,
                'legend': entries,
                'csv': _csv_uri(one.columns),
                'svg': figure_to_svg(one.figure, one.name, one.title, one.alt or one.caption, colours),
            }
        )
        numbers[one.name] = readings(one.figure)
    return environment.get_template(template).render(colours=colours, drawings=shown, readings=numbers, **variables)


def _drop_legends(figure: Figure) -> None:
    found = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    for one in found:
        if one is not None:
            one.remove()


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
            'each lag. Bands and bars are one standard error. A value counts where it no longer depends on the lag'
            f'{_chosen(lags[temperature])}.',
            figures.running_conductivity(curve, lags[temperature]),
            _columns(curve, temperature, ('lag_ps', 'running_', 'plateau_')),
        )
    for temperature, study in data.found.get('blocks', {}).items():
        yield _blocks(temperature, study)
    densities = data.found.get('density', {})
    maps = [one for found in densities.values() for one in projections(found['density'], found['cell'])]
    highest = max((one.max() for one in maps), default=0)
    for temperature, one in densities.items():
        yield _density(temperature, one, highest)
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
    for temperature, one in data.found.get('aimd', {}).items():
        yield _radial_distribution(temperature, one)
    for temperature, one in data.found.get('aimd', {}).items():
        yield _displacement_against_aimd(temperature, one)
    for one in data.found.get('twins', []):
        yield _twins(one)


def _chosen(lags: Mapping[str, float]) -> str:
    texts = [f'{kind} {lag:.3g} ps' for kind, lag in lags.items()]
    return f'; chosen: {", ".join(texts)}' if texts else ''


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
        alt='Full conductivity: '
        + '; '.join(f'{temperature}: {value}' for temperature, value, _ in campaign_verdict(data).numbers),
    )


def _haven(found: Mapping) -> Drawing:
    return Drawing(
        'haven',
        'Haven ratio',
        'Tracer over full conductivity with one standard error; the band is the weighted mean.',
        haven_ratio(found),
        {'temperature_K': found['temperatures_K'], 'haven_ratio': found['values'], 'stderr': found['stderrs']},
    )


def _blocks(temperature: float, study: Mapping) -> Drawing:
    return Drawing(
        f'blocks-{temperature:g}K',
        f'Lengths of the blocks at {temperature:g} K',
        'Conductivities from blocks of several lengths. Where they have settled, and both methods agree, the length '
        'does not matter.',
        block_slopes(study['rows']),
        {name: [row[name] for row in study['rows']] for name in BLOCK_COLUMNS},
    )


def _density(temperature: float, found: Mapping, highest: float) -> Drawing:
    values, cell = found['density'], found['cell']
    columns: dict[str, list] = {name: [] for name in ('along', 'first', 'second', 'first_A', 'second_A', 'per_A2')}
    for along, projected in enumerate(projections(values, cell)):
        one, other = (axis for axis in range(3) if axis != along)
        places = np.indices(projected.shape).reshape(2, -1).T
        steps = [np.linalg.norm(cell[axis]) / n for axis, n in zip((one, other), projected.shape, strict=True)]
        columns['along'] += ['abc'[along]] * len(places)
        columns['first'] += ['abc'[one]] * len(places)
        columns['second'] += ['abc'[other]] * len(places)
        columns['first_A'] += list((places[:, 0] + 0.5) * steps[0])
        columns['second_A'] += list((places[:, 1] + 0.5) * steps[1])
        columns['per_A2'] += list(projected.ravel())
    return Drawing(
        f'density-{temperature:g}K',
        f'Density of the mobile ions at {temperature:g} K',
        f'Integrated along each cell vector, from {found["n_frames"]} frames of all seeds, relative to the framework, '
        'whose atoms in one frame are the rings. The scale is that of all temperatures shown.',
        density_map(values, found['framework'], cell, highest),
        columns,
        wide=True,
    )


def _radial_distribution(temperature: float, found: Mapping) -> Drawing:
    pairs = found['rdf']['AIMD']
    return Drawing(
        f'rdf-{temperature:g}K',
        f'Radial distribution at {temperature:g} K',
        'g(r) of every pair by the potential (solid) and by AIMD (dashed), each scaled by its highest peak. AIMD is a '
        'short run of a small cell: its curves are rough.',
        radial_distributions(found['r_A'], found['rdf']['Allegro'], pairs),
        {
            'r_A': found['r_A'],
            **{f'{pair}_{who}': found['rdf'][who][pair] for pair in pairs for who in ('Allegro', 'AIMD')},
        },
    )


def _displacement_against_aimd(temperature: float, found: Mapping) -> Drawing:
    return Drawing(
        f'aimd-msd-{temperature:g}K',
        f'Displacement against AIMD at {temperature:g} K',
        'Of the mobile ions relative to the framework, up to half the length of each run. One run each: there is no '
        'band to give.',
        displacement_against_aimd(found['msd']),
        {
            f'{who}_{name}': column
            for who, columns in found['msd'].items()
            for name, column in zip(('lag_ps', 'msd_A2'), columns, strict=True)
        },
    )


def _twins(one: Mapping) -> Drawing:
    curves = {f'difference_{index}_A': curve for index, curve in enumerate(one['difference_A'])}
    return Drawing(
        f'twins-{one["pk"]}',
        f'How fast twin runs part (work chain {one["pk"]})',
        one['found']['meaning'],
        divergence(one['time_ps'], one['difference_A'], one['found']),
        {'time_ps': one['time_ps'], **curves},
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
        # The shortest digits that are the same number: a download is what the node holds.
        writer.writerow([value.item() if isinstance(value, np.generic) else value for value in row])
    return _data_uri('text/csv', stream.getvalue())


def _json_uri(data: Campaign) -> str:
    """Return all that is not an array as a JSON file in a data URI."""
    names = ('process', 'composition', 'dataset', 'training', 'validation', 'arrhenius', 'outcome')
    names += ('codes', 'versions', 'inputs')
    summary = {name: getattr(data, name) for name in names}
    summary['conductivities'] = [{**one.attributes, 'uuid': one.uuid} for one in data.conductivities]
    return _data_uri('application/json', json.dumps(summary, indent=1, default=str))


def _data_uri(media_type: str, text: str) -> str:
    return f'data:{media_type};base64,{base64.b64encode(text.encode()).decode()}'


def _subscripts(formula: str) -> Markup:
    """Set the counts of a formula lower: Li7PO4."""
    return Markup(re.sub(r'(?<=[A-Za-z)])(\d+)', r'<sub>\1</sub>', str(escape(formula))))


def _graph(data: Campaign) -> str | None:
    """Return the provenance drawing; None without stages or without Graphviz on this machine."""
    import graphviz

    from aiida_ionconduct.report.figures.provenance import draw

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
