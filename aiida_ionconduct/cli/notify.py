"""A command of the user that is told what happens to a campaign, such as a mail program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from aiida_ionconduct.cli.words import echo

TIMEOUT_S = 60


def notifier(command: str) -> Callable[[str, str], None]:
    """Return a function that runs a command of the shell with a text as its input and a subject as ``$SUBJECT``.

    A command that fails is reported, and the campaign is followed further.
    """

    def notify(subject: str, text: str) -> None:
        environment = {**os.environ, 'SUBJECT': subject}
        try:
            done = subprocess.run(
                command, shell=True, input=f'{subject}\n\n{text}\n', text=True, env=environment, timeout=TIMEOUT_S,
                check=False, capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            echo(f'The command of --notify has not run: {error}')
            return
        if done.returncode:
            echo(f'The command of --notify has ended with {done.returncode}: {done.stderr.strip()}')

    return notify
