"""What `make demo` runs once everything is installed."""

import os
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / 'scripts' / 'demo.sh'


def demo(folder, pages):
    """Run the script without a profile of its user; return exit status, output and errors."""
    environment = {name: value for name, value in os.environ.items() if name != 'AIIDA_PATH'}
    environment['PATH'] = f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    done = subprocess.run([SCRIPT, folder, pages], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr
