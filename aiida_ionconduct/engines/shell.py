"""Commands for a shell that may print a text of its own before and after what they print."""

from __future__ import annotations

BEGIN, END = '=ionconduct-begin=', '=ionconduct-end='


def framed(command: str) -> str:
    """Return a command that marks the beginning and the end of what it prints, and keeps its exit status."""
    return f'echo; echo {BEGIN}; ( {command} ); status=$?; echo; echo {END}; exit $status'


def unframed(output: str) -> tuple[str, str]:
    """Return what a framed command has printed, and what the shell has printed around it."""
    before, _, rest = output.partition(f'\n{BEGIN}\n')
    printed, _, after = rest.rpartition(f'\n{END}\n')
    return printed, (before + after).strip()
