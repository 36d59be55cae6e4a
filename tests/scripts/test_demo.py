"""Tests of ``scripts/demo.sh``: what `make demo` prints and writes, from archives in a folder."""

import re

import pytest

from aiida_ionconduct.archives import export
from demonstration import demo

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('provenance', [True, False])
def test_table_and_page(provenance, stored_campaign, tmp_path):
    """From an archive with all jobs the page is made anew; without jobs the page inside the archive is taken."""
    folder, pages = tmp_path / 'archives', tmp_path / 'pages'
    folder.mkdir()
    export(stored_campaign, folder / 'salt.aiida', provenance=provenance)
    status, output, errors = demo(folder, pages)
    assert status == 0, errors
    assert re.search(r'^900 K +value ± std. error', output, flags=re.MULTILINE)
    assert re.search(r'^σ, full \(S/cm\) ', output, flags=re.MULTILINE)
    assert f'Page written: {pages / "salt.html"}' in output
    page = (pages / 'salt.html').read_text()
    assert page.lower().startswith('<!doctype html>')
    (printed,) = re.findall(r'^σ at 900 K: ([^,]+ S/cm)', output, flags=re.MULTILINE)
    assert printed in page


def test_folder_without_an_archive_says_what_to_do(tmp_path):
    status, output, errors = demo(tmp_path, tmp_path / 'pages')
    assert (status, output) == (1, '')
    assert f'There is no archive in {tmp_path}' in errors
    assert 'aiida-ionconduct export PK --provenance -o' in errors


def test_nothing_is_left_in_the_profile_of_the_user(stored_campaign, tmp_path):
    """The profile is fresh, and gone afterwards: a second run prints the same."""
    folder = tmp_path / 'archives'
    folder.mkdir()
    export(stored_campaign, folder / 'salt.aiida')
    first, second = (demo(folder, tmp_path / 'pages') for _ in range(2))
    assert first == second
