"""Plain trajectory files into conductivities: what ``aiida-ionconduct analyse FILE…`` does, without a profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from aiida_ionconduct.cli.analyse import COLUMN, Pairs, charges_of, estimator_settings
from aiida_ionconduct.readers import Assumption, ReadingOptions, Trajectory, read_runs
from aiida_ionconduct.structures.checks import OXIDATION_STATES
from aiida_ionconduct.structures.recipes import mass_density
from aiida_ionconduct.transport import TransportResult, analyse, arrhenius
from aiida_ionconduct.transport.checks import mobile_species
from aiida_ionconduct.transport.estimators import MIN_FRAMES
from aiida_ionconduct.transport.observed import stretch_length

if TYPE_CHECKING:
    from aiida_ionconduct.report.result import Campaign

SAME_K = 0.5
"""Files whose temperatures differ by no more are at one temperature."""
WARNING = 'WARNING: '
"""How a note of a reader begins that is a warning."""


def analyse_files(
    paths: Sequence[Path],
    reading: ReadingOptions,
    *,
    mobile: Sequence[str] | None = None,
    framework: Sequence[str] | None = None,
    charges: Pairs = (),
    masses: Pairs = (),
    estimator: str | None = None,
    axes: bool = False,
    **settings: Any,
) -> Campaign:
    """Analyse files: the runs at each temperature are velocity seeds, and several temperatures give an Arrhenius line.

    :param reading: what the user says about the files.
    :param mobile: mobile species; the only element of the files, or Li, by default.
    :param framework: species that tracers are followed against, none for the barycentric frame; found by default.
    :param charges: by symbol where they are not the usual ones; ``(('column', ''),)`` takes them from the files.
    :param masses: symbols and masses in u that are not the standard masses.
    :param axes: whether the curves are also given for each axis.
    :param settings: of :func:`~aiida_ionconduct.cli.analyse.estimator_settings`.
    :return: a campaign with the conductivities and their Arrhenius line alone.
    :raises ValueError: for files that cannot be read, do not fit each other, or lack what no option gives.
    """
    from aiida_ionconduct.report.result import Campaign, Conductivity

    conductivities = []
    for temperature_K, runs in _by_temperature(read_runs(paths, reading)):
        kept, dropped = long_enough(runs)
        symbols, dt_ps, cell = _in_common(kept)
        given, source = run_charges(kept, symbols, charges)
        moving, known_from = mobile_ions(mobile, symbols)
        given_masses = _masses(kept, symbols, dict(masses))
        lengths = [len(run.positions) for run in kept]
        result = analyse(
            [run.positions for run in kept],
            symbols,
            given,
            cell,
            temperature_K=temperature_K,
            dt_ps=dt_ps,
            mobile=moving,
            masses=given_masses,
            framework=framework,
            axes=axes,
            unwrapped=True,
            **estimator_settings(estimator, (stretch_length(lengths) - 1) * dt_ps, **settings),
        )
        attributes = result.attributes()
        notes = list(dict.fromkeys(note for run in runs for note in run.notes))
        attributes['warnings'] += [*dropped, *(note[len(WARNING) :] for note in notes if note.startswith(WARNING))]
        attributes['notes'] = [note for note in notes if not note.startswith(WARNING)]
        stated = [
            *_stated(runs),
            Assumption('temperature', f'{temperature_K:g} K', '--temperature' if reading.temperature_K else 'file'),
            Assumption('runs', _lengths_in_words(lengths), _runs_known_from(kept)),
            _density(symbols, cell, given_masses),
            Assumption('mobile species', ', '.join(moving), known_from),
            *_physics(result, source, framework),
        ]
        attributes['assumptions'] = [row._asdict() for row in stated]
        attributes['files'] = [[str(path) for path in run.paths] for run in kept]
        conductivities.append(Conductivity(attributes, result.curves))
    return Campaign({'state': 'finished'}, conductivities=conductivities, arrhenius=_line(conductivities))


def _lengths_in_words(lengths: list[int]) -> str:
    """Return how many runs there are, and of how many frames."""
    if len(set(lengths)) == 1:
        return f'{len(lengths)} of {lengths[0]} frames' + (' each' if len(lengths) > 1 else '')
    return f'{len(lengths)} of {", ".join(map(str, lengths))} frames'


def _runs_known_from(runs: Sequence[Trajectory]) -> str:
    """Return why the files make up these runs."""
    if len(runs) > 1:
        return 'files that do not continue each other'
    return 'files that continue each other' if len(runs[0].paths) > 1 else 'one file'


def _density(symbols: list[str], cell: np.ndarray, masses: Mapping[str, float] | None) -> Assumption:
    """Return the density, which tells a wrong unit of length, cell or species at a glance.

    :param cell: (3, 3) in Å.
    :param masses: in u by symbol, where they are not the standard masses.
    """
    atoms = Atoms(symbols, cell=cell)
    kinds = np.array(symbols)
    weights = atoms.get_masses()
    for symbol, mass_u in (masses or {}).items():
        weights[kinds == symbol] = mass_u
    atoms.set_masses(weights)
    text = f'{mass_density(atoms):.3g} g/cm³ ({atoms.get_volume():.5g} Å³)'
    return Assumption('density', text, 'cell and masses')


def _by_temperature(runs: Sequence[Trajectory]) -> Iterator[tuple[float, list[Trajectory]]]:
    """Yield the runs at each temperature in K, cold to hot.

    :raises ValueError: if a temperature is not known.
    """
    unknown = [str(path) for run in runs if run.temperature_K is None for path in run.paths]
    if unknown:
        raise ValueError(f'what is the temperature of {", ".join(unknown)}? Give --temperature in K.')
    group: list[Trajectory] = []
    for run in sorted(runs, key=lambda run: run.temperature_K or 0.0):
        if group and abs((run.temperature_K or 0.0) - (group[0].temperature_K or 0.0)) > SAME_K:
            yield float(group[0].temperature_K or 0.0), group
            group = []
        group.append(run)
    if group:
        yield float(group[0].temperature_K or 0.0), group


def long_enough(runs: Sequence[Trajectory]) -> tuple[list[Trajectory], list[str]]:
    """Return the runs without those that are too short to be analysed, and warnings that name these."""
    kept = [run for run in runs if len(run.positions) >= MIN_FRAMES]
    if not kept:
        return list(runs), []
    return kept, [
        f'{" + ".join(map(str, run.paths)) or "a run"} is left out: it holds {len(run.positions)} frames, and a run '
        f'needs at least {MIN_FRAMES}'
        for run in runs
        if len(run.positions) < MIN_FRAMES
    ]


def mobile_ions(mobile: Sequence[str] | None, symbols: Sequence[str]) -> tuple[list[str], str]:
    """Return the mobile species, and where they are known from.

    :param mobile: as the user gives them; the only element, or Li, by default.
    :raises ValueError: if they are not known or not among the symbols.
    """
    species = list(dict.fromkeys(symbols))
    if mobile:
        return mobile_species(mobile, symbols), '--mobile'
    if len(species) == 1:
        return species, 'the only element'
    if 'Li' not in species:
        raise ValueError(f'which ion is mobile? Give --mobile, one or several of {", ".join(species)}.')
    others = [symbol for symbol in species if symbol != 'Li' and OXIDATION_STATES.get(symbol, 0) in (1, 2)]
    also = f'; {", ".join(others)} may be mobile as well, see --mobile Li,{others[0]}' if others else ''
    return ['Li'], f'default{also}'


def _in_common(runs: Sequence[Trajectory]) -> tuple[list[str], float, np.ndarray]:
    """Return the symbols, the time between frames in ps, and the cell (3, 3) in Å, the mean over all frames.

    :raises ValueError: if runs differ in them.
    """
    first = runs[0]
    if first.symbols is None or first.cell is None or first.dt_ps is None:
        raise ValueError('the file states no symbols, no cell or no time: give --structure FILE, --types or --dt-ps.')
    for run in runs:
        if run.symbols != first.symbols:
            raise ValueError('the files, or the structure, do not hold the same atoms in the same order.')
        if run.cell is None or not np.allclose(run.cell, first.cell, rtol=0.01, atol=0.01 * np.abs(first.cell).max()):
            raise ValueError('the files have different cells: analyse them one by one.')
    intervals = [run.dt_ps or 0.0 for run in runs]
    if np.ptp(intervals) > 1e-6 * intervals[0]:
        listed = ', '.join(
            f'{interval:g} ps in {" + ".join(map(str, run.paths))}'
            for interval, run in zip(intervals, runs, strict=True)
        )
        raise ValueError(f'the files have frames at different intervals, {listed}: analyse them one by one.')
    cells, frames = np.array([run.cell for run in runs]), [len(run.positions) for run in runs]
    return first.symbols, first.dt_ps, cells[0] if len(runs) == 1 else np.average(cells, axis=0, weights=frames)


def run_charges(
    runs: Sequence[Trajectory], symbols: list[str], charges: Pairs
) -> tuple[Mapping[str, float] | np.ndarray | None, str]:
    """Return the charges that the analysis takes, and where they are from.

    :raises ValueError: if they are not known or do not balance.
    """
    given = dict(charges)
    if COLUMN in given:
        if len(given) > 1:
            raise ValueError('--charges column takes all charges from the file: give no other charge.')
        columns = [run.charges for run in runs if run.charges is not None]
        if len(columns) < len(runs):
            raise ValueError('--charges column: the file has no column of charges (q, charge).')
        return np.mean(columns, axis=0), 'column of the file, mean over the frames'
    if len(set(symbols)) == 1:
        return None, 'one element'
    source = ' and '.join(
        words for words, used in (('--charges', given), ('usual oxidation states', set(symbols) - set(given))) if used
    )
    if any(run.charges is not None for run in runs):
        source += '; the column of charges in the file is not used, see --charges column'
    return charges_of(symbols, given), source


def _masses(runs: Sequence[Trajectory], symbols: list[str], given: Mapping[str, float]) -> dict[str, float] | None:
    """Return the masses in u by symbol that files or the user state; None for standard masses."""
    stated = {}
    if runs[0].masses is not None:
        kinds = np.array(symbols)
        stated = {symbol: float(runs[0].masses[kinds == symbol].mean()) for symbol in dict.fromkeys(symbols)}
    return {**stated, **given} or None


def _stated(runs: Sequence[Trajectory]) -> list[Assumption]:
    """Return what the readers have assumed, each row once, with its file where the files differ in it."""
    rows: dict[Assumption, list[str]] = {}
    for run in runs:
        for row in run.assumptions:
            rows.setdefault(row, []).append(' + '.join(path.name for path in run.paths))
    return [
        row if len(names) == len(runs) else row._replace(source=f'{", ".join(names)}: {row.source}')
        for row, names in rows.items()
    ]


def _physics(result: TransportResult, charges: str, framework: Sequence[str] | None) -> list[Assumption]:
    """Return what the analysis has assumed."""
    frame = result.facts['frame'].rpartition('tracer: ')[2]
    how = 'found from the motion of each species' if framework is None else '--framework'
    return [
        Assumption('charges', result.charge_words, charges),
        Assumption('frame of the tracer', frame, how),
        Assumption('frame of the full conductivity', 'none is needed', 'the charges sum to zero'),
    ][: 3 if result.charged else 2]


def _line(conductivities: Sequence[Any]) -> dict[str, Any]:
    """Return the Arrhenius line of the conductivities, bounds included; empty for fewer than two with a number."""
    rows = [result.attributes for result in conductivities]
    if sum(row['sigma_full_S_per_cm'] is not None for row in rows) < 2:
        return {}
    columns = ('temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    bounds = [row['sigma_full_upper_S_per_cm'] or None for row in rows]
    return arrhenius(*([row[name] for row in rows] for name in columns), uppers=bounds)
