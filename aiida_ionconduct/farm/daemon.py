"""The daemon of a profile, also when it was killed, or stopped at a bad moment."""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import cast

from aiida import orm
from aiida.brokers import Broker
from aiida.engine.daemon.client import DaemonClient, DaemonException, get_daemon_client
from aiida.engine.processes.control import get_process_tasks, revive_processes
from aiida.manage import get_manager

PATIENCE_S = 60
"""For a daemon that starts, restarts or answers: two busy cores take that long."""
BROKER_PATIENCE_S, WAIT_S = 120.0, 1.0


def daemon_client(profile: str | None = None) -> DaemonClient:
    """Return the client of a profile's daemon, which knows whether the daemon really runs.

    AiiDA takes a daemon for running as long as the file with its process id exists, as it does after the machine went
    down. Then no command reaches the daemon and none starts another, until that file is removed.

    :param profile: name of the profile; None for the loaded profile.
    """
    client = get_daemon_client(profile)
    client._clean_potentially_stale_pid_file()
    return client


def start_daemon(client: DaemonClient, n_workers: int) -> None:
    """Start the daemon of the loaded profile, which must not run, and give it the children that were lost.

    :raises aiida.engine.daemon.client.DaemonException: if it does not start.
    """
    lost = lost_children()
    client.start_daemon(number_workers=n_workers, timeout=PATIENCE_S)
    wait_for_broker()
    if lost:
        revive_processes(lost)


def wait_for_broker(patience_s: float = BROKER_PATIENCE_S) -> None:
    """Wait until the broker that the daemon has started can be reached; AiiDA itself gives up after 10 s.

    :raises aiida.engine.daemon.client.DaemonException: if that takes too long.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            get_manager().get_communicator()
        except (
            ConnectionError,
            FutureTimeoutError,
        ) as error:  # of files that are missing; of a thread that starts slowly
            if time.monotonic() > end:
                raise DaemonException(f'the broker cannot be reached after {patience_s:.0f} s: {error!r}') from error
            time.sleep(WAIT_S)
        else:
            return


def lost_children() -> list[orm.ProcessNode]:
    """Return the processes that a worker made while the broker went down, so that no worker will ever run them.

    They have not begun, another process waits for them, and the broker has no task for them.
    """
    query = orm.QueryBuilder().append(orm.WorkflowNode, tag='caller')
    query.append(
        orm.ProcessNode, with_incoming='caller', filters={'attributes.process_state': 'created'}, project='*'
    ).distinct()
    broker = cast('Broker', get_manager().get_broker())  # a profile that has a daemon has a broker
    known = set(get_process_tasks(broker))
    return [node for node in query.all(flat=True) if node.pk not in known]
