"""RabbitMQ, and the port mapper of Erlang that it needs, with a user ``aiida``, who needs a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_services.folder import HOST
from local_services.programs import program
from local_services.service import Service, answers

if TYPE_CHECKING:
    from local_services.services import Services


def uri(services: Services) -> str:
    """Return where the broker is, with its password."""
    return f'amqp://aiida:{services.password}@{HOST}:{services.ports["rabbitmq"]}'


def prepare(services: Services) -> None:
    """Write the settings: one user, loopback, and no limit to how long a task may take, as AiiDA's take days."""
    folder = services.folder / 'rabbitmq'
    config = folder / 'rabbitmq.conf'
    config.touch(mode=0o600)
    config.write_text(
        f'listeners.tcp.local = {HOST}:{services.ports["rabbitmq"]}\n'
        f'default_user = aiida\ndefault_pass = {services.password}\n'
        'log.console = true\nlog.file = false\ndisk_free_limit.absolute = 50MB\n'
    )
    (folder / 'advanced.config').write_text('[{rabbit, [{consumer_timeout, undefined}]}].\n')
    (folder / 'enabled_plugins').write_text('[].\n')


def environment(services: Services) -> dict[str, str]:
    """Return the environment of the broker."""
    folder = services.folder / 'rabbitmq'
    return {
        'HOME': str(folder),  # of the cookie
        'ERL_EPMD_PORT': str(services.ports['epmd']),
        'ERL_EPMD_ADDRESS': HOST,
        'RABBITMQ_NODENAME': f'ionconduct{services.ports["rabbitmq"]}@localhost',
        'RABBITMQ_CONFIG_FILE': str(folder / 'rabbitmq'),
        'RABBITMQ_ADVANCED_CONFIG_FILE': str(folder / 'advanced.config'),
        'RABBITMQ_ENABLED_PLUGINS_FILE': str(folder / 'enabled_plugins'),
        'RABBITMQ_MNESIA_BASE': str(folder / 'data'),
        'RABBITMQ_LOG_BASE': str(folder / 'log'),
        'RABBITMQ_PID_FILE': str(folder / 'node.pid'),
        'RABBITMQ_CONF_ENV_FILE': str(folder / 'rabbitmq-env.conf'),  # instead of the file of the system
        'RABBITMQ_DIST_PORT': str(services.ports['distribution']),
        # It serves one client: one scheduler, which sleeps when there is nothing to do.
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '-kernel inet_dist_use_interface {127,0,0,1} '
        '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none',
    }


SERVICES = {
    'epmd': Service(
        command=lambda services: [program('epmd'), '-port', str(services.ports['epmd']), '-address', HOST],
        ready=lambda services: answers(services.ports['epmd']),
        ports=('epmd',),
    ),
    'rabbitmq': Service(
        command=lambda services: [program('/usr/lib/rabbitmq/bin/rabbitmq-server')],
        ready=lambda services: answers(services.ports['rabbitmq'], b'AMQP\x00\x00\x09\x01', b'RabbitMQ'),
        prepare=prepare,
        environment=environment,
        ports=('rabbitmq', 'distribution'),
    ),
}
