"""The daemon of a profile, also when it was killed."""

from aiida.engine.daemon.client import DaemonClient, get_daemon_client


def daemon_client(profile: str | None = None) -> DaemonClient:
    """Return the client of a profile's daemon, which says rightly whether the daemon runs.

    AiiDA takes a daemon as running that has left the file with its process id, as it does when the machine goes down.
    Then no command reaches it and none starts another, until that file is removed.

    :param profile: its name; the loaded one, if not given.
    """
    client = get_daemon_client(profile)
    client._clean_potentially_stale_pid_file()
    return client
