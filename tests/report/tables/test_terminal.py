"""The tables for the terminal."""

from aiida_ionconduct.report.result import Campaign
from aiida_ionconduct.report.tables.terminal import summary_tables


def columns_of(text, start):
    """Return the columns of the first line that begins with some words."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [column.strip() for column in line.split('  ') if column.strip()]


def test_every_temperature_has_a_table_of_its_numbers(synthetic_campaign):
    text = summary_tables(synthetic_campaign)
    assert columns_of(text, 'σ, full (S/cm)') == ['σ, full (S/cm)', '(1.20 ± 0.30) × 10⁻²', '[0.60, 1.80] × 10⁻²']
    assert [line.split()[0] for line in text.splitlines() if line.endswith('95 % interval') and ' K ' in line] == [
        '800',
        '1000',
        '1200',
    ]


def test_the_fit_and_the_gate_have_a_table_each(synthetic_campaign):
    text = summary_tables(synthetic_campaign)
    assert columns_of(text, 'Activation energy (eV)')[1].startswith('0.450 ± 0.0')
    assert columns_of(text, 'NVE drift') == ['NVE drift', '3.1 × 10⁻⁵ eV/atom/ps', 'at most 0.001 eV/atom/ps', 'yes']
    assert columns_of(text, 'Potential energy')[2] == '−0.05 to 0.05 eV/atom'


def test_the_verdict_its_evidence_and_the_warnings_are_there(synthetic_campaign):
    text = summary_tables(synthetic_campaign)
    assert 'not converged' in text
    assert '4 × 20 ps' in text
    assert '- 800 K, 1000 K, 1200 K: the cell has 68 atoms' in text


def test_lines_fit_a_terminal(synthetic_campaign):
    assert max(map(len, summary_tables(synthetic_campaign).splitlines())) <= 110


def test_a_temperature_without_a_number_says_so(synthetic_campaign, make_conductivity):
    missing = dict.fromkeys(
        ['sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_ci95', 'beta', 'lag_ps', 'lag_tracer_ps']
    )
    synthetic_campaign.conductivities = [make_conductivity(800, diffusive=False, **missing)]
    text = summary_tables(synthetic_campaign)
    assert columns_of(text, 'σ, full (S/cm)')[1:] == ['–', '–']
    assert 'Diffusive: no' in text
    assert '800 K: no number' in text


def test_a_campaign_without_results_says_that_it_is_running():
    text = summary_tables(Campaign(process={'state': 'running', 'protocol': 'quickstart'}))
    assert text.startswith('The campaign is still running')
