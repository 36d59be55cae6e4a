"""What a service is, and how one tells that it answers."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from local_services.folder import HOST

if TYPE_CHECKING:
    from local_services.services import Services


class Service(NamedTuple):
    """How a service is run.

    ``command`` stays in the foreground; ``ready`` tells whether the service answers; ``prepare`` writes its settings
    before every start; ``ports`` are the names of the ports that a new folder draws for it.
    """

    command: Callable[[Services], list[str]]
    ready: Callable[[Services], bool]
    prepare: Callable[[Services], None] = lambda services: None
    environment: Callable[[Services], dict[str, str]] = lambda services: {}
    ports: tuple[str, ...] = ()
    user: str = ''  # as whom root runs it
    end: signal.Signals = signal.SIGTERM


def answers(port: int, greeting: bytes = b'', expected: bytes = b'') -> bool:
    """Return whether something on a port answers a greeting as expected."""
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.settimeout(5)
            connection.sendall(greeting)
            return not expected or expected in connection.recv(512)
    except OSError:
        return False
