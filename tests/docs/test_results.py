"""The numbers of docs/results are those that `make demo` prints from the archives in examples/lisicon."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'results' / 'lisicon.md'


@pytest.fixture(scope='module')
def printed(tmp_path_factory):
    """What `make demo` prints."""
    environment = {name: value for name, value in os.environ.items() if name != 'AIIDA_PATH'}
    environment['PATH'] = f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    command = [ROOT / 'scripts' / 'demo.sh', ROOT / 'examples' / 'lisicon', tmp_path_factory.mktemp('pages')]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
