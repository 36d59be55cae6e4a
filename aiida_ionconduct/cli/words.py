"""Words of the command line that hold more than one value."""

from __future__ import annotations

from typing import Any

import click

KINDS = {str: 'text', int: 'an integer', float: 'a number'}


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


class Symbols(click.ParamType):
    """Chemical symbols separated by commas."""

    name = 'symbols'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Split at the commas."""
        symbols = [word.strip() for word in value.split(',')] if isinstance(value, str) else value
        if not all(symbol.isalpha() for symbol in symbols):
            self.fail(f'`{value}` must be symbols separated by commas, such as Li,P,S.', param, ctx)
        return symbols
