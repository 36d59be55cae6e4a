"""The tables of parameters in the documentation: every key with its kind, default and description."""

import importlib.util
import pathlib
from typing import Annotated, Literal

import pytest
from pydantic import Field

from aiida_ionconduct.parameters import Parameters
from aiida_ionconduct.workchains.protocols import load

EXTENSION = pathlib.Path(__file__).parents[2] / 'docs' / '_ext' / 'parameter_tables.py'


class Resources(Parameters):
    threads: int = Field(1, gt=0, description='Threads of `lmp`.')


class Machine(Parameters):
    device: Literal['cpu', 'cuda'] = Field('cpu', description='where the training runs.')
    error: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description='Error over value | a share.')
    steps: int = Field(ge=1, description='Steps of a run.')
    temperatures: list[float] = Field([300.0, 1e-9], description='Temperatures.')
    resources: Resources = Resources()
    computers: dict[str, Resources] = Field({}, description='By label.')


PROTOCOLS = {
    'default_inputs': {'seeds': [1, 2], 'md': {'steps': 10, 'stride': None}, 'training': {}},
    'protocols': {
        'fast': {'description': 'A look.', 'md': {'steps': 5}},
        'balanced': {'description': 'Numbers.'},
        'long': {'description': 'More.', 'seeds': [1], 'training': {'l_max': 3}},
    },
}


@pytest.fixture(scope='module')
def tables():
    """Return the extension of Sphinx as a module."""
    specification = importlib.util.spec_from_file_location('parameter_tables', EXTENSION)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def rows(lines):
    """Return the cells of the rows of a Markdown table by the first one, without its two header lines."""
    split = [[cell.strip() for cell in line.strip('|').replace(r'\|', '¦').split('|')] for line in list(lines)[2:]]
    return {first: rest for first, *rest in split}


@pytest.mark.parametrize(
    ('key', 'cells'),
    [
        ('device', ['cpu or cuda', '`cpu`', 'Where the training runs.']),
        ('error', [r'float (\> 0, \< 1) or null', '`null`', 'Error over value ¦ a share.']),
        ('steps', ['int, ≥ 1', 'must be given', 'Steps of a run.']),
        ('temperatures', ['list of float', '`[300.0, 1.0e-09]`', 'Temperatures.']),
        ('resources.threads', [r'int, \> 0', '`1`', 'Threads of `lmp`.']),
        ('computers.NAME.threads', [r'int, \> 0', '`1`', 'Threads of `lmp`.']),
    ],
)
def test_row_of_a_key(tables, key, cells):
    assert rows(tables.key_lines(Machine.keys(), '', {}))[f'`{key}`'] == cells


def test_every_key_has_a_row(tables):
    assert len(rows(tables.key_lines(Machine.keys(), '', {}))) == 6


def test_path_stands_before_the_keys(tables):
    assert '`md.steps`' in rows(tables.key_lines(Machine.keys(), 'md', {}))


@pytest.mark.parametrize('key', ['steps', 'device'])
def test_default_of_the_protocols_comes_first(tables, key):
    assert rows(tables.key_lines(Machine.keys(), '', {key: 10}))[f'`{key}`'][1] == '`10`'


def test_keys_are_grouped_by_section(tables):
    """The keys without a section come first, whatever their order in the class."""
    sections = {name: [key.path for key in keys] for name, keys in tables.by_section(Machine.keys())}
    assert sections == {
        '': ['device', 'error', 'steps', 'temperatures'],
        'resources': ['resources.threads'],
        'computers.NAME': ['computers.NAME.threads'],
    }


def test_what_protocols_change(tables):
    """A row for every key that a protocol changes; protocols without a change share the column of the defaults."""
    header, _, *_ = lines = list(tables.protocol_lines(PROTOCOLS))
    assert header == '| Key | default, `balanced` | `fast` | `long` |'
    assert rows(lines) == {
        '`seeds`': ['`[1, 2]`', '', '`[1]`'],
        '`md.steps`': ['`10`', '`5`', ''],
        '`training.l_max`': ['', '', '`3`'],
    }


def test_shipped_protocols(tables):
    """The table is made of the protocols of the package."""
    table = rows(tables.protocol_lines(load('conductivity')))
    assert '`[600, 800, 1000]`' in table['`temperatures_K`']
