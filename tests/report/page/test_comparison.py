"""The page that compares campaigns: their numbers side by side, and what differs."""

import copy
import csv
import io

import pytest
from aiida import orm

from aiida_ionconduct.report.page.comparison import conductivity_table, name_apart, render, write_comparison

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


@pytest.mark.parametrize('number', [1, 7])
def test_too_few_and_too_many_are_refused(number, tmp_path, aiida_profile):
    nodes = [orm.WorkChainNode().store() for _ in range(number)]
    with pytest.raises(ValueError, match='give 2 to 6'):
        write_comparison(nodes, tmp_path / 'page.html')
    with pytest.raises(ValueError, match='each once'):
        write_comparison([nodes[0], nodes[0]], tmp_path / 'page.html')


@opens_browser
def test_the_page_fits_a_phone(campaigns, tmp_path):
    geometry = measured(render(campaigns), GEOMETRY, tmp_path)
    assert geometry['drawn'] == geometry['named'] == 2
    assert (geometry['overflow'], geometry['outside'], geometry['small']) == (0, [], 0)
