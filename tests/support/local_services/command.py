"""The command line of ``scripts/services.py``."""

from __future__ import annotations

import argparse
import pathlib
import sys

from local_services.programs import ServiceError
from local_services.services import SERVICES, Services

DESCRIPTION = """\
PostgreSQL, RabbitMQ, sshd and Slurm with accounting, on loopback, in one folder: for tests, benchmarks and trying out.

    python scripts/services.py start FOLDER    # prints how to connect
    python scripts/services.py status FOLDER   # prints it again, and what runs
    python scripts/services.py stop FOLDER     # ends every process and removes the folder

`start` makes the folder, which must be missing or empty. `start` again, `status` and `stop` take only a folder that
`start` has made for you; anything else is refused and left as it is."""


def main() -> None:
    """Start or stop the services of a folder, or tell which of them run."""
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('action', choices=('start', 'stop', 'status'))
    parser.add_argument('folder', type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        if arguments.action == 'stop':
            Services.open(arguments.folder).remove()
        elif arguments.action == 'start':
            services = Services.make(arguments.folder)
            services.start()
            print(describe(services))
        else:
            print(describe(Services.open(arguments.folder)))
    except ServiceError as error:
        sys.exit(str(error))


def describe(services: Services) -> str:
    """Return which services run and how to connect to them."""
    processes = {name: services.process(name) for name in SERVICES}
    lines = [f'{name:12s} {f"process {run.pid}" if run else "not running"}' for name, run in processes.items()]
    return '\n'.join(
        [
            *lines,
            f'\n--postgres {services.postgres_uri}\n--rabbitmq {services.rabbitmq_uri}\n\n{services.ssh_config}',
            f'export SLURM_CONF={services.environment["SLURM_CONF"]}',
        ]
    )
