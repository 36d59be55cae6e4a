"""Rows on the Arrhenius fit."""

from aiida_ionconduct.report.tables.arrhenius import arrhenius_rows
from aiida_ionconduct.transport import arrhenius


def test_energy_and_extrapolation_have_their_intervals():
    fit = arrhenius([800, 1000, 1200], [0.012, 0.034, 0.071], [0.003, 0.0085, 0.018], [3, 3, 3])
    rows = arrhenius_rows(fit)
    assert [label for label, *_ in rows if 'Prefactor' not in label] == [
        'Activation energy (eV)',
        'σ at 300 K, extrapolated (S/cm)',
    ]
    assert rows[0][1].startswith('0.450 ± ')
    assert all(interval.startswith('[') for *_, interval in rows)


def test_the_prefactor_is_shown_where_it_is_known():
    fit = {'activation_energy_eV': 0.3, 'prefactor_S_K_per_cm': 5e5, 'prefactor_ci95': [2e5, 9e5]}
    assert arrhenius_rows(fit)[1] == ('Prefactor of σT (S K/cm)', '5 × 10⁵', '[2.0, 9.0] × 10⁵')


def test_without_a_fit_there_is_no_row():
    assert arrhenius_rows({'activation_energy_eV': None, 'warnings': ['no fit']}) == []
