"""Tests of the table of packages in docs/architecture.md: imports point to its top, and AiiDA is known where it says.

The order of the packages is the order of the rows and, in a row, of the names from left to right.
"""

import pathlib
import re
import subprocess
import sys

import pytest

from package_imports import PACKAGE, imports, modules

PAGE = pathlib.Path(__file__).parents[1] / 'docs' / 'architecture.md'
OF_AIIDA = re.compile('aiida|plumpy|kiwipy')
RUN_IN_JOBS = {'aiida_ionconduct.allegro.resume'}  # by the Python of nequip, which other tests need not have


def table():
    """Return the packages of the table in their order, each with whether it knows AiiDA."""
    section = PAGE.read_text().partition('\n## The packages\n')[2].partition('\n## ')[0]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in section.splitlines() if line[:1] == '|']
    assert rows[0] == ['package', 'holds', 'knows AiiDA']
    return {name: knows == 'yes' for names, _, knows in rows[2:] for name in re.findall(r'`(\w+)`', names)}


PACKAGES = table()
ORDER = list(PACKAGES)
WITHOUT_AIIDA = [name for name, knows in PACKAGES.items() if not knows]


def package(module):
    """Return the package of a module of ours, or the top-level name of another module."""
    names = module.split('.')
    return names[1] if names[0] == 'aiida_ionconduct' and len(names) > 1 else names[0]


def test_table_has_every_package():
    """What lies in the folder stands in the table, once."""
    assert sorted(PACKAGES) == sorted({package(name) for name in modules()} - {'aiida_ionconduct'})


def test_packages_with_aiida_are_below_those_without():
    """The table is divided once, so that nothing without AiiDA lies above AiiDA."""
    assert list(PACKAGES.values()) == sorted(PACKAGES.values())


@pytest.mark.parametrize('name', ORDER)
def test_imports_point_to_the_top(name):
    """A package imports, also within functions, itself and packages that stand before it in the table."""
    allowed = {*ORDER[: ORDER.index(name) + 1], 'aiida_ionconduct'}  # the root holds the version
    ours = [statement for statement in imports() if statement.imported.startswith('aiida_ionconduct')]
    wrong = [
        f'{statement.where} imports {statement.imported}'
        for statement in ours
        if package(statement.importer) == name and package(statement.imported) not in allowed
    ]
    assert not wrong


def test_root_imports_nothing():
    """Importing the package is quick and loads none of its parts."""
    assert [statement.where for statement in imports() if statement.importer == 'aiida_ionconduct'] == []


@pytest.mark.parametrize('name', WITHOUT_AIIDA)
def test_no_import_of_aiida(name):
    """A package that does not know AiiDA imports none of AiiDA's packages, within functions neither."""
    known = [statement for statement in imports() if package(statement.importer) == name]
    top_level = {package(statement.imported): statement.where for statement in known}
    aiida = {top: where for top, where in top_level.items() if top not in PACKAGES and OF_AIIDA.match(top)}
    assert not aiida


def test_packages_without_aiida_are_imported_where_there_is_none():
    """They load AiiDA through no other module either, and so are usable where AiiDA is not installed."""
    names = [name for name in modules() if package(name) in WITHOUT_AIIDA and name not in RUN_IN_JOBS]
    code = f"import importlib, sys; sys.modules['aiida'] = None; [importlib.import_module(name) for name in {names}]"
    done = subprocess.run([sys.executable, '-c', code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_transport_needs_little():
    """Transport coefficients need NumPy, SciPy and ASE, and nothing else that must be installed."""
    needed = {package(statement.imported) for statement in imports() if package(statement.importer) == 'transport'}
    assert needed - set(sys.stdlib_module_names) - set(PACKAGES) <= {'numpy', 'scipy', 'ase'}
