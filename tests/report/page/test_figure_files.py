"""The figures of a page as files."""

import csv

import pytest

from aiida_ionconduct.report.page.campaign_figures import campaign_drawings
from aiida_ionconduct.report.page.figure_files import write_figures


@pytest.fixture
def written(synthetic_campaign, tmp_path):
    """The files of a campaign by name."""
    return {path.name: path for path in write_figures(campaign_drawings(synthetic_campaign), tmp_path / 'figures')}


def test_every_figure_of_the_page_has_its_files(written, synthetic_campaign):
    """As SVG and with its numbers; as PNG too, unless it was drawn as SVG."""
    drawings = list(campaign_drawings(synthetic_campaign))
    expected = {f'{drawing.name}.{suffix}' for drawing in drawings for suffix in ('svg', 'csv')}
    drawn = {f'{drawing.name}.png' for drawing in drawings if not isinstance(drawing.figure, str)}
    assert set(written) == expected | drawn
    assert {'parity-forces.png', 'parity-energies.png', 'arrhenius.png', 'msd.png'} <= set(written)
    assert all(
        path.read_text().lstrip().startswith(('<?xml', '<svg')) for path in written.values() if path.suffix == '.svg'
    )
    assert all(path.read_bytes().startswith(b'\x89PNG') for path in written.values() if path.suffix == '.png')


def test_numbers_are_those_of_the_figure(written, synthetic_campaign):
    with written['arrhenius.csv'].open() as stream:
        rows = list(csv.DictReader(stream))
    sigmas = [attributes['sigma_full_S_per_cm'] for attributes in synthetic_campaign.attributes]
    assert [float(row['sigma_full_S_per_cm']) for row in rows] == sigmas
