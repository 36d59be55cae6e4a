"""Rows on the thermal expansion, in the terminal and on the page."""

import re

import pytest

from aiida_ionconduct.report.page.campaign import render
from aiida_ionconduct.report.tables.expansion import expansion_lines, expansion_rows, expansion_texts
from aiida_ionconduct.report.tables.terminal import summary_tables


def cell(temperature_K, **changes):
    """Return the numbers of a mean cell."""
    return {
        'temperature_K': temperature_K,
        'initial_lengths_A': [10.0, 12.0, 9.8],
        'lengths_A': [10.2, 12.3, 9.9],
        'lengths_stderr_A': [0.021, 0.013, 0.011],
        'length_expansions_percent': [2.0, 2.5, 1.02],
        'length_expansions_stderr_percent': [0.21, 0.11, 0.11],
        'initial_angles_deg': [90.0, 91.0, 90.0],
        'angles_deg': [90.1, 91.5, 89.9],
        'initial_volume_A3': 1175.8,
        'volume_A3': 1241.6,
        'volume_stderr_A3': 3.2,
        'volume_expansion_percent': 5.6,
        'volume_expansion_stderr_percent': 0.27,
        'measured_temperature_K': 1203.0,
        'measured_temperature_stderr_K': 3.1,
        'pressure_bar': 210.0,
        'pressure_stderr_bar': 320.0,
        'equilibration_ps': [4.0, 2.0],
        'averaged_ps': [36.0, 38.0],
        'warnings': [],
        **changes,
    }


@pytest.fixture
def expanded(synthetic_campaign):
    """Return a campaign with mean cells."""
    warning = 'the volume is known to 2.0 % only: make the runs longer'
    synthetic_campaign.expansion = {'T1200': cell(1200.0, warnings=[warning]), 'T800': cell(800.0)}
    return synthetic_campaign


def test_rows_are_cold_to_hot_and_have_all_cell_parameters(expanded):
    rows = expansion_rows(expanded.expansion)
    assert [row[0] for row in rows[:5]] == [
        '800 K, a (Å)', '800 K, b (Å)', '800 K, c (Å)', '800 K, α, β, γ (°)', '800 K, volume (Å³)',
    ]  # fmt: skip
    assert rows[0][1:] == ('10', '10.200 ± 0.021', '2.00 ± 0.21')
    assert rows[4][1:] == ('1175.8', '1241.6 ± 3.2', '5.60 ± 0.27')
    assert rows[5][0] == '1200 K, a (Å)'


def test_orderings_have_rows_of_their_own():
    orderings = {f'T800_ordering_0{number}': cell(800.0) for number in (1, 2)}
    titles = [row[0].rpartition(', ')[0] for row in expansion_rows(orderings)][::5]
    assert titles == ['800 K, ordering 1', '800 K, ordering 2']


def test_texts_say_what_was_averaged_and_warn(expanded):
    texts = expansion_texts(expanded.expansion)
    assert texts[0] == (
        '800 K: mean over 74 ps of 2 runs, 6 ps of equilibration left out; mean temperature (1203.0 ± 3.1) K, '
        'mean pressure (0.21 ± 0.32) kbar'
    )
    assert texts[-1].startswith('1200 K: the volume is known to 2.0 % only')


def test_lines_for_a_live_view(expanded):
    assert expansion_lines(expanded.expansion)[0] == (
        '800 K: cell of 1175.8 Å³ at 0 K, mean (1241.6 ± 3.2) Å³, expansion (5.60 ± 0.27) %'
    )


def test_terminal_and_page_show_the_expansion(expanded):
    assert '1200 K, volume (Å³)' in summary_tables(expanded)
    html = render(expanded)
    assert re.search(r'1200 K, volume \(Å³\)</th><td class="value">1175.8</td><td class="value">1241.6 ± 3.2', html)
    assert 'known to 2.0 % only' in html
    assert 'Thermal expansion' not in render_without(expanded)


def render_without(campaign):
    """Return the page of the same campaign without mean cells."""
    campaign.expansion = {}
    return render(campaign)
