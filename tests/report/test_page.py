"""The page, from made-up data: complete, self-contained, escaped, and there even when little else is."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import graphviz
import numpy as np
import pytest

from aiida_ionconduct.report import page
from aiida_ionconduct.report.collect import Campaign, Conductivity
from aiida_ionconduct.report.page import render
from aiida_ionconduct.transport import analyse, arrhenius

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
FIGURES = [
    'arrhenius',
    'msd',
    'charge-msd',
    'exponent',
    'running-800K',
    'running-1000K',
    'running-1200K',
    'parity-forces',
    'parity-energies',
    'learning',
]
FLAGS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--hide-scrollbars',
    '--enable-logging=stderr',
    '--v=0',
]
VOID = {'meta', 'link', 'br'}


class Page(HTMLParser):
    """Ids, links and downloads of a page, and whether its tags nest."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.downloads, self.open, self.data = [], [], {}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if 'id' in attributes:
            self.ids.append(attributes['id'])
        self.links += [attributes[key] for key in ('href', 'src', 'xlink:href') if key in attributes]
        if 'download' in attributes:
            self.downloads[attributes['download']] = base64.b64decode(
                attributes['href'].partition('base64,')[2]
            ).decode()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data.append(data)


@pytest.fixture(scope='module')
def html(make_campaign):
    """Return the whole page, made once."""
    return render(make_campaign())


@pytest.fixture
def blank_figures(monkeypatch):
    """Leave out the slow part, drawing, where the text around it is tested."""
    monkeypatch.setattr(page, 'figure_to_svg', lambda *args: '<svg></svg>')


def test_every_figure_is_there_and_has_a_name(html):
    parsed = Page(html)
    assert parsed.open == []
    assert [
        one.removeprefix('figure-')
        for one in parsed.ids
        if one.startswith('figure-') and one.removeprefix('figure-') in FIGURES
    ] == FIGURES
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
    assert not re.search(r'@import|url\((?!#)|<script', html)


def test_colours_follow_the_page(html):
    """No colour of the palette is left as a fixed colour outside of the definitions."""
    definitions, _, rest = html.partition('</style>')
    for light in re.findall(r'--(?:ink|muted|full|tracer|temperature-\d): (#\w+);', definitions):
        assert light not in rest
    assert rest.count('var(--temperature-2)') > 2


def test_downloads_hold_the_data(html, synthetic_campaign):
    downloads = Page(html).downloads
    assert set(downloads) == {f'{name}.csv' for name in FIGURES} | {'conductivity.json'}
    rows = list(csv.DictReader(io.StringIO(downloads['msd.csv'])))
    chosen = np.array([float(row['msd_A2']) for row in rows if float(row['temperature_K']) == 1000])
    np.testing.assert_allclose(chosen, synthetic_campaign.conductivities[1].curves['msd_A2'], rtol=1e-5)
    forces = list(csv.DictReader(io.StringIO(downloads['parity-forces.csv'])))
    assert [row['symbol'] for row in forces] == synthetic_campaign.parity['symbols']
    summary = json.loads(downloads['conductivity.json'])
    assert summary['conductivities'][2]['sigma_full_S_per_cm'] == 0.071
    assert summary['process']['uuid'] == synthetic_campaign.process['uuid']


def test_numbers_and_statement(html):
    text = ' '.join(''.join(Page(html).data).split())
    for piece in (
        'Li7PSiO8',
        '68 in the molecular dynamics (2 × 2 × 1 supercell)',
        'the machinery works; the numbers are not converged',
        '(3.40 ± 0.85) × 10⁻² S/cm',
        '[1.7, 5.1] × 10⁻²',
        'verdi process status 412',
        'verdi archive create conductivity.aiida --nodes 0b8c3a52-7d1e-4a7e-9d55-3f6a8c1e2b90',
        '4 × LAMMPS 1200 K',
        'aiida-quantumespresso',
    ):
        assert piece in text
    assert text.index('machinery works') < text.index('Haven ratio')


@pytest.mark.usefixtures('blank_figures')
def test_text_from_nodes_is_escaped(synthetic_campaign):
    synthetic_campaign.process['message'] = '<script>alert(1)</script>'
    synthetic_campaign.process['protocol'] = '"><b>'
    synthetic_campaign.composition['formula'] = '<i>Li2'
    synthetic_campaign.stages[0].title = '<Relax & co>'
    html = render(synthetic_campaign)
    assert '<script' not in html
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


