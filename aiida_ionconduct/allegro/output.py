"""What the output of nequip says about how a training ended."""

from __future__ import annotations

from typing import NamedTuple

from aiida_ionconduct.engines.causes import find_cause

STARTED = 'Starting fresh training'
TRAIN_END, TEST_END = 'TRAIN RUN END', 'TEST RUN END'  # of nequip-train
TIME_IS_UP = 'Time limit reached'  # of Lightning's timer
FAILED = 'Traceback'


class Output(NamedTuple):
    """How a training went, as far as its output tells."""

    killed: bool
    """The training began, but neither ended nor failed with an error of its own."""
    finished: bool
    """The training ended, by itself or because its time was up, and the test on held-out frames was done."""
    time_is_up: bool
    """The training stopped because its time was up."""
    out_of_memory: bool
    """The GPU or the machine had too little memory."""


def read_output(text: str) -> Output:
    """Return how a training went.

    :param text: all that the programs wrote to standard output and standard error.
    """
    cause = find_cause(text)
    return Output(
        killed=STARTED in text and TRAIN_END not in text and FAILED not in text,
        finished=TRAIN_END in text and TEST_END in text,
        time_is_up=TIME_IS_UP in text,
        out_of_memory=cause is not None and cause.kind == 'memory',
    )
