"""The numbers of the studies: rows for the page, and text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from aiida_ionconduct.labels import read_temperature
from aiida_ionconduct.report.number_format import format_estimate, format_interval, format_number, format_percent


def block_sizes_text(attributes: Mapping[str, Any]) -> str:
    """Return the table and the statement of a study of block sizes.

    :param attributes: of the node that ``compare_block_sizes`` makes.
    """
    table = [
        (
            f'{row["block_ps"]:g}',
            row['quantity'],
            row['method'],
            row['n_blocks'],
            f'{row["sigma_S_per_cm"]:.3g}',
            f'{row["stderr"]:.2g}',
            '[{:.2g}, {:.2g}]'.format(*row['ci95']),
            f'{row["beta"]:.2f} ± {row["beta_stderr"]:.2f}',
        )
        for row in attributes['rows']
    ]
    headers = ('block (ps)', 'σ', 'method', 'blocks', 'S/cm', 'std. error', '95 % interval', 'β')
    return '\n'.join([tabulate(table, headers=headers, disable_numparse=True), '', *attributes['statement']])


def density_rows(statistics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return label and value of what a density study says about sites, jumps and paths at one temperature."""
    paths = [
        f'{axis}: {format_number(path["barrier_eV"], 2, "eV")}' if path['percolates'] else f'{axis}: none seen'
        for axis, path in statistics['percolation'].items()
    ]
    share, error = 100 * statistics['filled_share'], statistics['filled_share_stderr']
    residence = format_estimate(statistics['mean_residence_ps'], statistics['mean_residence_stderr'], 'ps')
    return [
        ('Paths through the crystal, thinnest place', ', '.join(paths)),
        ('Sites', str(statistics['n_sites'])),
        ('Jumps seen', str(statistics['n_jumps'])),
        ('Residence time', residence),
        ('Jump length', format_number(statistics['jump_length_A'], unit='Å')),
        ('Share of the cell the ions fill', f'{format_estimate(share, None if error is None else 100 * error)} %'),
    ]


def density_text(statistics: Mapping[str, Any]) -> str:
    """Return what a density study says about sites, jumps and paths at one temperature, as lines."""
    lines = []
    for axis, path in statistics['percolation'].items():
        text = f'percolates, barrier {path["barrier_eV"]:.2f} eV' if path['percolates'] else 'no path seen'
        lines.append(f'along {axis}: {text}')
    lines.append(f'{statistics["n_sites"]} sites, {statistics["n_jumps"]} jumps')
    if statistics['n_jumps']:
        lines.append(
            f'residence time {statistics["mean_residence_ps"]:.3g} ± {statistics["mean_residence_stderr"]:.2g} ps, '
            f'jump length {statistics["jump_length_A"]:.3g} Å'
        )
    lines.append(f'the ions fill {statistics["filled_share"]:.1%} of the cell')
    return '\n'.join([*lines, *statistics['warnings']])


def sizes_text(result: Mapping[str, Any]) -> str:
    """Return the answer of :func:`aiida_ionconduct.calculations.functions.studies.compare_sizes`."""
    lines = [f'{result["answer"]}: {result["reason"]}']
    if result['sigma_S_per_cm'] is not None:
        low, high = result['ci95']
        lines.append(f'σ = {result["sigma_S_per_cm"]:.3g} ± {result["stderr"]:.2g} S/cm, 95 % [{low:.3g}, {high:.3g}]')
    return '\n'.join(lines)


def potentials_text(result: Mapping[str, Any]) -> str:
    """Return the table of :func:`aiida_ionconduct.calculations.functions.studies.compare_potentials`."""
    rows: list[tuple[str, ...]] = []
    for label, scatter in result.items():
        T = f'{read_temperature(label):g}'
        if scatter is None:
            rows.append((T, '', 'fewer than two potentials have a number', '', '', ''))
            continue
        rows.append(
            (
                T,
                str(scatter['n']) + (f' (and {scatter["n_without"]} without a number)' if scatter['n_without'] else ''),
                *(format_percent(scatter[key]) for key in ('scatter', 'runs')),
                f'{format_percent(scatter["between"])}, at most {format_percent(scatter["between_upper"])}',
                f'{scatter["p_equal"]:.2g}',
            )
        )
    headers = (
        'T (K)',
        'potentials',
        'scatter of σ',
        'runs alone',
        'potentials alone, 95 % limit',
        'p if all are equal',
    )
    return tabulate(rows, headers=headers, disable_numparse=True)


def estimator_title(asked: str, used: str) -> str:
    """Return the name of an estimator; of the default, with the estimator that it has chosen."""
    return asked if asked == used else f'{asked} ({used})'


def estimates_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of conductivities from the same runs by several estimators.

    :param rows: attributes of the conductivities.
    """
    table = [
        (
            row['estimator'],
            *(
                text
                for kind in ('full', 'tracer')
                for text in (
                    format_estimate(row[f'sigma_{kind}_S_per_cm'], row[f'sigma_{kind}_stderr']),
                    format_interval(row[f'sigma_{kind}_ci95'], scale_of=row[f'sigma_{kind}_S_per_cm']),
                )
            ),
        )
        for row in rows
    ]
    headers = ('estimator', 'σ, full (S/cm)', '95 % interval', 'σ, tracer (S/cm)', '95 % interval')
    return tabulate(table, headers=headers, disable_numparse=True)


def twins_text(lyapunov: Mapping[str, Any]) -> str:
    """Return the Lyapunov exponent of a :class:`~aiida_ionconduct.workchains.twins.TwinsWorkChain`, and its meaning."""
    lines = []
    if lyapunov['exponent_per_ps'] is not None:
        estimate = format_estimate(lyapunov['exponent_per_ps'], lyapunov['stderr'], '/ps')
        lines.append(f'λ = {estimate} from {lyapunov["n_pairs"]} pairs')
    return '\n'.join([*lines, *lyapunov['warnings'], lyapunov['meaning']])