def test_a_campaign_that_has_only_started(synthetic_campaign):
    parsed = Page(render(Campaign(process={**synthetic_campaign.process, 'state': 'running', 'state_text': 'waiting'})))
    assert parsed.open == []
    assert not any(one.startswith('figure-') for one in parsed.ids)
    assert 'still running' in ''.join(parsed.data)


def test_no_number_and_partial_curves(synthetic_campaign, make_conductivity):
    """Nothing diffuses: no Arrhenius plot, no line, but the displacements that show it."""
    none = [f'{name}{key}' for name in ('sigma_full_', 'sigma_tracer_') for key in ('S_per_cm', 'stderr', 'ci95')]
    one = make_conductivity(
        800, diffusive=False, lag_ps=None, lag_tracer_ps=None, beta=None, beta_stderr=None, **dict.fromkeys(none)
    )
    for name in list(one.curves):
        if name.startswith('plateau'):
            one.curves[name] = one.curves[name][:0]
    synthetic_campaign.conductivities = [one]
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
    code = "import sys, aiida_ionconduct.report.page; print('matplotlib' in sys.modules)"
    output = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == 'False'


@pytest.mark.integration
@pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')
@pytest.mark.parametrize(('width', 'scheme'), [(1280, 1), (500, 0)], ids=['wide, light', 'narrow, dark'])
def test_opens_in_chromium_without_a_console_message(html, tmp_path, width, scheme):
    """The page also measures itself: every drawing is visible and nothing is wider than the window."""
    probe = """<script>addEventListener('load', () => {
      const drawings = [...document.querySelectorAll('figure svg')].filter(svg => svg.clientHeight > 100);
      document.title = `drawings ${drawings.length} overflow ${document.documentElement.scrollWidth - innerWidth}`;
    })</script>"""
    path = tmp_path / 'page.html'
    path.write_text(html.replace('</body>', f'{probe}</body>'), encoding='utf-8')
    flags = [
        *FLAGS,
        f'--user-data-dir={tmp_path / "profile"}',
        f'--window-size={width},900',
        f'--blink-settings=preferredColorScheme={scheme}',
        '--dump-dom',
    ]
    result = subprocess.run([CHROMIUM, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert 'CONSOLE' not in result.stderr
    drawings, overflow = re.search(r'<title>drawings (\d+) overflow (-?\d+)</title>', result.stdout).groups()
    assert int(drawings) == len(FIGURES) + 1
    assert int(overflow) <= 0


def test_page_of_a_real_analysis(make_campaign):
    """The names the analysis gives are those the page looks for."""
    rng = np.random.default_rng(3)
    symbols = ['Li'] * 8 + ['O'] * 4
    conductivities = []
    for temperature, step in ((900, 0.05), (1200, 0.09)):
        steps = np.where(np.array(symbols) == 'Li', step, 0.0)[None, :, None] * rng.normal(size=(6, 3000, 12, 3))
        result = analyse(list(np.cumsum(steps, axis=1)), symbols, {'Li': 1, 'O': -2}, 6 * np.eye(3), temperature, 0.05)
        conductivities.append(Conductivity(result.attributes(), result.curves))
    campaign = Campaign(
        process=make_campaign().process,
        conductivities=conductivities,
        arrhenius=arrhenius(
            *zip(
                *(
                    (one.temperature_K, one.attributes['sigma_full_S_per_cm'], one.attributes['sigma_full_stderr'])
                    for one in conductivities
                ),
                strict=True,
            )
        ),
    )
    parsed = Page(render(campaign))
    assert {
        f'{name}.csv' for name in ('msd', 'exponent', 'running-900K', 'running-1200K', 'arrhenius')
    } < parsed.downloads.keys()
    rows = list(csv.DictReader(io.StringIO(parsed.downloads['running-900K.csv'])))
    for name in ('running_sigma_full_S_per_cm', 'running_sigma_tracer_stderr', 'plateau_sigma_full_S_per_cm'):
        column = [float(row[name]) for row in rows if row[name]]
        np.testing.assert_allclose(column, conductivities[0].curves[name], rtol=1e-5)
    assert sum(one.attributes['sigma_full_S_per_cm'] is not None for one in conductivities) == 2
    assert 'Arrhenius fit, 95 % band' in ''.join(parsed.data)
