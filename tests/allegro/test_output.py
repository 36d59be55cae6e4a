"""What the output of nequip says about how a training ended."""

import pathlib

import pytest

from aiida_ionconduct.allegro.output import Output, read_output

PRINTED = (
    pathlib.Path(__file__).parents[1] / 'parsers' / 'fixtures' / 'allegro_train' / 'default' / 'training.out'
).read_text()
DONE = Output(killed=False, finished=True, time_is_up=False, out_of_memory=False)


def test_training_that_came_to_its_end():
    assert read_output(PRINTED) == DONE


def test_training_that_was_killed():
    before_end = PRINTED[: PRINTED.index('TRAIN RUN END')]
    assert read_output(before_end) == DONE._replace(killed=True, finished=False)


def test_training_that_failed_was_not_killed():
    failed = PRINTED[: PRINTED.index('TRAIN RUN END')] + 'Traceback (most recent call last):'
    assert read_output(failed) == DONE._replace(finished=False)


def test_training_whose_time_is_up():
    stopped = PRINTED + 'Time limit reached. Elapsed time is 0:00:07. Signaling Trainer to stop.'
    assert read_output(stopped) == DONE._replace(time_is_up=True)


def test_job_that_never_began_was_not_killed():
    assert read_output('') == DONE._replace(finished=False)


@pytest.mark.parametrize(
    'message',
    [
        'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.',
        "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_out_of_memory(message):
    assert read_output(message).out_of_memory
