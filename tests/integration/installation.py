"""An installation as a user has it: a configuration and a daemon of its own, and the commands that are run in it."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys

import psutil

SCRIPTS = pathlib.Path(sys.executable).parent
QUESTIONS = pathlib.Path(__file__).with_name('profile_questions.py')
TIMEOUT_S = 1500  # on a busy machine; a command that hangs must not hang the tests


class Installation:
    """A folder with an AiiDA configuration, and the commands of this Python environment run in it."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.home = path / 'home'
        self.home.mkdir()
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(('AIIDA_', 'PYTEST_', 'OMP_'))
        }
        self.environment = clean | {
            'AIIDA_PATH': str(path),
            'AIIDA_IONCONDUCT_CACHE': os.environ.get('AIIDA_IONCONDUCT_CACHE', str(path / 'cache')),
            'HOME': str(self.home),
            'PATH': f'{SCRIPTS}{os.pathsep}{os.environ["PATH"]}',
        }

    def start(self, *command) -> subprocess.Popen:
        """Start a command in the folder."""
        pipes = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
        return subprocess.Popen(
            [shutil.which(command[0], path=self.environment['PATH']), *map(str, command[1:])],
            cwd=self.path,
            env=self.environment,
            # Ctrl-C is ignored by what a shell starts in the background, and so by its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **pipes,
        )

    def run(self, *command, status: int | None = 0) -> str:
        """Return what a command prints; its exit code must be `status`, if that is not None."""
        process = self.start(*command)
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            process.kill()
            raise
        assert status in (None, process.returncode), f'{command} ended with {process.returncode}:\n{output}'
        return output

    def ask(self, question: str, *arguments):
        """Return the answer of a function of profile_questions.py."""
        return json.loads(self.run('verdi', 'run', QUESTIONS, question, *arguments).splitlines()[-1])

    def count_nodes(self) -> int:
        """Return the number of nodes in the profile, read without AiiDA."""
        (database,) = (self.path / '.aiida' / 'repository').rglob('database.sqlite')
        with contextlib.closing(sqlite3.connect(database)) as connection:
            return connection.execute('SELECT count(*) FROM db_dbnode').fetchone()[0]

    def processes(self) -> list[psutil.Process]:
        """Return what runs in this installation: the environment, which children inherit, tells."""
        processes, folders = [], (str(self.path), str(self.path / '.aiida'))  # the daemon has the second
        for process in psutil.process_iter():
            try:
                if process.environ().get('AIIDA_PATH') in folders:
                    processes.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return processes

    def stop(self) -> None:
        """Stop the daemon, and whatever else is left when a test has failed."""
        self.run('verdi', 'daemon', 'stop', '--timeout', '60', status=None)
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = self.processes()
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(left, timeout=10)
