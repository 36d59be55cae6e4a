"""Commands on a computer whose login shell may print a text of its own before and after them."""

from __future__ import annotations

from aiida.transports import Transport

from aiida_ionconduct.engines.shell import framed, unframed

LOCK_FILE = '.ionconduct_lock'
LOCK_S = 10
"""How long a lock that nobody holds may take."""


def run(transport: Transport, command: str, workdir: str | None = None) -> tuple[int, str, str]:
    """Return the exit status of a command, what it has printed, and what the shell has printed around it."""
    status, output, _ = transport.exec_command_wait(framed(command), workdir=workdir)
    return status, *unframed(output)


def user_name(transport: Transport) -> str:
    """Return the name of the user on a computer.

    :raises OSError: if the computer does not tell it.
    """
    status, printed, _ = run(transport, 'whoami')
    if status or len(printed.split()) != 1:
        raise OSError(f'`whoami` has ended with {status} and printed {printed!r}')
    return printed.strip()


def free_bytes(transport: Transport, folder: str) -> float | None:
    """Return the space that the user has left in a folder; None if the computer does not tell it.

    The columns of ``df`` cannot be told apart, as the name of a share may hold spaces.
    """
    status, printed, _ = run(transport, 'stat -f -c "%a %S" .', folder)
    words = printed.split()
    if status or len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    return float(words[0]) * float(words[1])


def locks_work(transport: Transport, folder: str) -> bool:
    """Return whether a file in a folder can be locked, which some network file systems refuse."""
    command = f'timeout {2 * LOCK_S} flock -w {LOCK_S} {LOCK_FILE} true; status=$?; rm -f {LOCK_FILE}; exit $status'
    return run(transport, command, folder)[0] == 0
