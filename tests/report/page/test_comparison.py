"""The page that compares campaigns: their numbers side by side, and what differs."""

import copy
import csv
import io

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.report.measured import Measured
from aiida_ionconduct.report.number_format import format_interval, format_number
from aiida_ionconduct.report.page.comparison import (
    conductivity_table,
    measured_table,
    name_apart,
    render,
    write_comparison,
)
from aiida_ionconduct.transport import arrhenius

from .browser import GEOMETRY, Page, measured, opens_browser


@pytest.fixture
def campaigns(synthetic_campaign):
    """Return the campaign and another one: twice the conductivity, one temperature less, other steps."""
    other = copy.deepcopy(synthetic_campaign)
    other.process['pk'], other.process['uuid'] = 900, 'ffffffff-7d1e-4a7e-9d55-3f6a8c1e2b90'
    other.inputs['md.parameters.timestep_fs'] = '1.0'
    other.versions['aiida-core'] = '2.9.5'
    del other.conductivities[1]
    for conductivity in other.conductivities:
        conductivity.attributes['sigma_full_S_per_cm'] *= 2
    return name_apart([synthetic_campaign, other])


def test_numbers_stand_side_by_side(campaigns):
    table = {(temperature, label): cells for temperature, label, cells in conductivity_table(campaigns)}
    assert table['800 K', 'σ, full (S/cm)'] == [
        ('(1.20 ± 0.30) × 10⁻²', '[0.60, 1.80] × 10⁻²'),
        ('(2.40 ± 0.30) × 10⁻²', '[0.60, 1.80] × 10⁻²'),
    ]
    assert table['1000 K', 'σ, full (S/cm)'][1] == ('–', '')


def test_the_page_is_whole_and_its_ids_are_unique(campaigns):
    parsed = Page(render(campaigns))
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_differences_and_warnings_name_the_campaigns(campaigns):
    parsed = Page(render(campaigns))
    text = ' '.join(' '.join(parsed.data).split())
    for piece in ('2 campaigns compared', 'timestep_fs 2.0 1.0', 'aiida-core 2.9.4 2.9.5'):
        assert piece in text
    assert '(900): 800 K, 1200 K: the cell has 68 atoms' in text
    assert 'md.seeds' not in text


def test_the_download_has_the_points_of_both(campaigns):
    parsed = Page(render(campaigns))
    rows = list(csv.DictReader(io.StringIO(parsed.downloads['arrhenius.csv'])))
    assert [(row['campaign'][-4:], float(row['temperature_K'])) for row in rows] == [
        ('412)', 800), ('412)', 1000), ('412)', 1200), ('900)', 800), ('900)', 1200)
    ]  # fmt: skip
    assert float(rows[3]['sigma_full_S_per_cm']) == 0.024


def test_upper_bounds_are_in_the_figure_and_in_the_download(campaigns):
    name, data = next(iter(campaigns.items()))
    attributes = data.conductivities[0].attributes
    attributes |= {'sigma_full_S_per_cm': None, 'sigma_full_ci95': None, 'sigma_full_upper_S_per_cm': 2e-3}
    page = render(campaigns)
    rows = list(csv.DictReader(io.StringIO(Page(page).downloads['arrhenius.csv'])))
    assert [float(row['sigma_full_upper_S_per_cm']) for row in rows if not row['sigma_full_S_per_cm']] == [2e-3]
    assert f'{name}, upper bound' in page


@pytest.mark.parametrize('number', [1, 11])
def test_too_few_and_too_many_are_refused(number, tmp_path, aiida_profile):
    nodes = [orm.WorkChainNode().store() for _ in range(number)]
    with pytest.raises(ValueError, match='give 2 to 10'):
        write_comparison(nodes, tmp_path / 'page.html')
    with pytest.raises(ValueError, match='each once'):
        write_comparison([nodes[0], nodes[0]], tmp_path / 'page.html')


def exact_line(temperature_K):
    """Return a conductivity with an activation energy of 0.3 eV."""
    return 1000 / temperature_K * np.exp(-0.3 / (8.617333262e-5 * temperature_K))


def test_the_fit_is_extrapolated_to_measured_temperatures(campaigns):
    computed = [800.0, 1000.0, 1200.0]
    fit = arrhenius(computed, [exact_line(T) for T in computed], [0.05 * exact_line(T) for T in computed])
    (name, data), *_ = campaigns.items()
    data.arrhenius = fit
    (row,) = measured_table({name: data}, {name: [Measured('Li7SiPO8', 300.0, 1e-5, 'somebody')]})
    material, temperature, sigma, campaign, value, interval, source = row
    assert (material, temperature, campaign, source) == ('Li7SiPO8', '300 K', name, 'somebody')
    assert sigma == format_number(1e-5, 2)
    assert value == format_number(exact_line(300.0), 2)
    assert interval == format_interval(fit['extrapolated_300K_ci95'])


def test_measured_conductivities_stand_on_the_page(campaigns):
    formula = next(iter(campaigns.values())).composition['formula']
    rows = [Measured(formula, 900.0, 0.02, 'a paper'), Measured('Li10GeP2S12', 300.0, 0.012, '10.1038/nmat3066')]
    page = render(campaigns, rows)
    text = ' '.join(' '.join(Page(page).data).split())
    assert 'a paper' in text
    assert 'computed by none of these campaigns' in text
    assert '10.1038/nmat3066' not in text
    assert f'{next(iter(campaigns))}, measured' in page


@opens_browser
@pytest.mark.parametrize('rows', [(), (Measured('Li7SiPO8', 300.0, 1e-6, 'a paper with a long name'),)])
def test_the_page_fits_a_phone(campaigns, rows, tmp_path):
    geometry = measured(render(campaigns, rows), GEOMETRY, tmp_path)
    assert geometry['drawn'] == geometry['named'] == 3
    assert (geometry['overflow'], geometry['outside'], geometry['small']) == (0, [], 0)
