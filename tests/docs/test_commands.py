"""Every command in the README and the documentation exists, with the options that are written there."""

import pathlib
import re
import shlex

import click
import pytest
from aiida.cmdline.commands.cmd_verdi import verdi

from aiida_ionconduct.cli import cli

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = {'aiida-ionconduct': cli, 'verdi': verdi}


def documented():
    """Return every line of a shell block that starts one of the programs, with its file."""
    for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]:
        if '_build' in path.parts:
            continue
        for block in re.findall(r'```bash\n(.*?)```', path.read_text(), flags=re.DOTALL):
            for line in block.replace('\\\n', ' ').splitlines():
                if line.split()[:1] and line.split()[0] in PROGRAMS:
                    yield pytest.param(line, id=f'{path.relative_to(ROOT)}: {line[:60]}')


@pytest.mark.parametrize('line', list(documented()))
def test_command_and_options_exist(line):
    """The words are read as click would, short of loading what they name."""
    # The user's script is the same command.
    line = line.replace('verdi run submit_conductivity.py', 'aiida-ionconduct launch')
    words = shlex.split(re.split(r' > | \| | && ', line)[0], comments=True)
    command, rest = PROGRAMS[words[0]], words[1:]
    while isinstance(command, click.Group):
        context = click.Context(command, info_name=words[0])
        _, rest, _ = command.make_parser(context).parse_args(list(rest))
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, f'there is no command {name}'
    command.make_parser(click.Context(command)).parse_args(list(rest))


def test_control():
    """An option that does not exist is found."""
    with pytest.raises(click.NoSuchOption):
        test_command_and_options_exist('verdi archive create --processes PK -- campaign.aiida')
