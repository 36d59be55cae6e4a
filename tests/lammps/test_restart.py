"""Restart files: their step, and whether they are whole, on files that LAMMPS wrote."""

import pathlib
import shutil

import pytest

from aiida_ionconduct.lammps.restart import restart_files, restart_step
from aiida_ionconduct.lammps.script import Start

FIXTURES = pathlib.Path(__file__).parents[1] / 'parsers' / 'fixtures' / 'lammps_md'


@pytest.mark.parametrize(
    ('file', 'step'),
    [
        ('default/production.restart', 100),
        ('replicas/production.restart', 100),
        ('killed/production.restart.1', 50),
        ('killed/production.restart.2', 100),
    ],
)
def test_step(file, step):
    assert restart_step((FIXTURES / file).read_bytes()) == step


def test_not_a_restart_file():
    content = (FIXTURES / 'default' / 'production.restart').read_bytes()
    with pytest.raises(ValueError, match='cut short'):
        restart_step(content[:-1])
    with pytest.raises(ValueError, match='not a restart file'):
        restart_step(b'ITEM: TIMESTEP')
    with pytest.raises(ValueError, match='not a restart file'):
        restart_step(b'')


def test_files(tmp_path):
    """The latest whole file comes first; production is later than any equilibration."""
    for name in ('production.restart.1', 'production.restart.2'):
        shutil.copy(FIXTURES / 'killed' / name, tmp_path)
    shutil.copy(FIXTURES / 'equilibrating' / 'equilibration.restart', tmp_path)
    files = restart_files(tmp_path)
    assert [at for at, _ in files[:2]] == [Start('production', 100), Start('production', 50)]
    assert files[2][0].stage == 'equilibration'
    latest = tmp_path / 'production.restart.2'
    latest.write_bytes(latest.read_bytes()[:1000])  # killed while it was written
    assert restart_files(tmp_path)[0] == (Start('production', 50), tmp_path / 'production.restart.1')
    assert restart_files(tmp_path / 'nothing') == []
