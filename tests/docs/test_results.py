"""The numbers of docs/results are those that `make demo` prints from the archives in examples/lisicon."""

import pathlib
import re

import pytest

from demonstration import demo

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'results' / 'lisicon.md'


@pytest.fixture(scope='module')
def printed(tmp_path_factory):
    """What `make demo` prints."""
    status, output, errors = demo(ROOT / 'examples' / 'lisicon', tmp_path_factory.mktemp('pages'))
    assert status == 0, errors
    return output


def test_printed_lines(printed):
    """Every line of the blocks of text on the page is printed, to the last digit."""
    lines = [
        line
        for block in re.findall(r'```text\n(.*?)```', PAGE.read_text(), flags=re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(lines) > 10
    known = set(printed.splitlines())
    assert [line for line in lines if line and line not in known] == []


def test_archive_is_small():
    sizes = [path.stat().st_size for path in (ROOT / 'examples' / 'lisicon').glob('*.aiida')]
    assert 0 < sum(sizes) <= 10e6
