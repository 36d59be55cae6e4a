"""The two servers of a production profile, PostgreSQL and RabbitMQ: their addresses, checked before they are used."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import aio_pika
import psycopg
from aiormq.exceptions import AMQPError
from packaging.version import parse
from typing_extensions import LiteralString

POSTGRES_MINIMUM = '12'
RABBITMQ_MINIMUM = '3.6'
RABBITMQ_WITH_TIMEOUT = '3.8.15'
"""Since this version RabbitMQ takes a task away from a worker after half an hour, unless it is told otherwise."""
HEARTBEAT_S = 60
"""After two heartbeats a worker and a broker notice that they cannot reach each other."""
TIMEOUT_S = 20


class ServerError(Exception):
    """A server that cannot be used; the message says what to do, and holds no password."""


def parse_uri(uri: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """Take the address of a server apart.

    :raises ServerError: if it is not of the right form; the address is not repeated, as it may hold a password.
    """
    try:
        parts = urlsplit(uri)
        well_formed = parts.scheme in schemes and parts.hostname and (parts.port or True)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ServerError(f'the address must be of the form {example}; special characters of a password as %XX.')
    return parts


def postgres_config(uri: str) -> dict[str, Any]:
    """Return the settings of AiiDA's storage for ``postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE``.

    :raises ServerError: if the address is not of that form.
    """
    example = 'postgresql://USER:PASSWORD@HOST:5432/DATABASE'
    parts = parse_uri(uri, ('postgresql', 'postgres'), example)
    name = unquote(parts.path.strip('/'))
    if not (name and parts.username):
        raise ServerError(f'the address of PostgreSQL must name user and database: {example}')
    return {
        'database_engine': 'postgresql_psycopg',
        'database_hostname': parts.hostname,
        'database_port': parts.port or 5432,
        'database_username': unquote(parts.username),
        'database_password': unquote(parts.password or ''),
        'database_name': name,
    }


def rabbitmq_config(uri: str) -> dict[str, Any]:
    """Return the settings of AiiDA's broker for ``amqp[s]://[USER:PASSWORD@]HOST[:PORT][/VHOST]``.

    :raises ServerError: if the address is not of that form.
    """
    parts = parse_uri(uri, ('amqp', 'amqps'), 'amqp://USER:PASSWORD@HOST:5672')
    return {
        'broker_protocol': parts.scheme,
        'broker_username': unquote(parts.username or 'guest'),
        'broker_password': unquote(parts.password or 'guest'),
        'broker_host': parts.hostname,
        'broker_port': parts.port or (5671 if parts.scheme == 'amqps' else 5672),
        'broker_virtual_host': unquote(parts.path.strip('/')),
        'broker_parameters': {'heartbeat': HEARTBEAT_S},
    }


def connect_postgres(config: dict[str, Any]) -> psycopg.Connection:
    """Connect to the database of a profile.

    :raises ServerError: if that fails.
    """
    where = '{database_hostname}:{database_port}'.format(**config)
    try:
        return psycopg.connect(
            host=config['database_hostname'], port=config['database_port'], user=config['database_username'],
            password=config['database_password'], dbname=config['database_name'], connect_timeout=TIMEOUT_S,
        )  # fmt: skip
    except psycopg.OperationalError as error:
        raise ServerError(
            f'no connection to PostgreSQL at {where}: {str(error).strip()}\n'
            'Is it running, does it listen there, and do user and database exist? As its administrator:\n'
            "    CREATE USER aiida PASSWORD '…';\n    CREATE DATABASE aiida OWNER aiida ENCODING 'UTF8' "
            "LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' TEMPLATE template0;"
        ) from None


def _value(connection: psycopg.Connection[Any], statement: LiteralString) -> Any:
    """Return the single value that a statement gives."""
    row = connection.execute(statement).fetchone()
    return row[0] if row else None


def check_postgres(config: dict[str, Any], new: bool = False) -> str:
    """Return the version of PostgreSQL.

    :param new: whether the database is for a new profile, and must therefore be empty.
    :raises ServerError: if it cannot be used.
    """
    with connect_postgres(config) as connection:
        version, encoding, n_tables = (
            _value(connection, statement)
            for statement in (
                'SHOW server_version',
                'SHOW server_encoding',
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
            )
        )
    version = version.split()[0]
    if parse(version) < parse(POSTGRES_MINIMUM):
        raise ServerError(f'PostgreSQL {version} is too old: {POSTGRES_MINIMUM} or newer is needed.')
    name = config['database_name']
    if encoding != 'UTF8':
        raise ServerError(f"the database {name} is in {encoding}: make another one with ENCODING 'UTF8'.")
    if new and n_tables:
        raise ServerError(
            f'the database {name} holds {n_tables} tables already, perhaps those of another profile: make an empty one.'
        )
    return version


def check_rabbitmq(config: dict[str, Any]) -> str:
    """Return the version of RabbitMQ.

    :raises ServerError: if it cannot be used.
    """

    async def version_of_server() -> str:
        connection = await aio_pika.connect(
            host=config['broker_host'], port=config['broker_port'], login=config['broker_username'],
            password=config['broker_password'], virtualhost=config['broker_virtual_host'] or '/',
            ssl=config['broker_protocol'] == 'amqps', timeout=TIMEOUT_S,
        )  # fmt: skip
        async with connection:
            if connection.transport is None:
                raise ConnectionError('the connection was closed')
            version = connection.transport.connection.server_properties['version']
            return version.decode() if isinstance(version, bytes) else str(version)

    where = '{broker_host}:{broker_port}'.format(**config)
    try:
        version = asyncio.run(version_of_server())
    except (OSError, AMQPError, asyncio.TimeoutError) as error:
        raise ServerError(
            f'no connection to RabbitMQ at {where}: {type(error).__name__}\nIs it running, does it listen there, and '
            'does the user exist? As its administrator:\n    rabbitmqctl add_user aiida PASSWORD\n'
            "    rabbitmqctl set_permissions aiida '.*' '.*' '.*'"
        ) from None
    if parse(version) < parse(RABBITMQ_MINIMUM):
        raise ServerError(f'RabbitMQ {version} is too old: {RABBITMQ_MINIMUM} or newer is needed.')
    return version


def timeout_advice(version: str) -> str:
    """Return what must stand in the settings of this RabbitMQ, which no client can see; nothing for an old one."""
    if parse(version) < parse(RABBITMQ_WITH_TIMEOUT):
        return ''
    return (
        'advanced.config of RabbitMQ must say [{rabbit, [{consumer_timeout, undefined}]}]. or it interrupts the '
        'workers every half hour'
    )
