"""The written form of numbers, intervals and durations."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_ionconduct.report.number_format import (
    format_duration,
    format_estimate,
    format_interval,
    format_number,
    format_percent,
    superscript,
)

SUPERSCRIPTS = str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹−', '-0123456789-')


def read_back(text):
    """Return the numbers in a written text, the power of ten applied."""
    text = text.translate(SUPERSCRIPTS)
    body, _, power = text.partition(' × 10')
    scale = 10.0 ** int(power.split()[0]) if power else 1.0
    return [float(number) * scale for number in re.findall(r'-?\d+(?:\.\d+)?', body)]


@pytest.mark.parametrize(
    ('value', 'stderr', 'unit', 'text'),
    [
        (0.0342, 0.0091, 'S/cm', '(3.42 ± 0.91) × 10⁻² S/cm'),
        (0.42, 0.11, '', '0.42 ± 0.11'),
        (0.342, 0.0213, 'eV', '(0.342 ± 0.021) eV'),
        (1234.0, 560.0, '', '1230 ± 560'),
        (12340.0, 560.0, '', '(1.234 ± 0.056) × 10⁴'),
        (0.0, 0.31, '', '0.00 ± 0.31'),
        (-0.0342, 0.0091, '', '(−3.42 ± 0.91) × 10⁻²'),
        (1e-3, 0.0996, '', '0.00 ± 0.10'),
        (0.00099996, 2e-6, '', '(1.0000 ± 0.0020) × 10⁻³'),
        (5.0, 0.0, 'eV', '5 eV'),
        (5.0, None, 'eV', '5 eV'),
        (5.0, float('nan'), 'eV', '5 eV'),
        (None, None, 'S/cm', '–'),
        (float('nan'), 1.0, 'S/cm', '–'),
    ],
)
def test_format_estimate(value, stderr, unit, text):
    assert format_estimate(value, stderr, unit) == text


@pytest.mark.parametrize(
    ('interval', 'scale_of', 'text'),
    [
        ([0.019, 0.054], None, '[1.9, 5.4] × 10⁻² S/cm'),
        ([0.0071, 0.0123], 0.0095, '[7.1, 12.3] × 10⁻³ S/cm'),
        ([-0.012, 0.054], None, '[−1.2, 5.4] × 10⁻² S/cm'),
        ([0.31, 0.53], 0.42, '[0.31, 0.53] S/cm'),
        ([4.7e-9, 7.5e-5], 5.9e-7, '[4.7 × 10⁻⁹, 7.5 × 10⁻⁵] S/cm'),
        ([0.004, 0.31], None, '[0.004, 0.31] S/cm'),
        ([0.5, 0.5], None, '[0.500, 0.500] S/cm'),
        (None, 0.1, '–'),
        ([None, 0.1], None, '–'),
    ],
)
def test_format_interval(interval, scale_of, text):
    assert format_interval(interval, 'S/cm', scale_of) == text


@given(
    value=st.floats(1e-12, 1e12),
    relative=st.floats(1e-3, 5),
    sign=st.sampled_from([-1, 1]),
)
def test_estimate_reads_back_within_half_a_last_digit(value, relative, sign):
    """What is printed, read by eye, is the value to within half of the error's second figure."""
    stderr = value * relative
    read_value, read_stderr = read_back(format_estimate(sign * value, stderr))
    last_digit = 10.0 ** int(f'{float(f"{stderr:.1e}"):e}'.split('e')[1]) / 10
    assert read_value == pytest.approx(sign * value, abs=0.5001 * last_digit)
    assert read_stderr == pytest.approx(stderr, abs=0.5001 * last_digit)


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0.0, '0'),
        (80.0, '80'),
        (3.14159, '3.14'),
        (-0.0214, '−0.0214'),
        (0.001, '0.001'),
        (999.96, '1000'),
        (2.1e-7, '2.1 × 10⁻⁷'),
        (123456.0, '1.23 × 10⁵'),
        (None, '–'),
        (float('inf'), '–'),
    ],
)
def test_format_number(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0.2, '0 s'), (59.6, '1 min'), (192, '3 min 12 s'), (3 * 3600 + 61, '3 h 1 min'), (90000, '1 d 1 h'), (None, '–')],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text


def test_percent_and_superscript():
    assert format_percent(0.061) == '6.1 %'
    assert format_percent(0.4567) == '46 %'
    assert format_percent(None) == '–'
    assert superscript(-12) == '⁻¹²'
