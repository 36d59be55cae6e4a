"""Links and make targets in the files that are read on the web, where Sphinx does not check them."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', '.github/pull_request_template.md']
PAGES = [*FILES, *(str(path.relative_to(ROOT)) for path in sorted((ROOT / 'docs').rglob('*.md')))]


def links():
    """Return every link to a file of the repository, with the file that it stands in."""
    for name in FILES:
        for target in re.findall(r'\]\(([^)\s]+)\)', (ROOT / name).read_text()):
            if '://' not in target:
                yield pytest.param(ROOT / name, target, id=f'{name}: {target}')


def anchors(page):
    """Return the anchors that headings have on the web."""
    headings = re.findall(r'^#+ (.*)$', page.read_text(), flags=re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).strip().replace(' ', '-') for heading in headings}


@pytest.mark.parametrize(('page', 'target'), list(links()))
def test_link_leads_somewhere(page, target):
    name, _, anchor = target.partition('#')
    path = page.parent / name if name else page
    assert path.exists()
    assert not anchor or anchor in anchors(path)


@pytest.mark.parametrize('name', PAGES)
def test_make_targets_exist(name):
    known = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), flags=re.MULTILINE))
    text = (ROOT / name).read_text()
    named = set(re.findall(r'(?:`|^)make ([a-z-]+)', text, flags=re.MULTILINE))
    assert named <= known
