"""The page of made-up data is complete, self-contained and escaped, and there even when few data are."""

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import graphviz
import numpy as np
import pytest

from aiida_ionconduct.report.page import template
from aiida_ionconduct.report.page.campaign import render
from aiida_ionconduct.report.result import Campaign, Conductivity
from aiida_ionconduct.transport import analyse, arrhenius

from .browser import GEOMETRY, Page, chromium, measured, opens_browser

pytestmark = pytest.mark.slow

FIGURES = [
    'arrhenius',
    'msd',
    'charge-msd',
    'exponent',
    'running-800K',
    'running-1000K',
    'running-1200K',
    'blocks-800K',
    'crystal',
    'density-800K',
    'parity-forces',
    'parity-energies',
    'learning',
    'rdf-800K',
    'aimd-msd-800K',
    'twins-77',
]


@pytest.fixture(scope='module')
def html(make_campaign):
    """Return the whole page, made once."""
    return render(make_campaign())


@pytest.fixture
def blank_figures(monkeypatch):
    """Leave out the slow part, drawing, where the text around it is tested."""
    monkeypatch.setattr(template, 'figure_to_svg', lambda *args, **kwargs: '<svg></svg>')


def test_every_figure_is_there_in_order(html):
    parsed = Page(html)
    assert parsed.open == []
    figures = [name.removeprefix('figure-') for name in parsed.ids if name.startswith('figure-')]
    assert [name for name in figures if name in FIGURES] == FIGURES
    assert 'The relaxation has changed its volume by -2.1 %.' in html


def test_every_drawing_scales_and_has_a_name(html):
    svgs = re.findall(r'<svg.*?</svg>', html, flags=re.DOTALL)
    assert len(svgs) == len(FIGURES) + 1
    for svg in svgs:
        root = ET.fromstring(svg)
        assert root.get('role') == 'img'
        assert root.get('viewBox')
        assert root.get('width') is None
        assert root[0].tag.endswith('title')
        assert root[0].text
    for name in ['provenance', *FIGURES]:
        assert f'aria-labelledby="{name}-title {name}-desc"' in html


def test_ids_are_unique_and_references_resolve(html):
    ids = Page(html).ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', html)) <= set(ids)
    assert set(' '.join(re.findall(r'aria-labelledby="([^"]+)"', html)).split()) <= set(ids)


def test_nothing_is_fetched(html):
    parsed = Page(html)
    assert parsed.links
    assert all(link.startswith(('data:', '#')) for link in parsed.links)
    assert not re.search(r'@import|url\((?!#)|<script[^>]* src|fetch\(|XMLHttpRequest', html)


def test_colours_follow_the_page(html):
    """No colour of the palette is left as a fixed colour outside of the definitions."""
    definitions, _, rest = html.partition('</style>')
    for light in re.findall(r'--(?:ink|muted|full|tracer|temperature-\d): (#\w+);', definitions):
        assert light not in rest
    assert rest.count('var(--temperature-2)') > 2


@pytest.fixture(scope='module')
def downloads(html):
    """Return the files inside the page by name."""
    return Page(html).downloads


def rows_of(text):
    """Return the rows of a CSV file, by the names of its columns."""
    return list(csv.DictReader(io.StringIO(text)))


def test_every_figure_has_a_download_with_whole_rows(downloads):
    assert set(downloads) == {f'{name}.csv' for name in FIGURES} | {'conductivity.json'}
    for name, text in downloads.items():
        if name.endswith('.csv'):
            lengths = {len(row) for row in csv.reader(io.StringIO(text))}
            assert len(lengths) == 1, name


def test_downloads_hold_the_numbers_of_the_figures(downloads, synthetic_campaign):
    msd = [float(row['msd_A2']) for row in rows_of(downloads['msd.csv']) if float(row['temperature_K']) == 1000]
    np.testing.assert_array_equal(msd, synthetic_campaign.conductivities[1].curves['msd_A2'])
    energies = [float(row['dft_eV_per_atom']) for row in rows_of(downloads['parity-energies.csv'])]
    np.testing.assert_array_equal(energies, synthetic_campaign.parity['energy_reference_eV_per_atom'])
    forces = rows_of(downloads['parity-forces.csv'])
    assert [row['symbol'] for row in forces] == synthetic_campaign.parity['symbols']


def test_the_json_file_holds_conductivities_and_process(downloads, synthetic_campaign):
    summary = json.loads(downloads['conductivity.json'])
    assert summary['conductivities'][2]['sigma_full_S_per_cm'] == 0.071
    assert summary['process']['uuid'] == synthetic_campaign.process['uuid']


def test_numbers_verdict_and_commands_are_in_the_text(html):
    text = ' '.join(''.join(Page(html).data).split())
    for piece in (
        'Li7PSiO8',
        '68 in the molecular dynamics (2 × 2 × 1 supercell)',
        'the machinery works; the numbers are not converged',
        '(3.40 ± 0.85) × 10⁻² S/cm',
        '[1.7, 5.1] × 10⁻²',
        'verdi process status 412',
        'aiida-ionconduct export 0b8c3a52-7d1e-4a7e-9d55-3f6a8c1e2b90',
        '4 × LAMMPS 1200 K',
        'aiida-quantumespresso',
    ):
        assert piece in text
    assert text.index('machinery works') < text.index('Haven ratio')


