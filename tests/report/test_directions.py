"""The report is read from its folders in one direction, and only what reads the graph needs AiiDA."""

import ast
import pathlib
import subprocess
import sys

import pytest

import aiida_ionconduct.report

ROOT = pathlib.Path(aiida_ionconduct.report.__file__).parent
ORDER = (('measured', 'number_format', 'result'), ('graph',), ('verdict',), ('tables',), ('figures',), ('page',))
LEVELS = {name: level for level, names in enumerate(ORDER) for name in names}
MODULES = sorted(path for path in ROOT.rglob('*.py') if path != ROOT / '__init__.py')


def room_of(path):
    """Return the folder or the module right below the report that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix('.py')


def imported_rooms(path):
    """Return the folders and modules of the report that a file imports from."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = [(node.module or '').split('.') for node in imports]
    return {name[2] for name in names if name[:2] == ['aiida_ionconduct', 'report'] and len(name) > 2}


def test_every_file_has_its_place_in_the_order():
    assert {room_of(path) for path in MODULES} == set(LEVELS)


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_imports_from_a_later_folder(path):
    level = LEVELS[room_of(path)]
    assert {name for name in imported_rooms(path) if LEVELS[name] > level} == set()


@pytest.mark.parametrize('folder', ['figures', 'graph', 'page', 'tables'])
def test_the_docstring_of_a_folder_names_all_of_its_files(folder):
    package = ROOT / folder
    docstring = ast.get_docstring(ast.parse((package / '__init__.py').read_text()))
    names = [path.stem for path in package.glob('*.py') if path.name != '__init__.py']
    assert [name for name in names if f'``{name}``' not in docstring] == []


def test_figures_and_terminal_tables_need_no_aiida():
    """What shows numbers from plain files works without an AiiDA configuration."""
    modules = [f'aiida_ionconduct.report.figures.{path.stem}' for path in (ROOT / 'figures').glob('[a-z]*.py')]
    modules += ['aiida_ionconduct.report.result', 'aiida_ionconduct.report.tables.terminal']
    code = f"import sys, {', '.join(modules)}; print('aiida' in sys.modules)"
    output = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == 'False'
