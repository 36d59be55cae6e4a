"""`launch --extend` and `launch --follow` refuse, by name, every option that they would ignore."""

import click
import pytest
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.cli.commands.launch import EXTENDING, FOLLOWING, launch_command

COMMANDS = {'aiida-ionconduct': (cli, ['launch']), 'submit_conductivity.py': (launch_command, [])}
MODES = {'--extend': ('extend', EXTENDING), '--follow': ('follow_pk', FOLLOWING)}
OPTIONS = [param for param in launch_command.params if isinstance(param, click.Option)]
CASES = [
    pytest.param(mode, option, id=f'{mode}-{option.name}')
    for mode, (parameter, _) in MODES.items()
    for option in OPTIONS
    if option.name != parameter and (mode, option.name) != ('--extend', 'follow_pk')  # which is --follow with --extend
]


def words(option, tmp_path):
    """Return an option as a user types it, with a value that it takes."""
    name = max(option.opts, key=len)
    if option.is_flag:
        return [name]
    if isinstance(option.type, click.Path):
        path = tmp_path if option.type.dir_okay else tmp_path / 'file.yaml'
        if not option.type.dir_okay:
            path.touch()
        return [name, str(path)]
    if isinstance(option.type, click.Choice) and option.default is None:
        return [name, str(option.type.choices[0])]
    if option.default not in (None, ()) and not option.multiple:
        return [name, str(option.default)]  # the default, given by the user, is refused as well
    return [name, 'P=5' if option.multiple else '1']


@pytest.mark.parametrize('program', COMMANDS)
@pytest.mark.parametrize(('mode', 'option'), CASES)
def test_options_that_would_be_ignored_are_refused(program, mode, option, tmp_path):
    """Every option of the command is either taken or refused by the name that the user types."""
    group, first = COMMANDS[program]
    _, taken = MODES[mode]
    result = CliRunner().invoke(group, [*first, mode, '999999', *words(option, tmp_path)])
    name = max(option.opts, key=len)
    assert (f'{mode} does not take {name};' in result.output) == (option.name not in taken), result.output
    if option.name not in taken:
        assert result.exit_code == 2


def test_all_refused_options_are_named_with_those_that_are_taken():
    words = ['launch', '--extend', '1', '--temperatures', '900', '--mobile', 'Li', '--max-md-ns', '5']
    result = CliRunner().invoke(cli, words, terminal_width=300)
    assert result.exit_code == 2
    assert '--extend does not take --temperatures, --mobile; it takes --target-error, --max-md-ns' in result.output


def test_an_extension_cannot_be_followed_at_once():
    result = CliRunner().invoke(cli, ['launch', '--follow', '1', '--extend', '2'])
    assert (result.exit_code, '--follow does not take --extend' in result.output) == (2, True)


@pytest.mark.parametrize('mode', MODES)
def test_help_names_the_options_that_are_taken(mode):
    """The help text of the option and the table of the code say the same."""
    parameter, taken = MODES[mode]
    option = next(param for param in OPTIONS if param.name == parameter)
    names = [max(param.opts, key=len) for param in OPTIONS if param.name in taken]
    assert all(name in option.help for name in names)
