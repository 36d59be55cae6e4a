"""Words of the command line that hold more than one value, and what it prints."""

from __future__ import annotations

from typing import Any

import click

from aiida_ionconduct.labels import terminal_text

KINDS = {str: 'text', int: 'an integer', float: 'a number'}


def echo(text: str = '', *, nl: bool = True, err: bool = False) -> None:
    """Print a text that may hold labels and messages of other people; the terminal does not obey it."""
    click.echo(terminal_text(text), nl=nl, err=err)


class Pairs(click.ParamType):
    """``NAME=VALUE``."""

    name = 'name=value'

    def __init__(self, kind: type[str] | type[int] | type[float] = str) -> None:
        """Take values of a kind."""
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int | float]:
        """Split at the first equals sign."""
        name, separator, content = value.partition('=')
        if not (name and separator and content):
            self.fail(f'`{value}` is not of the form NAME=VALUE.', param, ctx)
        try:
            return name, self.kind(content)
        except ValueError:
            self.fail(f'`{content}` in `{value}` must be {KINDS[self.kind]}.', param, ctx)


class PairsOption(click.Option):
    """An option that takes several pairs: ``--charges Li=1 P=5``, ``--charges Li=1,P=5``, or the option repeated."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the option take all pairs that follow it, and split them at the commas."""
        super().add_to_parser(parser, ctx)
        for name in self.opts:
            option = parser._long_opt.get(name)
            if option is not None:
                self._process, option.process = option.process, self._take_all
                break

    def _take_all(self, value: Any, state: Any) -> None:
        """Process the value and the pairs behind it."""
        words = [value]
        while state.rargs and '=' in state.rargs[0] and not state.rargs[0].startswith('-'):
            words.append(state.rargs.pop(0))
        for word in words:
            for pair in str(word).split(','):
                self._process(pair, state)


class Symbols(click.ParamType):
    """Chemical symbols separated by commas."""

    name = 'symbols'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Split at the commas."""
        symbols = [word.strip() for word in value.split(',')] if isinstance(value, str) else value
        if not all(symbol.isalpha() for symbol in symbols):
            self.fail(f'`{value}` must be symbols separated by commas, such as Li,P,S.', param, ctx)
        return symbols
