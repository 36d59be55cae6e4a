"""Words of the command line that hold more than one value, and what it prints."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aiida_ionconduct.labels import terminal_text

PAIR = re.compile(r'[A-Za-z][^=/]*=[^=]+')
NUMBERS = re.compile(r'[A-Za-z][\w:()]*=[^=,]+(,[A-Za-z][\w:()]*=[^=,]+)*')
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


class OxidationStates(Pairs):
    """``SYMBOL=CHARGE``, whole or not."""

    name = 'symbol=charge'

    def __init__(self) -> None:
        """Take numbers."""
        super().__init__(float)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int | float]:
        """Return whole charges as integers."""
        symbol, charge = super().convert(value, param, ctx)
        if not math.isfinite(float(charge)):
            self.fail(f'`{value}` is no charge.', param, ctx)
        return symbol, int(charge) if float(charge).is_integer() else charge


class Charges(OxidationStates):
    """``SYMBOL=CHARGE``, whole or not, or the word ``column``."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int | float]:
        """Return whole charges as integers, and the word with nothing."""
        return (value, '') if value == 'column' else super().convert(value, param, ctx)


class PairsOption(click.Option):
    """An option of pairs, given several times, with several words, or with commas between numbers.

    ``--charges Li=1 --charges P=5``, ``--charges Li=1 P=5`` and ``--charges Li=1,P=5`` are the same. A word after the
    first belongs to the option if it is a pair and no file.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the option take the words that follow it."""
        super().add_to_parser(parser, ctx)
        for name in self.opts:
            option = parser._long_opt.get(name) or parser._short_opt[name]
            option.process = self._taking_all(option.process)

    def _taking_all(self, process: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
        """Return a function that processes a word as the parser does, and the pairs that follow it."""
        numbers = isinstance(self.type, Pairs) and self.type.kind is not str

        def is_pair(word: str) -> bool:
            return bool(PAIR.fullmatch(word) or (numbers and NUMBERS.fullmatch(word))) and not Path(word).exists()

        def words(value: str) -> list[str]:
            return value.split(',') if numbers and NUMBERS.fullmatch(value) else [value]

        def process_all(value: str, state: Any) -> None:
            taken = words(value)
            while state.rargs and is_pair(state.rargs[0]):
                taken += words(state.rargs.pop(0))
            for word in taken:
                process(word, state)

        return process_all


class Symbols(click.ParamType):
    """Chemical symbols separated by commas."""

    name = 'symbols'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Split at the commas."""
        symbols = [word.strip() for word in value.split(',')] if isinstance(value, str) else value
        if not all(symbol.isalpha() for symbol in symbols):
            self.fail(f'`{value}` must be symbols separated by commas, such as Li,P,S.', param, ctx)
        return symbols
