"""Tests of the addresses of the servers; the integration tests connect to servers."""

import socket

import pytest

from aiida_ionconduct.farm import servers

SECRET = 'pa$$w0rd'
QUOTED = 'pa%24%24w0rd'


@pytest.fixture
def closed_port():
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def test_postgres():
    """An address becomes the settings of the storage; the port has a default, the password is unquoted."""
    assert servers.postgres_config(f'postgresql://me:{QUOTED}@db.site.org/aiida') == {
        'database_engine': 'postgresql_psycopg',
        'database_hostname': 'db.site.org',
        'database_port': 5432,
        'database_username': 'me',
        'database_password': SECRET,
        'database_name': 'aiida',
    }


def test_rabbitmq():
    """An address becomes the settings of the broker; a virtual host is optional."""
    config = servers.rabbitmq_config(f'amqps://me:{QUOTED}@mq.site.org/aiida')
    assert (config['broker_protocol'], config['broker_port']) == ('amqps', 5671)
    assert (config['broker_password'], config['broker_virtual_host']) == (SECRET, 'aiida')
    assert servers.rabbitmq_config('amqp://localhost:99')['broker_username'] == 'guest'


@pytest.mark.parametrize(
    ('parse', 'uri'),
    [
        (servers.postgres_config, f'mysql://me:{SECRET}@host/aiida'),
        (servers.postgres_config, f'postgresql://me:{SECRET}@host'),
        (servers.postgres_config, f'postgresql://me:{SECRET}@host:port/aiida'),
        (servers.postgres_config, 'postgresql://host/aiida'),
        (servers.rabbitmq_config, f'http://me:{SECRET}@host'),
        (servers.rabbitmq_config, f'amqp://me:{SECRET}@'),
    ],
)
def test_wrong_address(parse, uri):
    """A wrong address is answered with a right one, and not repeated."""
    with pytest.raises(servers.ServerError, match=r'USER:PASSWORD@HOST') as error:
        parse(uri)
    assert SECRET not in str(error.value)


def test_nothing_listens(closed_port):
    """A server that does not answer is named with its address and what to do, without the password."""
    postgres = servers.postgres_config(f'postgresql://me:{QUOTED}@127.0.0.1:{closed_port}/aiida')
    with pytest.raises(servers.ServerError, match=rf'127.0.0.1:{closed_port}(.|\n)*CREATE DATABASE') as error:
        servers.check_postgres(postgres)
    assert SECRET not in str(error.value)
    rabbitmq = servers.rabbitmq_config(f'amqp://me:{QUOTED}@127.0.0.1:{closed_port}')
    with pytest.raises(servers.ServerError, match=rf'127.0.0.1:{closed_port}(.|\n)*rabbitmqctl') as error:
        servers.check_rabbitmq(rabbitmq)
    assert SECRET not in str(error.value)


def test_advice():
    """Only a RabbitMQ that takes tasks away is to be told otherwise."""
    assert servers.timeout_advice('3.8.14') == ''
    assert 'consumer_timeout' in servers.timeout_advice('3.10.8')
