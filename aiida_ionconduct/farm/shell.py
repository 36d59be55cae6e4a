"""Commands on a computer whose login shell may print a text of its own before and after them."""

from __future__ import annotations

from aiida.transports import Transport

BEGIN, END = '=ionconduct-begin=', '=ionconduct-end='


def run(transport: Transport, command: str, workdir: str | None = None) -> tuple[int, str, str]:
    """Return the exit status of a command, what it has printed, and what the shell has printed around it."""
    framed = f'echo; echo {BEGIN}; ( {command} ); status=$?; echo; echo {END}; exit $status'
    status, output, _ = transport.exec_command_wait(framed, workdir=workdir)
    before, _, rest = output.partition(f'\n{BEGIN}\n')
    printed, _, after = rest.rpartition(f'\n{END}\n')
    return status, printed, (before + after).strip()


def user_name(transport: Transport) -> str:
    """Return the name of the user on a computer.

    :raises OSError: if the computer does not tell it.
    """
    status, printed, _ = run(transport, 'whoami')
    if status or len(printed.split()) != 1:
        raise OSError(f'`whoami` has ended with {status} and printed {printed!r}')
    return printed.strip()
