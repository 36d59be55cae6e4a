"""The tables for the terminal."""

from aiida_ionconduct.report.graph.campaign import Campaign
from aiida_ionconduct.report.tables.text import summary_tables


def row(text, start):
    """Return the first line that starts so, its columns."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [column.strip() for column in line.split('  ') if column.strip()]


def test_summary_tables(synthetic_campaign):
    text = summary_tables(synthetic_campaign)
    assert row(text, 'σ, full (S/cm)') == ['σ, full (S/cm)', '(1.20 ± 0.30) × 10⁻²', '[0.60, 1.80] × 10⁻²']
    assert [line.split()[0] for line in text.splitlines() if line.endswith('95 % interval') and ' K ' in line] == [
        '800',
        '1000',
        '1200',
    ]
    assert row(text, 'Activation energy (eV)')[1].startswith('0.450 ± 0.0')
    assert row(text, 'NVE drift') == ['NVE drift', '3.1 × 10⁻⁵ eV/atom/ps', 'at most 0.001 eV/atom/ps', 'yes']
    assert row(text, 'Potential energy')[2] == '−0.05 to 0.05 eV/atom'
    assert 'not converged' in text
    assert '4 × 20 ps' in text
    assert '- 800 K, 1000 K, 1200 K: the cell has 68 atoms' in text


def test_lines_fit_a_terminal(synthetic_campaign):
    assert max(map(len, summary_tables(synthetic_campaign).splitlines())) <= 110


def test_a_temperature_without_a_number(synthetic_campaign, make_conductivity):
    missing = dict.fromkeys(
        ['sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_ci95', 'beta', 'lag_ps', 'lag_tracer_ps']
    )
    synthetic_campaign.conductivities = [make_conductivity(800, diffusive=False, **missing)]
    text = summary_tables(synthetic_campaign)
    assert row(text, 'σ, full (S/cm)')[1:] == ['–', '–']
    assert 'Diffusive: no' in text
    assert '800 K: no number' in text


def test_nothing_yet():
    text = summary_tables(Campaign(process={'state': 'running', 'protocol': 'quickstart'}))
    assert text.startswith('The campaign is still running')
