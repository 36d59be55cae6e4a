"""What a release needs: the sdist and the wheel are built, and the wheel works where nothing else of ours is."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import numpy as np
import pytest
import yaml

import aiida_ionconduct

REPOSITORY = pathlib.Path(__file__).parents[2]
COMPILER = sysconfig.get_config_var('CC').split()[0]

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """The sdist and the wheel, of a copy of what git knows."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f'needs the C compiler {COMPILER}')
    source, out = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('dist')
    tracked = subprocess.run(['git', 'ls-files'], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, source / name)
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', out, source)
    return next(out.glob('*.tar.gz')), next(out.glob('*.whl'))


def run(*command, **options):
    """Run a command, which must end well and sees no package on PYTHONPATH, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    words = [*map(str, command)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_what_they_hold(built):
    """The wheel has the compiled kernels and every file that is read at run time; the sdist the tests and the docs."""
    sdist, wheel = built
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = REPOSITORY / 'aiida_ionconduct'
    kinds = ('*.py', '*.pyi', 'py.typed', '*.yaml', '*.cif', '*.j2', '*.css', '*.js', '*.cpp', '*.h')
    expected = {str(path.relative_to(REPOSITORY)) for kind in kinds for path in package.rglob(kind)}
    assert sorted(expected - inside) == []
    kernels = {name.partition('.')[0] for name in inside if name.endswith(sysconfig.get_config_var('EXT_SUFFIX'))}
    assert kernels == {
        f'aiida_ionconduct/{name}' for name in ('readers/_text', 'structures/_search', 'transport/_kernels')
    }
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {'README.md', 'CITATION.cff', 'CHANGELOG.md', 'docs/index.md', 'docs/reference/cli.rst', 'setup.py'} <= names
    assert {'aiida_ionconduct/readers/_text.pyx', 'aiida_ionconduct/py.typed', 'tests/conftest.py'} <= names
    assert {'scripts/services.py', 'tests/support/local_services/services.py'} <= names


def test_wheel_in_a_clean_environment(built, tmp_path):
    """Installed beside its dependencies alone: the command starts, and the kernels give a number."""
    run(sys.executable, '-m', 'venv', tmp_path / 'venv')
    python = tmp_path / 'venv' / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '--no-deps', '--no-index', built[1])
    site = pathlib.Path(run(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))').strip())
    # A path, without the .pth files in it: the editable installation of the tests stays out.
    (site / 'dependencies.pth').write_text(sysconfig.get_path('purelib'))
    where = run(python, '-c', 'import aiida_ionconduct.readers._text as t; print(t.__file__)', cwd=tmp_path)
    assert where.startswith(str(site))
    command = tmp_path / 'venv' / 'bin' / 'aiida-ionconduct'
    assert aiida_ionconduct.__version__ in run(command, '--version', cwd=tmp_path)
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(scale=0.3, size=(300, 4, 3)), axis=0)
    positions = np.concatenate((walk, np.zeros((300, 4, 3)) + rng.uniform(0, 9, (4, 3))), axis=1)
    symbols, cell = ['Li'] * 4 + ['Cl'] * 4, 12 * np.eye(3)
    np.savez(tmp_path / 'run.npz', positions=positions, symbols=symbols, cell=cell, dt_ps=0.1, temperature_K=900)
    assert 'σ, full (S/cm)' in run(command, 'analyse', 'run.npz', cwd=tmp_path)


def test_metadata():
    """One version everywhere, and what the registry of AiiDA plugins asks for."""
    citation = yaml.safe_load((REPOSITORY / 'CITATION.cff').read_text())
    assert citation['version'] == aiida_ionconduct.__version__
    assert citation['cff-version']
    assert citation['title'] == 'aiida-ionconduct'
    setup = (REPOSITORY / 'setup.cfg').read_text()
    assert 'Framework :: AiiDA' in setup
    assert 'Development Status ::' in setup
