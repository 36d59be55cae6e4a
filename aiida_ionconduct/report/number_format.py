"""Numbers as people write them: a value with its error, an interval, a power of ten. Plain Unicode text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeGuard

MISSING = '–'
PLAIN_EXPONENTS = range(-1, 4)
"""Decimal exponents of numbers that are written out; all others get a power of ten."""

_SUPERSCRIPTS = str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹')


def superscript(number: int) -> str:
    """Return an integer in superscript characters."""
    return str(number).translate(_SUPERSCRIPTS)


def _is_number(value: float | None) -> TypeGuard[float]:
    """Whether a value can be written as a number: None, NaN and infinities cannot."""
    return value is not None and math.isfinite(value)


def format_number(value: float | None, digits: int = 3, unit: str = '') -> str:
    """Write a value without an error; a missing value is a dash.

    :param digits: significant figures; trailing zeros are dropped.
    """
    if not _is_number(value):
        return MISSING
    mantissa, _, exponent = f'{value:.{digits - 1}e}'.partition('e')
    plain = -3 <= int(exponent) <= 3
    text = f'{float(f"{value:.{digits - 1}e}"):f}' if plain else mantissa
    text = text.rstrip('0').rstrip('.') if '.' in text else text
    return _join(text.replace('-', '−'), '' if plain else f'× 10{superscript(int(exponent))}', unit)


def format_estimate(value: float | None, stderr: float | None, unit: str = '') -> str:
    """Write ``(3.42 ± 0.91) × 10⁻² S/cm``: both rounded to two significant figures of the error.

    Without an error the value has up to three significant figures; a missing value is a dash.
    """
    if not _is_number(value) or not _is_number(stderr) or stderr <= 0:
        return format_number(value, unit=unit)
    texts, power = _write([value, stderr], _last_digit(stderr, 2), max(abs(value), stderr))
    text = ' ± '.join(texts)
    return _join(f'({text})' if power or unit else text, power, unit)


def format_interval(interval: Sequence[float | None] | None, unit: str = '', scale_of: float | None = None) -> str:
    """Write ``[1.9, 5.4] × 10⁻² S/cm``: both ends rounded to two significant figures of half the width.

    Where the ends differ by more than a factor of 20, each has two significant figures and a power of ten of its own.

    :param interval: lower and upper end; None or an end that is not finite gives a dash.
    :param scale_of: take the power of ten of this value, so that interval and estimate read alike.
    """
    low, high = interval if interval is not None else (None, None)
    if not _is_number(low) or not _is_number(high):
        return MISSING
    if 0 < 20 * low < high:
        return _join(f'[{format_number(low, 2)}, {format_number(high, 2)}]', unit)
    reference = scale_of if _is_number(scale_of) and scale_of else max(abs(low), abs(high))
    half_width = (high - low) / 2
    last = _last_digit(half_width, 2) if half_width > 0 else _last_digit(reference, 3)
    texts, power = _write([low, high], last, reference)
    return _join(f'[{", ".join(texts)}]', power, unit)


def format_percent(fraction: float | None) -> str:
    """Write a fraction in whole percent, with one decimal below ten percent."""
    if not _is_number(fraction):
        return MISSING
    percent = 100 * fraction
    return f'{percent:.1f} %' if abs(percent) < 9.95 else f'{percent:.0f} %'


def format_duration(seconds: float | None) -> str:
    """Write a duration with its two leading units, such as ``3 min 12 s``."""
    if not _is_number(seconds):
        return MISSING
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, 'd'), (hour, 'h'), (minute, 'min'), (second, 's')]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    leading = [f'{count} {unit}' for count, unit in parts[first : first + 2] if count]
    return ' '.join(leading) or '0 s'


def _exponent(value: float) -> int:
    """Return the decimal exponent of a value, 0 for zero."""
    return Decimal(repr(float(value))).adjusted() if value else 0


def _last_digit(value: float, digits: int) -> int:
    """Return the decimal exponent of the last figure of a value that is rounded to some significant figures.

    The value is rounded first: 0.0996 to two figures is 0.10, whose last figure has the exponent −2.
    """
    return _exponent(float(f'{value:.{digits - 1}e}')) - digits + 1


def _write(values: Sequence[float], last: int, reference: float) -> tuple[list[str], str]:
    """Round the values at a decimal position; return them and the power of ten they share, if any.

    :param last: decimal exponent of the last figure.
    :param reference: the value whose exponent, after rounding, is the power of ten: 9.996 that rounds to 10.0 gets the
        higher power.
    """
    quantum = Decimal(1).scaleb(last)
    leading = _round(reference, quantum)
    exponent = leading.adjusted() if leading else 0
    scale = 0 if exponent in PLAIN_EXPONENTS else exponent
    decimals = max(0, scale - last)
    texts = [f'{_round(value, quantum).scaleb(-scale):.{decimals}f}'.replace('-', '−') for value in values]
    return texts, f'× 10{superscript(scale)}' if scale else ''


def _join(*parts: str) -> str:
    return ' '.join(part for part in parts if part)


def _round(value: float, quantum: Decimal) -> Decimal:
    rounded = Decimal(repr(float(value))).quantize(quantum, ROUND_HALF_UP)
    return abs(rounded) if rounded == 0 else rounded


def format_bytes(n_bytes: float) -> str:
    """Write a number of bytes in MB or kB."""
    return f'{n_bytes / 1e6:.1f} MB' if n_bytes >= 1e5 else f'{n_bytes / 1e3:.1f} kB'
