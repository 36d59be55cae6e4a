"""A RabbitMQ broker whose daemon workers end themselves when the broker or the database is lost.

RabbitMQ gives the tasks of a worker whose connection broke to another worker, while the first one goes on: two workers
then run the same process. A process that meets a dead database connection is marked as excepted as soon as the database
is back. A worker that is killed does neither: its processes continue from their last checkpoint. So a worker that
loses either service ends as if it were killed, and the one that the daemon starts in its place waits for both.

A deadlock, a full disk or too many clients of PostgreSQL end a worker as well, while the server accepts connections.
The time of every end is noted beside the log of the daemon, and a new worker waits the longer, the more workers have
ended before it: workers that end in a loop would only add to what the server suffers from.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from aiida.brokers.rabbitmq.broker import RabbitmqBroker
from aiida.manage import Profile, get_manager
from aiida.manage.configuration import get_config
from kiwipy.rmq import RmqThreadCommunicator
from psycopg import OperationalError, connect
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

WAIT_S = 2
"""The time between two checks whether the services are back."""
EXIT_STATUS = 75
"""The exit status of a worker that ended itself: EX_TEMPFAIL."""
WINDOW_S = 1800
"""The time for which the end of a worker is remembered."""
OUTAGE_S = 2
"""Workers that end within this time of each other have lost the same service."""
LONGEST_PAUSE_S = 120
"""The longest time that a new worker waits because of the workers that have ended before it."""

Value = TypeVar('Value')


class CrashOnlyRabbitmqBroker(RabbitmqBroker):
    """RabbitMQ for workers that end themselves. The command line and scripts see AiiDA's own broker."""

    _leaving = False

    def _create_communicator(self) -> RmqThreadCommunicator:
        """Connect; in a daemon worker wait for both services, and end the worker when one is lost."""
        if not is_daemon_worker():
            return super()._create_communicator()
        pause(pause_s(recent_ends(self._profile)))
        wait_for_database(self._profile)
        communicator = wait_for(super()._create_communicator, OSError)
        communicator.add_close_callback(self._on_close)
        # After its `consumer_timeout` RabbitMQ closes not the connection but the channel that the tasks come through.
        queue = communicator._loop_scheduler.await_(communicator._communicator.get_default_task_queue())
        queue._subscriber.channel().close_callbacks.add(self._on_close)
        event.listen(Engine, 'handle_error', on_database_error)
        return communicator

    def _on_close(self, _: Any, exception: BaseException | None) -> None:
        """End the worker, unless it closes the connection itself."""
        if not self._leaving:
            end_worker(f'RabbitMQ was lost: {exception!r}', self._profile)

    def close(self) -> None:
        """Close the broker."""
        self._leaving = True
        super().close()


def is_daemon_worker() -> bool:
    """Whether this is ``verdi daemon worker``."""
    context = click.get_current_context(silent=True)
    return context is not None and context.command_path.endswith('daemon worker')


def on_database_error(context: ExceptionContext) -> None:
    """End the worker at an error of PostgreSQL's operation, as opposed to an error of the statement."""
    if isinstance(context.original_exception, OperationalError):
        end_worker(f'PostgreSQL: {context.original_exception}')


def end_worker(why: str, profile: Profile | None = None) -> NoReturn:
    """End this process at once, before anything is written about the processes that run in it.

    :param profile: of the worker; None for the loaded profile.
    """
    print(f'The worker {os.getpid()} ends, and another takes its place: {why}', file=sys.stderr, flush=True)
    try:
        note_end(profile or get_manager().get_profile())
    except OSError as error:  # the disk is full: the worker waits in place of the next worker, which would not know
        print(f'This could not be noted: {error}', file=sys.stderr, flush=True)
        time.sleep(LONGEST_PAUSE_S)
    os._exit(EXIT_STATUS)


def ends_file(profile: Profile) -> Path:
    """Return the file with the times at which workers of a profile have ended themselves."""
    return Path(get_config().filepaths(profile)['daemon']['log']).with_suffix('.ends')


def note_end(profile: Profile | None) -> None:
    """Note that a worker ends now.

    :raises OSError: if the file cannot be written.
    """
    if profile is None:
        return
    times = [*recent_ends(profile), time.time()]
    ends_file(profile).parent.mkdir(parents=True, exist_ok=True)
    ends_file(profile).write_text(''.join(f'{moment:.1f}\n' for moment in times))


def recent_ends(profile: Profile) -> list[float]:
    """Return the times, within the last :data:`WINDOW_S`, at which workers of a profile have ended themselves."""
    try:
        words = ends_file(profile).read_text().split()
    except (OSError, UnicodeDecodeError):
        return []
    now = time.time()
    times = [float(word) for word in words if word.replace('.', '', 1).isdigit()]
    return [moment for moment in times if abs(now - moment) < WINDOW_S]


def pause_s(ends: Sequence[float]) -> float:
    """Return how long a worker waits before it begins: twice as long with every outage before it.

    :param ends: times at which workers have ended, in s.
    """
    ordered = sorted(ends)
    n_outages = sum(later - earlier > OUTAGE_S for earlier, later in itertools.pairwise(ordered)) + bool(ordered)
    return min(WAIT_S * 2 ** (n_outages - 1), LONGEST_PAUSE_S) if n_outages > 1 else 0


def pause(seconds: float) -> None:
    """Wait, each worker for another time, so that they do not all come back at once."""
    if seconds:
        seconds *= random.uniform(0.5, 1)
        print(f'Waiting {seconds:.0f} s, as workers end repeatedly.', file=sys.stderr, flush=True)
        time.sleep(seconds)


def wait_for(action: Callable[[], Value], error_type: type[Exception]) -> Value:
    """Repeat an action until it raises no error of a type, and return what it returns."""
    while True:
        try:
            return action()
        except error_type as error:
            print(f'Waiting: {error!r}', file=sys.stderr, flush=True)
            time.sleep(WAIT_S)


def wait_for_database(profile: Profile) -> None:
    """Wait until PostgreSQL accepts connections; other storages are files."""
    if profile.storage_backend == 'core.psql_dos':
        names = {'host': 'hostname', 'port': 'port', 'user': 'username', 'password': 'password', 'dbname': 'name'}
        config = {key: profile.storage_config[f'database_{name}'] for key, name in names.items()}
        wait_for(lambda: connect(**config, connect_timeout=10).close(), OperationalError)
