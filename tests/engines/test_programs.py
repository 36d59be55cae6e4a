"""The list of engines holds together, and agrees with the entry points and the protocol."""

import re
from importlib.metadata import entry_points

import pytest
import yaml

from aiida_ionconduct.engines.programs import ENGINES, INPUT_FILE, TRIALS
from aiida_ionconduct.farm import pseudopotentials
from aiida_ionconduct.workchains.protocols import protocol_inputs

engines = pytest.mark.parametrize('engine', ENGINES.values(), ids=list(ENGINES))


@engines
def test_plugin_is_an_entry_point(engine):
    assert engine.plugin in entry_points(group='aiida.calculations').names


@engines
def test_resources_are_a_section_of_the_protocol(engine):
    assert 'max_wallclock_seconds' in protocol_inputs('conductivity', None, None)['resources'][engine.resources]


@engines
def test_a_code_is_judged_by_the_trial_of_its_engine(engine):
    """Codes are told apart by their plugins alone, so engines with the same plugin must have the same trial."""
    assert TRIALS[engine.plugin] == engine.trial


@engines
def test_trial_does_not_succeed_without_output(engine):
    assert not re.search(engine.trial.expected, '')


@engines
def test_input_of_a_trial_is_read(engine):
    """A trial has an input file if, and only if, the program is told to read it."""
    assert (INPUT_FILE in engine.trial.arguments) == (engine.trial.text != 'none')


@engines
def test_pseudopotential_of_a_trial_is_in_the_family(engine):
    if engine.trial.element:
        assert engine.trial.element in pseudopotentials.recommended_cutoffs()
        assert f'{engine.trial.element}.upf' in engine.trial.text


def test_executables_are_different():
    """Two codes of the same program would be one code with two labels."""
    assert len({engine.executable for engine in ENGINES.values()}) == len(ENGINES)


def test_environment_becomes_shell_commands():
    engine = ENGINES['pw']._replace(environment={'A': '1', 'B': 'two'})
    assert engine.prepend_text == 'export A=1\nexport B=two'
    assert engine._replace(environment={}).prepend_text == ''


def test_the_example_of_a_site_has_every_engine(pytestconfig):
    example = yaml.safe_load((pytestconfig.rootpath / 'docs' / 'examples' / 'site.yaml').read_text())
    assert set(ENGINES) <= {label.partition('@')[0] for label in example['codes']}
