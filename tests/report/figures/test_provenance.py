"""The drawing of the provenance, with texts that other people have written."""

import base64
import xml.etree.ElementTree

import pytest

from aiida_ionconduct.report.figures.provenance import draw
from aiida_ionconduct.report.page.downloads import csv_uri
from aiida_ionconduct.report.result import Flow, StageRun

HOSTILE = ['\x1b[31mred', 'a\x00b\x08', '</b><b>&lt;', '\ufffe', '\\N"];', '<table>', 'a\nb']


@pytest.mark.parametrize('text', HOSTILE)
def test_texts_of_others_do_not_end_the_drawing(text):
    """Titles come from names in the archive of somebody else; Graphviz reads markup in them."""
    stages = [StageRun(text, 'Process', f'failed {text}', jobs=[(text, 2)], pks=[1])]
    flows = [Flow(text, 1, [2], 0, []), Flow(f'<{text}>', 1, [3], None, [0])]
    drawing = xml.etree.ElementTree.fromstring(draw(stages, flows))
    assert 'pk 1' in ''.join(drawing.itertext())


def test_downloads_hold_no_formula():
    text = base64.b64decode(csv_uri({'=a': ['@b', 1.5, -2.0]}).partition(',')[2]).decode()
    assert text == "'=a\n'@b\n1.5\n-2.0\n"
