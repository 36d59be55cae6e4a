"""Names of the package on the pages, in Python blocks and in the text, exist."""

import ast
import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')), *sorted((ROOT / 'docs' / 'examples').glob('*.py'))]


def imported(code):
    """Yield what Python code imports from the package as dotted names."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith('aiida_ionconduct'):
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def dotted_names(page):
    """Return the dotted names of the package that a page or a script mentions."""
    text = page.read_text()
    blocks = [text] if page.suffix == '.py' else re.findall(r'```(?:python|\{executed\})\n(.*?)```', text, re.DOTALL)
    mentioned = re.findall(r'(?<![/\w])aiida_ionconduct(?:[.:][A-Za-z_]\w*)+', text)
    return {*mentioned, *(name for block in blocks for name in imported(block))}


def resolve(name):
    """Return the object of a dotted name.

    :raises AttributeError: if there is none.
    """
    module, *rest = re.split('[.:]', name)
    resolved = importlib.import_module(module)
    for index, part in enumerate(rest):
        if not hasattr(resolved, part):
            importlib.import_module('.'.join([module, *rest[: index + 1]]))
        resolved = getattr(resolved, part)
    return resolved


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_exist(page):
    for name in sorted(dotted_names(page)):
        resolve(name)


def test_control():
    """A name that does not exist is not resolved."""
    with pytest.raises(ImportError):
        resolve('aiida_ionconduct.transport.no_such_name')
