"""The list of causes for which a job dies, on lines as programs and schedulers print them."""

import pytest

from aiida_ionconduct.engines.causes import find_cause

LINES = {
    'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.': 'memory',
    'slurmstepd: error: Detected 1 oom_kill event in StepId=12.batch. Some of the step tasks have been OOM Killed.': (
        'memory'
    ),
    'slurmstepd: error: *** STEP 12.0 ON n1 CANCELLED: Out Of Memory ***': 'memory',
    'bash: line 1: 42 Illegal instruction     (core dumped) lmp -in lammps.in': 'installation',
    'lmp: error while loading shared libraries: libcudart.so.12: cannot open shared object file': 'installation',
    'RuntimeError: CUDA driver version is insufficient for CUDA runtime version': 'installation',
    'bash: line 1: 42 Segmentation fault      (core dumped) lmp -in lammps.in': 'crash',
    'bash: /opt/lmp: Permission denied': 'crash',
}


@pytest.mark.parametrize('line', LINES)
def test_kind(line):
    """The kind is known, and the line is quoted."""
    cause = find_cause(f'first line\n{line}\nlast line')
    assert cause.kind == LINES[line]
    assert line in cause.sentence


@pytest.mark.parametrize('text', ['', 'Killed', 'UserWarning: The NVIDIA driver on your system is too old'])
def test_no_cause(text):
    assert find_cause(text) is None


def test_memory_comes_first():
    assert find_cause('Segmentation fault\nCUDA out of memory').kind == 'memory'


def test_control_characters_are_not_quoted():
    assert '\x1b' not in find_cause('\x1b[31mSegmentation fault').line
