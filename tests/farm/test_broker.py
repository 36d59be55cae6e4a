"""Tests of the broker whose workers end themselves; the faults are those of the integration tests."""

import itertools
import os
import time

import click
import psycopg
import pytest
from aiida.plugins import BrokerFactory
from sqlalchemy.engine import ExceptionContext

from aiida_ionconduct.farm import broker


class EndedError(Exception):
    """The process would have ended."""


@pytest.fixture
def ending(monkeypatch):
    """Let a worker that ends raise an exception instead."""

    def end(status):
        raise EndedError(status)

    monkeypatch.setattr(os, '_exit', end)


def test_entry_point():
    """The broker is found by its name."""
    assert BrokerFactory('ionconduct.rabbitmq') is broker.CrashOnlyRabbitmqBroker


def test_only_workers_end():
    """A command line is not a worker, and `verdi daemon worker` is."""
    assert not broker.is_daemon_worker()
    verdi, daemon, worker = (click.Command(name) for name in ('verdi', 'daemon', 'worker'))
    context = click.Context(verdi, info_name='verdi')
    with click.Context(worker, info_name='worker', parent=click.Context(daemon, info_name='daemon', parent=context)):
        assert broker.is_daemon_worker()


@pytest.mark.parametrize(
    ('error', 'ends'),
    [
        (psycopg.OperationalError('the connection is closed'), True),
        (psycopg.errors.AdminShutdown('terminating connection'), True),
        (psycopg.errors.UniqueViolation('duplicate key'), False),
        (psycopg.ProgrammingError('syntax error'), False),
    ],
)
def test_database_errors(ending, capsys, error, ends):
    """What is wrong with the server ends the worker, what is wrong with a statement does not."""
    context = type('Context', (ExceptionContext,), {'original_exception': error})()
    if not ends:
        broker.on_database_error(context)
        return
    with pytest.raises(EndedError, match='75'):
        broker.on_database_error(context)
    assert str(error) in capsys.readouterr().err


def test_close(ending, aiida_profile):
    """A connection that the worker closes itself ends nothing; one that breaks does."""
    connection = broker.CrashOnlyRabbitmqBroker(aiida_profile)
    with pytest.raises(EndedError):
        connection._on_close(None, ConnectionResetError())
    connection.close()
    connection._on_close(None, None)


def test_wait(monkeypatch):
    """What fails for a while is tried again, what fails otherwise is not."""
    monkeypatch.setattr(broker, 'WAIT_S', 0)
    answers = iter([OSError, OSError, 'here'])

    def action():
        answer = next(answers)
        if answer is OSError:
            raise OSError('not yet')
        return answer

    assert broker.wait_for(action, OSError) == 'here'
    with pytest.raises(StopIteration):
        broker.wait_for(action, OSError)


# Workers that end in a loop ------------------------------------------------------------------------------------------


@pytest.fixture
def profile(aiida_profile):
    """The profile of the tests, in which no worker has ended."""
    broker.ends_file(aiida_profile).unlink(missing_ok=True)
    yield aiida_profile
    broker.ends_file(aiida_profile).unlink(missing_ok=True)


@pytest.mark.parametrize(
    'error', [psycopg.errors.DeadlockDetected, psycopg.errors.DiskFull, psycopg.errors.TooManyConnections]
)
def test_every_end_is_noted(ending, profile, error):
    """While the server accepts connections, nothing else would hold the next worker back."""
    context = type('Context', (ExceptionContext,), {'original_exception': error('x')})()
    for number in (1, 2, 3):
        with pytest.raises(EndedError):
            broker.on_database_error(context)
        assert len(broker.recent_ends(profile)) == number


def test_workers_wait_longer_with_every_outage():
    """The first end, as of an outage that all workers notice at once, holds nobody back; a loop comes to rest."""
    assert broker.pause_s([]) == broker.pause_s([10.0]) == broker.pause_s([10.0, 10.5, 11.0, 10.2]) == 0
    pauses = [broker.pause_s([60.0 * i for i in range(number)]) for number in range(2, 12)]
    assert pauses[0] >= 2
    assert all(later >= min(2 * earlier, broker.LONGEST_PAUSE_S) for earlier, later in itertools.pairwise(pauses))
    assert pauses[-1] == broker.LONGEST_PAUSE_S


def test_ends_are_forgotten(ending, profile, monkeypatch):
    with pytest.raises(EndedError):
        broker.end_worker('RabbitMQ was lost', profile)
    later = time.time() + broker.WINDOW_S + 1
    monkeypatch.setattr(time, 'time', lambda: later)
    assert broker.recent_ends(profile) == []


def test_damaged_notes_hold_nobody_back(profile):
    broker.ends_file(profile).write_bytes(b'\xff\x00 what')
    assert broker.recent_ends(profile) == []


def test_worker_waits_itself_if_the_disk_is_full(ending, profile, monkeypatch):
    """A worker that cannot leave a note waits before it ends."""
    waited = []

    def full(profile):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(broker, 'note_end', full)
    monkeypatch.setattr(time, 'sleep', waited.append)
    with pytest.raises(EndedError):
        broker.end_worker('PostgreSQL: could not extend file', profile)
    assert waited == [broker.LONGEST_PAUSE_S]


def test_a_new_worker_pauses(profile, monkeypatch):
    """The pause comes before the worker connects to anything."""
    steps = []
    monkeypatch.setattr(broker, 'is_daemon_worker', lambda: True)
    monkeypatch.setattr(broker, 'recent_ends', lambda profile: [0.0, 60.0, 120.0])
    monkeypatch.setattr(time, 'sleep', steps.append)

    def connect(profile):
        steps.append('connect')
        raise EndedError

    monkeypatch.setattr(broker, 'wait_for_database', connect)
    with pytest.raises(EndedError):
        broker.CrashOnlyRabbitmqBroker(profile)._create_communicator()
    assert steps[-1] == 'connect'
    assert 4 <= steps[0] <= 8
