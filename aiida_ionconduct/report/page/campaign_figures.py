"""The figures on the page of a campaign: which are there, their titles and captions, and the numbers to download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from aiida_ionconduct.report.figures.arrhenius import arrhenius, fit_line
from aiida_ionconduct.report.figures.block_sizes import block_slopes
from aiida_ionconduct.report.figures.crystal import crystal_drawing
from aiida_ionconduct.report.figures.density import density_map, in_plane_axes, projections
from aiida_ionconduct.report.figures.displacement import displacement, exponent, running_conductivity
from aiida_ionconduct.report.figures.haven_ratio import haven_ratio
from aiida_ionconduct.report.figures.potential import (
    displacement_against_aimd,
    learning_curves,
    parity,
    radial_distributions,
)
from aiida_ionconduct.report.figures.spectrum import conductivity_spectrum
from aiida_ionconduct.report.figures.twins import divergence
from aiida_ionconduct.report.page.downloads import Columns
from aiida_ionconduct.report.page.template import Drawing
from aiida_ionconduct.report.result import AgainstAimd, Campaign, Conductivity, CrystalCell, IonDensity, TwinRuns
from aiida_ionconduct.report.tables.conductivity import chosen_lags
from aiida_ionconduct.report.verdict import campaign_verdict

BLOCK_COLUMNS = ('block_ps', 'quantity', 'method', 'n_blocks', 'sigma_S_per_cm', 'stderr', 'beta', 'beta_stderr')
Curves = Mapping[str, np.ndarray]


def campaign_drawings(data: Campaign) -> Iterator[Drawing]:
    """Make every figure whose numbers are there."""
    yield from _ion_motion(data)
    for temperature, study in data.details.get('blocks', {}).items():
        yield _blocks(temperature, study)
    if 'crystal' in data.details:
        yield _crystal(data.details['crystal'])
    yield from _densities(data.details.get('density', {}))
    if any(attributes.get('sigma_full_S_per_cm') for attributes in data.attributes):
        yield _arrhenius(data)
    if len(data.arrhenius.get('haven_ratio', {}).get('values', [])) > 1:
        yield _haven_ratio(data.arrhenius['haven_ratio'])
    if 'forces_reference' in data.parity:
        yield from _parities(data.parity)
    if any(name.startswith(('train_loss', 'val_force')) for name in data.training.get('curves', {})):
        yield _learning(data.training['curves'])
    against_aimd = data.details.get('aimd', {})
    yield from (_radial_distribution(temperature, curves) for temperature, curves in against_aimd.items())
    yield from (_displacement_against_aimd(temperature, curves) for temperature, curves in against_aimd.items())
    yield from (_twins(runs) for runs in data.details.get('twins', []))


def _ion_motion(data: Campaign) -> Iterator[Drawing]:
    curves = {result.temperature_K: result.curves for result in data.conductivities if 'msd_A2' in result.curves}
    lags = {result.temperature_K: chosen_lags(result.attributes) for result in data.conductivities}
    if curves:
        yield from (_displacement(curves, quantity) for quantity in ('msd', 'charge_msd'))
        yield _exponent(curves, {temperature: chosen.get('tracer') for temperature, chosen in lags.items()})
    for temperature, curve in curves.items():
        yield _running(temperature, curve, lags[temperature])
    for result in data.conductivities:
        if 'spectrum_sigma_full_S_per_cm' in result.curves:
            yield _spectrum(result)


def _displacement(curves: Mapping[float, Curves], quantity: Literal['msd', 'charge_msd']) -> Drawing:
    title, detail = {
        'msd': ('Mean squared displacement', 'Of the mobile ions, relative to the framework.'),
        'charge_msd': (
            'Charge displacement',
            'Of the total charge displacement of all species: its slope is the full conductivity.',
        ),
    }[quantity]
    return Drawing(
        quantity.replace('_', '-'),
        title,
        f'{detail} The band is one standard error over the seeds.',
        displacement(curves, quantity),
        _stacked(_columns(curve, temperature, ('lag_ps', f'{quantity}_')) for temperature, curve in curves.items()),
    )


def _exponent(curves: Mapping[float, Curves], lags: Mapping[float, float | None]) -> Drawing:
    return Drawing(
        'exponent',
        'Is it diffusive?',
        'The local exponent of the displacement; diffusion is β = 1. Points mark the lag that was chosen. '
        'The band is one standard error over the seeds.',
        exponent(curves, lags),
        _stacked(_columns(curve, temperature, ('lag_ps', 'beta')) for temperature, curve in curves.items()),
    )


def _running(temperature: float, curve: Curves, lags: Mapping[str, float]) -> Drawing:
    chosen = ', '.join(f'{kind} {lag:.3g} ps' for kind, lag in lags.items())
    return Drawing(
        f'running-{temperature:g}K',
        f'Running conductivity at {temperature:g} K',
        'Lines: from the slope of the displacement at each lag. Points: the estimator when it uses nothing faster than '
        'each lag. Bands and bars are one standard error. A value counts where it no longer depends on the lag'
        f'{f"; chosen: {chosen}" if chosen else ""}.',
        running_conductivity(curve, lags),
        _columns(curve, temperature, ('lag_ps', 'running_', 'plateau_')),
    )


def _spectrum(result: Conductivity) -> Drawing:
    kinds = ('full', 'tracer')
    highest = ' / '.join(f'{result.curves[f"spectrum_{kind}_frequency_THz"][-1]:.3g}' for kind in kinds)
    return Drawing(
        f'spectrum-{result.temperature_K:g}K',
        f'Conductivity against frequency at {result.temperature_K:g} K',
        'Real part, with the 95 % interval of each bin of frequencies; the bars at the left are the intervals of the '
        f'values at zero. It ends (full / tracer: {highest} THz) where motion between frames would fold back. The '
        'charges are those of the ions, which is exact at zero; vibrations would have Born effective charges.',
        conductivity_spectrum(result.curves, {kind: result.attributes.get(f'sigma_{kind}_ci95') for kind in kinds}),
        {name: curve for name, curve in result.curves.items() if name.startswith('spectrum_')},
    )


def _blocks(temperature: float, study: Mapping[str, Any]) -> Drawing:
    return Drawing(
        f'blocks-{temperature:g}K',
        f'Lengths of the blocks at {temperature:g} K',
        'Conductivities from blocks of several lengths. Where they have settled, and both methods agree, the length '
        'does not matter.',
        block_slopes(study['rows']),
        {name: [row[name] for row in study['rows']] for name in BLOCK_COLUMNS},
    )


def _crystal(crystal: CrystalCell) -> Drawing:
    cell, positions = (np.array(crystal[name], dtype=float) for name in ('cell', 'positions'))
    amounts: dict[str, float] = {}
    for site in crystal['sites']:
        for symbol, amount in site.items():
            amounts[symbol] = amounts.get(symbol, 0.0) + amount
    change, relaxation = crystal['volume_change'], ''
    if change is not None:
        relaxation = f' The relaxation has changed its volume by {100 * change:+.1f} %.'
    numbers = ', '.join(f'{amount:.4g} {symbol}' for symbol, amount in amounts.items())
    return Drawing(
        'crystal',
        'The cell',
        f'Two views of the {"relaxed " if relaxation else ""}cell that the molecular dynamics repeats, with its edges.'
        f'{relaxation} Atoms on its faces are drawn on every face; the numbers count each atom once. Mobile ions are '
        'drawn without bonds.',
        crystal_drawing(cell, positions, crystal['sites']),
        {
            'species': [' '.join(site) for site in crystal['sites']],
            'occupancy': [' '.join(f'{amount:g}' for amount in site.values()) for site in crystal['sites']],
            **{f'{axis}_A': positions[:, index] for index, axis in enumerate('xyz')},
            'cell_A': cell.ravel(),
        },
        wide=True,
        alt=f'Drawing of the cell with {numbers}, seen along two of its vectors',
    )


def _densities(densities: Mapping[float, IonDensity]) -> Iterator[Drawing]:
    maps = {T: projections(density['density'], density['cell']) for T, density in densities.items()}
    highest = max((projected.max() for views in maps.values() for projected in views), default=0)
    for temperature, density in densities.items():
        yield Drawing(
            f'density-{temperature:g}K',
            f'Density of the mobile ions at {temperature:g} K',
            f'Integrated along each cell vector, from {density["n_frames"]} frames of all seeds, relative to the '
            'framework, whose atoms in one frame are the rings. The scale is that of all temperatures shown.',
            density_map(density['density'], density['framework'], density['cell'], highest),
            _density_columns(maps[temperature], density['cell']),
            wide=True,
        )


def _density_columns(views: Sequence[np.ndarray], cell: np.ndarray) -> Columns:
    """Return the pixels of the maps along each cell vector: the axes they lie on, their places, and their values."""
    columns: dict[str, list] = {name: [] for name in ('along', 'first', 'second', 'first_A', 'second_A', 'per_A2')}
    for along, projected in enumerate(views):
        first, second = in_plane_axes(along)
        places = np.indices(projected.shape).reshape(2, -1).T
        steps = [np.linalg.norm(cell[axis]) / n for axis, n in zip((first, second), projected.shape, strict=True)]
        columns['along'] += ['abc'[along]] * len(places)
        columns['first'] += ['abc'[first]] * len(places)
        columns['second'] += ['abc'[second]] * len(places)
        columns['first_A'] += list((places[:, 0] + 0.5) * steps[0])
        columns['second_A'] += list((places[:, 1] + 0.5) * steps[1])
        columns['per_A2'] += list(projected.ravel())
    return columns


def _arrhenius(data: Campaign) -> Drawing:
    temperatures = [result.temperature_K for result in data.conductivities]
    columns: dict[str, Sequence] = {'temperature_K': temperatures}
    for kind in ('full', 'tracer'):
        intervals = [attributes.get(f'sigma_{kind}_ci95') or (None, None) for attributes in data.attributes]
        columns[f'sigma_{kind}_S_per_cm'] = [attributes.get(f'sigma_{kind}_S_per_cm') for attributes in data.attributes]
        columns[f'sigma_{kind}_low'], columns[f'sigma_{kind}_high'] = zip(*intervals, strict=True)
    columns['sigma_full_upper_S_per_cm'] = [a.get('sigma_full_upper_S_per_cm') for a in data.attributes]
    bounds = any(
        upper and not sigma
        for upper, sigma in zip(columns['sigma_full_upper_S_per_cm'], columns['sigma_full_S_per_cm'], strict=True)
    )
    line = fit_line(temperatures, data.arrhenius)
    numbers = '; '.join(f'{temperature}: {value}' for temperature, value, _ in campaign_verdict(data).numbers)
    return Drawing(
        'arrhenius',
        'Arrhenius plot',
        'Full and tracer conductivity with 95 % intervals'
        + ('; triangles are upper bounds where there is no number' if bounds else '')
        + ('; the line is the fit of σT, with its 95 % band.' if line else '.'),
        arrhenius(data.attributes, line),
        columns,
        alt=f'Full conductivity: {numbers}',
    )


def _haven_ratio(ratios: Mapping[str, Any]) -> Drawing:
    return Drawing(
        'haven',
        'Haven ratio',
        'Tracer over full conductivity with one standard error; the band is the weighted mean.',
        haven_ratio(ratios),
        {'temperature_K': ratios['temperatures_K'], 'haven_ratio': ratios['values'], 'stderr': ratios['stderrs']},
    )


def _parities(arrays: Mapping[str, Any]) -> Iterator[Drawing]:
    reference, predicted = (np.asarray(arrays[f'forces_{kind}']).reshape(-1, 3) for kind in ('reference', 'predicted'))
    symbols = arrays.get('symbols')
    columns = {
        f'{kind}_{axis}': force[:, index]
        for kind, force in (('dft', reference), ('allegro', predicted))
        for index, axis in enumerate('xyz')
    }
    yield Drawing(
        'parity-forces',
        'Forces, held-out frames',
        f'All components on {len(reference)} atoms of frames the training never saw.',
        parity(reference, predicted, label='force', unit='eV/Å', groups=symbols),
        columns if symbols is None else {'symbol': symbols, **columns},
    )
    reference, predicted = (np.asarray(arrays[f'energy_{kind}_eV_per_atom']) for kind in ('reference', 'predicted'))
    mean = reference.mean()
    yield Drawing(
        'parity-energies',
        'Energies, held-out frames',
        f'{len(reference)} frames, relative to the mean DFT energy per atom.',
        parity(reference - mean, predicted - mean, label='energy', unit='eV/atom'),
        {'dft_eV_per_atom': reference, 'allegro_eV_per_atom': predicted},
    )


def _learning(curves: Mapping[str, Sequence]) -> Drawing:
    return Drawing(
        'learning',
        'Learning curves',
        'Training loss and mean absolute error of the forces on the validation frames.',
        learning_curves(curves),
        curves,
    )


def _radial_distribution(temperature: float, curves: AgainstAimd) -> Drawing:
    pairs = curves['rdf']['AIMD']
    return Drawing(
        f'rdf-{temperature:g}K',
        f'Radial distribution at {temperature:g} K',
        'g(r) of every pair by the potential (solid) and by AIMD (dashed), each scaled by its highest peak. AIMD is a '
        'short run of a small cell: its curves are rough.',
        radial_distributions(curves['r_A'], curves['rdf']['Allegro'], pairs),
        {
            'r_A': curves['r_A'],
            **{f'{pair}_{source}': curves['rdf'][source][pair] for pair in pairs for source in ('Allegro', 'AIMD')},
        },
    )


def _displacement_against_aimd(temperature: float, curves: AgainstAimd) -> Drawing:
    return Drawing(
        f'aimd-msd-{temperature:g}K',
        f'Displacement against AIMD at {temperature:g} K',
        'Of the mobile ions relative to the framework, up to half the length of each run. Each curve is '
        'from a single run and has no error band.',
        displacement_against_aimd(curves['msd']),
        {
            f'{source}_{name}': column
            for source, columns in curves['msd'].items()
            for name, column in zip(('lag_ps', 'msd_A2'), columns, strict=True)
        },
    )


def _twins(runs: TwinRuns) -> Drawing:
    curves = {f'difference_{index}_A': curve for index, curve in enumerate(runs['difference_A'])}
    return Drawing(
        f'twins-{runs["pk"]}',
        f'How fast twin runs part (work chain {runs["pk"]})',
        runs['lyapunov']['meaning'],
        divergence(runs['time_ps'], runs['difference_A'], runs['lyapunov']),
        {'time_ps': runs['time_ps'], **curves},
    )


def _columns(curve: Curves, temperature: float, prefixes: tuple[str, ...]) -> dict[str, Any]:
    """Return the curves whose names have one of the prefixes, after a column with the temperature."""
    chosen = {name: column for name, column in curve.items() if name.startswith(prefixes)}
    return {'temperature_K': [temperature] * len(curve['lag_ps']), **chosen}


def _stacked(tables: Iterable[Columns]) -> dict[str, np.ndarray]:
    """Put tables with the same columns below each other."""
    tables = list(tables)
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
