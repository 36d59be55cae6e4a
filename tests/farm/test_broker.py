"""Tests of the broker whose workers end themselves; the faults are those of the integration tests."""

import os

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