@pytest.mark.usefixtures('blank_figures')
def test_what_stands_where_is_in_the_table(synthetic_campaign):
    rows = [*re.findall(r'<tr><th scope="row">(?:P1|interstitial)</th>.*?</tr>', render(synthetic_campaign))]
    texts = [' '.join(re.sub('<[^>]+>', ' ', row).split()) for row in rows]
    assert texts == ['P1 P 1 2 P 1, Si 1', 'interstitial – 1 Li 1']


@pytest.mark.usefixtures('blank_figures')
def test_text_from_nodes_is_escaped(synthetic_campaign):
    synthetic_campaign.process['message'] = '<script>alert(1)</script>'
    synthetic_campaign.process['protocol'] = '"><b>'
    synthetic_campaign.composition['formula'] = '<i>Li2'
    synthetic_campaign.stages[0].title = '<Relax & co>'
    html = render(synthetic_campaign)
    assert '<script>alert' not in html
    assert '<b>' not in html
    assert '<i>' not in html
    assert '&lt;Relax &amp; co&gt;' in html


@pytest.mark.parametrize(
    'field',
    [
        'composition',
        'dataset',
        'training',
        'validation',
        'parity',
        'conductivities',
        'arrhenius',
        'stages',
        'codes',
        'versions',
    ],
)
@pytest.mark.usefixtures('blank_figures')
def test_any_part_may_be_missing(synthetic_campaign, field):
    setattr(synthetic_campaign, field, [] if isinstance(getattr(synthetic_campaign, field), list) else {})
    assert Page(render(synthetic_campaign)).open == []


def test_a_campaign_that_has_only_started_says_so_without_figures(synthetic_campaign):
    parsed = Page(render(Campaign(process={**synthetic_campaign.process, 'state': 'running', 'state_text': 'waiting'})))
    assert parsed.open == []
    assert not any(name.startswith('figure-') for name in parsed.ids)
    assert 'still running' in ''.join(parsed.data)


def test_without_a_number_there_are_displacements_and_no_arrhenius_plot(synthetic_campaign, make_conductivity):
    none = [f'{name}{key}' for name in ('sigma_full_', 'sigma_tracer_') for key in ('S_per_cm', 'stderr', 'ci95')]
    conductivity = make_conductivity(
        800, diffusive=False, lag_ps=None, lag_tracer_ps=None, beta=None, beta_stderr=None, **dict.fromkeys(none)
    )
    for name in list(conductivity.curves):
        if name.startswith('plateau'):
            conductivity.curves[name] = conductivity.curves[name][:0]
    synthetic_campaign.conductivities = [conductivity]
    synthetic_campaign.arrhenius = {'activation_energy_eV': None, 'warnings': ['no Arrhenius fit']}
    parsed = Page(render(synthetic_campaign))
    assert 'figure-msd' in parsed.ids
    assert 'figure-arrhenius' not in parsed.ids


@pytest.mark.usefixtures('blank_figures')
def test_without_graphviz_the_page_says_so(synthetic_campaign, monkeypatch):
    def missing(*args, **kwargs):
        raise graphviz.ExecutableNotFound(['dot'])

    monkeypatch.setattr(graphviz.Digraph, 'pipe', missing)
    html = render(synthetic_campaign)
    assert 'The drawing needs Graphviz' in html
    assert '4 × LAMMPS 1200 K' in html


def test_importing_the_page_does_not_import_matplotlib():
    code = "import sys, aiida_ionconduct.report.page.campaign; print('matplotlib' in sys.modules)"
    output = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == 'False'


OVERLAPS = """
  const overlaps = [];
  for (const svg of page.querySelectorAll('figure:not(.flowchart) svg')) {
    const texts = [...svg.querySelectorAll('text')].filter(text => text.textContent.trim());
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1.5 && high > 3) overlaps.push(texts[i].textContent + ' | ' + texts[i + 1 + j].textContent);
    }));
  }
  return overlaps;
"""
PAPER = """
  view.dispatchEvent(new view.Event('beforeprint'));
  const shown = selector => [...page.querySelectorAll(selector)].filter(part => part.getClientRects().length).length;
  const before = [shown('nav'), page.querySelectorAll('details').length, page.querySelectorAll('details[open]').length];
  view.dispatchEvent(new view.Event('afterprint'));
  return [...before, page.querySelectorAll('details[open]').length, page.documentElement.scrollWidth - view.innerWidth];
"""
INTERACTION = """
  const figure = page.getElementById('figure-msd'), svg = figure.querySelector('svg');
  const tip = figure.querySelector('.tip'), button = figure.querySelector('button');
  figure.scrollIntoView();
  const box = svg.getBoundingClientRect();
  const over = (x, y) => figure.querySelector('.drawing').dispatchEvent(new view.PointerEvent(
    'pointermove', { clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
  over(0.6, 0.5);
  const all = [...tip.children].map(line => line.textContent), visible = !tip.hidden;
  button.click();
  over(0.6, 0.5);
  const fewer = [...tip.children].map(line => line.textContent);
  const gone = [...svg.querySelectorAll('[id^="msd-curve0-"]')].map(part => view.getComputedStyle(part).display);
  button.click();
  const back = [...svg.querySelectorAll('[id^="msd-curve0-"]')].map(part => view.getComputedStyle(part).display);
  over(0.01, 0.01);
  return { all, fewer, gone, back, visible, hidden: tip.hidden, label: button.textContent };
"""


