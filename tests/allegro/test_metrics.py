"""The learning curves of a training, from the files of real trainings."""

import math
import pathlib

import pytest

from aiida_ionconduct.allegro.configuration import MONITORED
from aiida_ionconduct.allegro.metrics import CURVES, has_diverged, read_rows, summarise

FIXTURES = pathlib.Path(__file__).parents[1] / 'parsers' / 'fixtures' / 'allegro_train'


def rows_in(text, path):
    """Return the epochs that a file with this text holds."""
    path.write_text(text)
    return read_rows(path)


@pytest.mark.parametrize('case', ['default', 'diverged'])
def test_cut_anywhere(case, tmp_path):
    """Wherever a file ends, because the job was killed or is still writing: what is read, the whole file says too."""
    text, cut = (FIXTURES / case / 'metrics.csv').read_text(), tmp_path / 'metrics.csv'
    whole = {epoch: {name: repr(value) for name, value in row.items()} for epoch, row in rows_in(text, cut).items()}
    for end in range(len(text)):
        for epoch, row in rows_in(text[:end], cut).items():
            assert {name: repr(value) for name, value in row.items()}.items() <= whole[epoch].items(), end


def test_best_epoch_has_the_lowest_finite_loss():
    rows = {0: {MONITORED: 3.0}, 1: {MONITORED: 1.0}, 2: {MONITORED: math.nan}}
    assert summarise(rows)['best_epoch'] == 1
    assert summarise({0: {MONITORED: math.nan}})['best_epoch'] is None


def test_a_loss_that_is_not_finite_is_a_divergence():
    column = CURVES['train_loss']
    rows = {0: {MONITORED: 3.0, column: 1.0}, 1: {MONITORED: 2.0, column: math.inf}}
    assert has_diverged(rows)
    assert summarise(rows)['curves']['train_loss'] == [1.0, None]


def test_a_loss_that_was_not_written_is_no_divergence():
    assert not has_diverged({0: {MONITORED: 3.0}})
