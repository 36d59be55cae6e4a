"""Tests of the conventions of docs/developer.md that ruff and mypy do not check."""

import ast
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]
FOLDERS = ('aiida_ionconduct', 'tests', 'benchmarks', 'scripts', 'docs/_ext', 'docs/examples')
EMPTY_NAMES = {'one', 'found'}
"""Names that do not say what a thing is."""


def bound_names(tree):
    """Yield every name that is bound in a syntax tree, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize('folder', FOLDERS)
def test_names_say_what_a_thing_is(folder):
    """No variable and no parameter is called `one` or `found`."""
    places = [
        f'{path.relative_to(REPOSITORY)}:{line} {name}'
        for path in sorted((REPOSITORY / folder).rglob('*.py'))
        for name, line in bound_names(ast.parse(path.read_text()))
        if name in EMPTY_NAMES
    ]
    assert not places


@pytest.mark.parametrize('code', ['one = 1', 'for found in []: pass', 'def f(one): pass', 'lambda *, found=2: 0'])
def test_control(code):
    """Assignments, loops, parameters and lambdas are looked at."""
    assert {name for name, _ in bound_names(ast.parse(code))} & EMPTY_NAMES


def test_the_command_line_prints_in_one_way():
    """Texts of other people reach a terminal through ``echo`` of ``cli/words.py``, which takes their commands away."""
    places = [
        f'{path.name}:{node.lineno}'
        for path in sorted((REPOSITORY / 'aiida_ionconduct' / 'cli').rglob('*.py'))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ('click.echo', 'click.secho', 'print')
        if 'click.echo(terminal_text(' not in ast.unparse(node)
        and not (path.name == 'follow.py' and 'height' in ast.unparse(node))
    ]
    assert not places
