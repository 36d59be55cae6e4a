"""PostgreSQL, RabbitMQ, sshd, Slurm with accounting, on loopback, in one folder: for tests, benchmarks, trying out.

Nothing outside of the folder is touched: every service has its own data, keys, passwords and free ports there, runs in
the foreground of a process that is recorded by its id, and listens on 127.0.0.1 only. The programs come from
Debian (``scripts/system_packages.sh services`` installs them). Root runs PostgreSQL as ``postgres``, as it insists on.

The modules, from the bottom up: :mod:`~local_services.programs` finds and runs what is installed,
:mod:`~local_services.processes` ends what was started, :mod:`~local_services.folder` makes, adopts and removes the
folder with its settings, :mod:`~local_services.service` says what a service is,
:mod:`~local_services.postgresql`, :mod:`~local_services.rabbitmq`, :mod:`~local_services.sshd`,
:mod:`~local_services.accounting` and :mod:`~local_services.slurm` each describe theirs,
:mod:`~local_services.services` puts them together and runs them,
:mod:`~local_services.command` is the command line.
"""

from local_services.programs import ServiceError, missing
from local_services.services import SERVICES, Services

__all__ = ('SERVICES', 'ServiceError', 'Services', 'missing')
