"""The formats of files: recognised, and each with its reader."""

import subprocess
from typing import get_args

import pytest

from aiida_ionconduct.readers import TrajectoryFormat, guess_format
from aiida_ionconduct.readers.reading import READERS


def test_every_format_has_a_reader():
    """The reader of each format that the command line offers is known."""
    assert set(get_args(TrajectoryFormat)) == READERS.keys()


@pytest.mark.parametrize(
    ('name', 'content', 'expected'),
    [
        ('run.dat', b'ITEM: TIMESTEP', 'lammps-text'),
        ('run.lammpstrj.gz', b'\x1f\x8b', 'lammps-text'),
        ('run.bin', b'\xf6\xff\xff\xffDUMPCUSTOM', 'lammps-binary'),
        ('run.npz', b'PK', 'npz'),
        ('run.xyz.gz', b'\x1f\x8b', 'extxyz'),
        ('run.dcd', b'CORD', 'mdanalysis'),
        ('XDATCAR_900K', b'Li3PO4', 'xdatcar'),
    ],
)
def test_format_by_content_or_name(tmp_path, name, content, expected):
    """The first bytes decide, then the name."""
    path = tmp_path / name
    path.write_bytes(content)
    assert guess_format(path) == expected


def test_unknown_format(tmp_path):
    path = tmp_path / 'run.foo'
    path.write_bytes(b'CORD')
    with pytest.raises(ValueError, match='no known trajectory: choose --file-format'):
        guess_format(path)


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_byte_order_mark(tmp_path, encoding):
    """Files that programs of Windows have saved are refused, and the command of the message mends them."""
    path = tmp_path / 'run.lammpstrj'
    path.write_text('ITEM: TIMESTEP\n0\n', encoding=encoding)
    with pytest.raises(ValueError, match='byte order mark') as refusal:
        guess_format(path)
    command = str(refusal.value).split('`')[3]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / 'NEW').read_text() == 'ITEM: TIMESTEP\n0\n'
