"""Programs of this Python environment, and AiiDA's profile and codes that run them."""

import os
import pathlib
import shutil
import sys


def executable(name: str) -> str:
    """Return the path of a program, of this Python environment first.

    :raises RuntimeError: if the program is not on PATH.
    """
    path = shutil.which(name, path=f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    if path is None:
        raise RuntimeError(f'{name} is not on PATH.')
    return path


def load_new_profile(folder: pathlib.Path) -> None:
    """Load a new profile in a folder, with the storage that the package's own set-up makes."""
    os.environ['AIIDA_PATH'] = str(folder)
    from aiida import load_profile
    from aiida.manage.configuration import create_profile, get_config

    config = get_config(create=True)
    create_profile(config, name='bench', email='a@b', storage_backend='core.sqlite_dos', storage_config={})
    # Without a broker, parents look whether their children have ended: every minute, if nothing else is said.
    config.set_option('runner.poll.interval', 1)
    config.store()
    load_profile('bench')


def computer(folder: pathlib.Path, poll_interval_s: float):
    """Return a stored computer that is this machine and works in a folder."""
    from aiida import orm

    here = orm.Computer(
        label='localhost', hostname='localhost', transport_type='core.local', scheduler_type='core.direct',
        workdir=str(folder / 'work'),
    ).store()  # fmt: skip
    here.set_minimum_job_poll_interval(poll_interval_s)
    here.configure(safe_interval=0.0)
    return here


def code(computer, program: str, plugin: str):
    """Return a stored code that runs with a single thread."""
    from aiida import orm

    return orm.InstalledCode(
        label=pathlib.Path(program).name,
        computer=computer,
        filepath_executable=str(program),
        default_calc_job_plugin=plugin,
        prepend_text='export OMP_NUM_THREADS=1',
    ).store()