@opens_browser
def test_opens_without_a_console_message(html, tmp_path):
    path = tmp_path / 'page.html'
    path.write_text(html, encoding='utf-8')
    _, console = chromium(path, tmp_path)
    assert 'CONSOLE' not in console


@opens_browser
@pytest.mark.parametrize(('width', 'scheme'), [(1280, 1), (390, 0)], ids=['wide, light', 'phone, dark'])
def test_every_figure_is_drawn_and_nothing_overflows(html, tmp_path, width, scheme):
    geometry = measured(html, GEOMETRY, tmp_path, width, scheme)
    assert geometry['width'] == width
    assert geometry['drawn'] == geometry['named'] == len(FIGURES) + 1
    assert geometry['overflow'] <= 0
    assert geometry['outside'] == []
    assert geometry['small'] == 0


@opens_browser
def test_no_text_lies_on_another(html, tmp_path):
    assert measured(html, OVERLAPS, tmp_path, 1280) == []


@opens_browser
def test_paper_has_all_that_is_folded_and_no_links_within(html, tmp_path):
    """The print style is put on the screen, as a page without a window has no paper."""
    nav, folded, opened, left, overflow = measured(html.replace('@media print', '@media all'), PAPER, tmp_path, 760)
    assert nav == 0
    assert folded == opened > 1
    assert left == 0
    assert overflow <= 0


@opens_browser
def test_values_are_read_off_and_curves_switched(html, synthetic_campaign, tmp_path):
    shown = measured(html, INTERACTION, tmp_path, 1280)
    assert shown['visible']
    assert shown['hidden']
    where, *values = shown['all']
    lag = float(where.removeprefix('Lag (ps): '))
    assert [value.partition(':')[0] for value in values] == ['800 K', '1000 K', '1200 K']
    curves = synthetic_campaign.conductivities[0].curves
    msd = float(values[0].partition(': ')[2].partition(' ±')[0])
    assert msd == pytest.approx(np.interp(lag, curves['lag_ps'], curves['msd_A2']), rel=0.02)
    assert shown['label'] == '800 K'
    assert [value.partition(':')[0] for value in shown['fewer'][1:]] == ['1000 K', '1200 K']
    assert set(shown['gone']) == {'none'}
    assert 'none' not in shown['back']


@pytest.fixture(scope='module')
def analysed():
    """Return the analyses of walking lithium at two temperatures."""
    rng = np.random.default_rng(3)
    symbols = ['Li'] * 8 + ['O'] * 4
    conductivities = []
    for temperature, step in ((900, 0.05), (1200, 0.09)):
        steps = np.where(np.array(symbols) == 'Li', step, 0.0)[None, :, None] * rng.normal(size=(6, 3000, 12, 3))
        result = analyse(
            list(np.cumsum(steps, axis=1)),
            symbols,
            charges={'Li': 1, 'O': -2},
            cell=6 * np.eye(3),
            temperature_K=temperature,
            dt_ps=0.05,
        )
        conductivities.append(Conductivity(result.attributes(), result.curves))
    return conductivities


def test_the_names_of_a_real_analysis_are_the_names_that_the_page_looks_for(analysed, make_campaign):
    sigma = [conductivity.attributes['sigma_full_S_per_cm'] for conductivity in analysed]
    stderr = [conductivity.attributes['sigma_full_stderr'] for conductivity in analysed]
    assert None not in sigma
    fit = arrhenius([conductivity.temperature_K for conductivity in analysed], sigma, stderr)
    parsed = Page(render(Campaign(process=make_campaign().process, conductivities=analysed, arrhenius=fit)))
    assert {
        f'{name}.csv' for name in ('msd', 'exponent', 'running-900K', 'running-1200K', 'arrhenius')
    } < parsed.downloads.keys()
    assert 'Arrhenius fit, 95 % band' in ''.join(parsed.data)
    rows = rows_of(parsed.downloads['running-900K.csv'])
    for name in ('running_sigma_full_S_per_cm', 'running_sigma_tracer_stderr', 'plateau_sigma_full_S_per_cm'):
        column = [float(row[name]) for row in rows if row[name]]
        np.testing.assert_array_equal(column, analysed[0].curves[name])
