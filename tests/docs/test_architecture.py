"""What docs/architecture.md says of the code is what the code does, and the files that it names exist."""

import pathlib
import re

import pytest

from aiida_ionconduct.farm.pseudopotentials import DUAL

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'architecture.md').read_text()
NUMBERS = {'two': 2, 'three': 3, 'four': 4, 'six': 6, 'eight': 8, 'ten': 10, 'twelve': 12}


def test_density_cutoff():
    """The page states the ratio of the density cutoff to the wave function cutoff that `setup` installs."""
    (word,) = re.findall(r'density cutoff\s+is\s+(\w+)\s+times', PAGE)
    assert NUMBERS[word] == DUAL


def places():
    """Return the rows of the table "Where is it?": question, file and the name to search for there."""
    table = PAGE.partition('## Where is it?')[2].partition('\n## ')[0]
    for line in table.splitlines():
        question, *rest = [cell.strip() for cell in line.strip('|').split('|')] if line.startswith('| ') else ['']
        for file, name in zip(*(re.findall('`([^`]+)`', cell) for cell in rest), strict=True) if rest else ():
            yield pytest.param(file, name, id=question)


@pytest.mark.parametrize(('file', 'name'), list(places()))
def test_where_it_is(file, name):
    """Each row of "Where is it?" names a file of the package that contains the name of the last column."""
    assert name in (ROOT / 'aiida_ionconduct' / file).read_text()


def test_common_questions_are_answered():
    questions = ' '.join(place.id for place in places()).lower()
    wanted = ('cutoff of the density grid', 'cuda out-of-memory', 'list of engines', 'label of a seed', 'haven ratio')
    assert [question for question in wanted if question not in questions] == []


@pytest.mark.parametrize('page', ['docs/architecture.md', 'docs/developer.md', 'CONTRIBUTING.md'])
def test_files_exist(page):
    """Everything in backticks that looks like a file or folder of the repository is there."""
    words = re.findall(r'`([\w./-]+)`', (ROOT / page).read_text())
    paths = {word for word in words if re.search(r'/\w|\.(py|md|yaml|yml|toml|cfg|j2|pyx|sh)$', word)}
    folders = (ROOT, ROOT / 'aiida_ionconduct')
    missing = [path for path in sorted(paths) if not any((folder / path).exists() for folder in folders)]
    assert missing == []
