"""The numbers of the studies as plain text for the terminal."""

from __future__ import annotations

from tabulate import tabulate

from aiida_ionconduct.report.numbers import format_estimate


def block_sizes_text(attributes: dict) -> str:
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


def density_text(numbers: dict) -> str:
    """Return the numbers of a density as lines."""
    lines = []
    for axis, one in numbers['percolation'].items():
        text = f'percolates, barrier {one["barrier_eV"]:.2f} eV' if one['percolates'] else 'no path seen'
        lines.append(f'along {axis}: {text}')
    lines.append(f'{numbers["n_sites"]} sites, {numbers["n_jumps"]} jumps')
    if numbers['n_jumps']:
        lines.append(
            f'residence time {numbers["mean_residence_ps"]:.3g} ± {numbers["mean_residence_stderr"]:.2g} ps, '
            f'jump length {numbers["jump_length_A"]:.3g} Å'
        )
    lines.append(f'the ions fill {numbers["filled_share"]:.1%} of the cell')
    return '\n'.join([*lines, *numbers['warnings']])


def sizes_text(result: dict) -> str:
    """Return the answer of :func:`aiida_ionconduct.calculations.functions.studies.compare_sizes`."""
    lines = [f'{result["answer"]}: {result["reason"]}']
    if result['sigma_S_per_cm'] is not None:
        low, high = result['ci95']
        lines.append(f'σ = {result["sigma_S_per_cm"]:.3g} ± {result["stderr"]:.2g} S/cm, 95 % [{low:.3g}, {high:.3g}]')
    return '\n'.join(lines)


def twins_text(found: dict) -> str:
    """Return the Lyapunov exponent of a :class:`~aiida_ionconduct.workchains.twins.TwinsWorkChain`, and its meaning."""
    lines = []
    if found['exponent_per_ps'] is not None:
        estimate = format_estimate(found['exponent_per_ps'], found['stderr'], '/ps')
        lines.append(f'λ = {estimate} from {found["n_pairs"]} pairs')
    return '\n'.join([*lines, *found['warnings'], found['meaning']])
