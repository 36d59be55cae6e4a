"""A RabbitMQ broker whose daemon workers end themselves when the broker or the database is lost.

RabbitMQ gives the tasks of a worker whose connection broke to another worker, while the first one goes on: two workers
then run the same process. A process that meets a dead database connection is marked as excepted as soon as the database
is back. A worker that is killed does neither: its processes continue from their last checkpoint. So a worker that
loses either service ends as if it were killed, and the one that the daemon starts in its place waits for both.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click
from aiida.brokers.rabbitmq.broker import RabbitmqBroker
from aiida.manage import Profile
from kiwipy.rmq import RmqThreadCommunicator
from psycopg import OperationalError, connect
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

WAIT_S = 2
"""The time between two checks whether the services are back."""
EXIT_STATUS = 75
"""The exit status of a worker that ended itself: EX_TEMPFAIL."""

Value = TypeVar('Value')


class CrashOnlyRabbitmqBroker(RabbitmqBroker):
    """RabbitMQ for workers that end themselves. The command line and scripts see AiiDA's own broker."""

    _leaving = False

    def _create_communicator(self) -> RmqThreadCommunicator:
        """Connect; in a daemon worker wait for both services, and end the worker when one is lost."""
        if not is_daemon_worker():
            return super()._create_communicator()
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
            end_worker(f'RabbitMQ was lost: {exception!r}')

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


def end_worker(why: str) -> NoReturn:
    """End this process at once, before anything is written about the processes that run in it."""
    print(f'The worker {os.getpid()} ends, and another takes its place: {why}', file=sys.stderr, flush=True)
    os._exit(EXIT_STATUS)


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
