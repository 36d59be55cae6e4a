"""Words of the command line that hold more than one value."""

import click


class Pairs(click.ParamType):
    """``NAME=VALUE``."""

    name = 'name=value'

    def __init__(self, kind: type = str):
        """Take values of a kind."""
        self.kind = kind

    def convert(self, value, param, ctx):
        """Split at the first equals sign."""
        name, separator, content = value.partition('=')
        if not (name and separator and content):
            self.fail(f'`{value}` is not of the form NAME=VALUE.', param, ctx)
        try:
            return name, self.kind(content)
        except ValueError:
            self.fail(f'`{content}` in `{value}` must be of type {self.kind.__name__}.', param, ctx)


class Symbols(click.ParamType):
    """Chemical symbols separated by commas."""

    name = 'symbols'

    def convert(self, value, param, ctx):
        """Split at the commas."""
        symbols = [word.strip() for word in value.split(',')] if isinstance(value, str) else value
        if not all(symbol.isalpha() for symbol in symbols):
            self.fail(f'`{value}` must be symbols separated by commas, such as Li,P,S.', param, ctx)
        return symbols
