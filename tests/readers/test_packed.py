"""Packed files: whole frames of what can be unpacked, and never more memory than there is."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

from aiida_ionconduct.readers import ReadingOptions, packed, read_runs
from salt import TYPES, dump, walk

PACK = {'.gz': gzip.compress, '.bz2': bz2.compress, '.xz': lzma.compress}
OPTIONS = ReadingOptions(types=TYPES, timestep_fs=1.0)
TEXT = dump(walk()).encode()


@pytest.mark.parametrize('suffix', PACK)
def test_packed(tmp_path, suffix):
    path = tmp_path / f'run.lammpstrj{suffix}'
    path.write_bytes(PACK[suffix](TEXT))
    [run] = read_runs([path], OPTIONS)
    np.testing.assert_allclose(run.positions, walk())


def test_cut(tmp_path):
    """The whole frames before the cut are read, with a note."""
    path = tmp_path / 'run.lammpstrj.gz'
    whole = gzip.compress(TEXT)
    path.write_bytes(whole[: len(whole) // 2])
    [run] = read_runs([path], OPTIONS)
    np.testing.assert_allclose(run.positions, walk()[: len(run.positions)])
    assert any('cut or damaged' in note for note in run.notes)


@pytest.mark.parametrize('content', [b'\x1f\x8b\x08jjunk', b'\x1f\x8b', b'no gzip'])
def test_damaged(tmp_path, content):
    path = tmp_path / 'run.lammpstrj.gz'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='is damaged and cannot be unpacked'):
        read_runs([path], OPTIONS)


def test_more_than_the_memory(tmp_path, monkeypatch):
    """A file that unpacks to more than half of the free memory is refused before it is all unpacked."""
    path = tmp_path / 'run.lammpstrj.gz'
    path.write_bytes(gzip.compress(b'ITEM: TIMESTEP\n' + bytes(50_000_000)))
    monkeypatch.setattr(packed, 'available_bytes', lambda: 40_000_000)
    with pytest.raises(ValueError, match='holds more than 20 MB, half of the memory that is free'):
        read_runs([path], OPTIONS)


def test_zstd_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'zstandard', None)
    path = tmp_path / 'run.lammpstrj.zst'
    path.write_bytes(b'(\xb5/\xfd')
    with pytest.raises(ValueError, match='install the package `zstandard`'):
        read_runs([path], OPTIONS)
