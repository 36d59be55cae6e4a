"""Labels are read as they are made, and texts that are not labels are refused."""

import json

import pytest

from aiida_ionconduct import labels


@pytest.mark.parametrize(
    ('temperature_K', 'label'),
    [
        (1200, 'T1200'),
        (1200.0, 'T1200'),
        (1200.5, 'T1200_5'),
        (298.15, 'T298_15'),
        (0.25, 'T0_25'),
        (123456, 'T123456'),
    ],
)
def test_a_temperature_is_read_from_its_label(temperature_K, label):
    assert labels.temperature_label(temperature_K) == label
    assert labels.read_temperature(label) == temperature_K
    assert label.isidentifier()  # as the names of inputs and outputs are


@pytest.mark.parametrize(
    ('temperature_K', 'seed', 'label'),
    [(1200, 1, 'T1200_seed1'), (1200.5, 12, 'T1200_5_seed12'), (298.15, 0, 'T298_15_seed0')],
)
def test_temperature_and_seed_are_read_from_the_label_of_a_run(temperature_K, seed, label):
    assert labels.run_label(temperature_K, seed) == label
    assert (labels.read_temperature(label), labels.read_seed(label)) == (temperature_K, seed)


def test_the_label_of_a_run_ends_with_the_label_of_its_seed():
    assert labels.run_label(900, 3).endswith(labels.seed_label(3))


@pytest.mark.parametrize(('seeds', 'label'), [([4], 'T1200_5_seed4'), ([4, 5, 6], 'T1200_5_seed4_and_2_more')])
def test_the_label_of_a_shared_run_names_its_first_seed(seeds, label):
    assert labels.shared_run_label(1200.5, seeds) == label


@pytest.mark.parametrize('text', ['', 'T', '1200', 'T1200_seed', 'T1200seed1', 'T-5', 'T1200.5', 'seed1', 'train_0'])
def test_a_text_that_is_no_label_has_no_temperature(text):
    with pytest.raises(ValueError, match='is not the label of a temperature or a run'):
        labels.read_temperature(text)


@pytest.mark.parametrize('text', ['', 'seed1', 'run_seed1', 'T1200_seedx', 'T1200_seed4_and_2_more'])
def test_a_text_that_is_no_label_has_no_seed(text):
    with pytest.raises(ValueError, match='is not the label of a temperature or a run'):
        labels.read_seed(text)


def test_the_label_of_a_temperature_has_no_seed():
    with pytest.raises(ValueError, match='without a seed'):
        labels.read_seed('T1200_5')


def test_runs_are_chosen_by_their_whole_temperature():
    """A temperature that begins with the digits of another one does not get its runs."""
    runs = {'T120_seed1': 'a', 'T1200_seed1': 'b', 'T1200_seed2': 'c', 'T1200_5_seed1': 'd', 'T1200': 'e'}
    assert labels.at_temperature('T1200', runs) == {'T1200_seed1': 'b', 'T1200_seed2': 'c', 'T1200': 'e'}
    assert labels.at_temperature('T1200_5', runs) == {'T1200_5_seed1': 'd'}
    assert labels.at_temperature('T300', runs) == {}


def test_runs_without_a_temperature_cannot_be_chosen():
    with pytest.raises(ValueError, match='`run_1` is not the label'):
        labels.at_temperature('T1200', {'run_1': None})


def test_what_is_in_a_namespace_keeps_its_own_label():
    values = {'conductivities__T800': 1, 'conductivities__T1200_5': 2, 'trajectories__T800_seed1': 3, 'model': 4}
    assert labels.in_namespace('conductivities', values) == {'T800': 1, 'T1200_5': 2}
    assert labels.in_namespace('trajectories', values) == {'T800_seed1': 3}
    assert labels.in_namespace('model', values) == {}


@pytest.mark.parametrize('name', labels.STAGES)
@pytest.mark.parametrize('number', [0, 1, 12])
def test_name_and_number_are_read_from_a_numbered_label(name, number):
    assert labels.read_numbered(labels.numbered(name, number)) == (name, number)


@pytest.mark.parametrize('name', [*labels.STAGES, 'CALL', ''])
def test_a_label_without_a_number_is_its_own_name(name):
    assert labels.read_numbered(name) == (name, None)


def test_labels_of_rounds_and_segments():
    assert labels.round_label(1) == 'round_01'
    assert labels.round_label(12, labels.temperature_label(1200.5)) == 'round_12_T1200_5'
    assert labels.segment_label(7) == 'segment_007'
    assert labels.read_numbered(labels.segment_label(7)) == ('segment', 7)


# Texts of other people --------------------------------------------------------------------------------------------

HOSTILE = 'a\x1b[2Jb\x9b31mc\x07\x7f\u202ed\u2028e\x00'


def test_printable_text_is_one_line_without_control_characters():
    assert labels.printable('a\x1b[1mb\n\tc') == 'a [1mb  c'
    assert labels.printable(HOSTILE).isprintable()
    assert labels.printable('σ of β-Li₃PO₄ = 1.5 × 10⁻³ S/cm') == 'σ of β-Li₃PO₄ = 1.5 × 10⁻³ S/cm'


def test_a_terminal_shows_control_characters_and_does_not_obey_them():
    """Lines and columns stay; a JSON document keeps its meaning."""
    assert labels.terminal_text('a\tb\n\x1b[2J') == 'a\tb\n\\u001b[2J'
    text = json.dumps({'label': HOSTILE}, ensure_ascii=False)
    shown = labels.terminal_text(text)
    assert shown.isprintable()
    assert json.loads(shown) == {'label': HOSTILE}


@pytest.mark.parametrize(
    'text', ['=cmd|x!A1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', ' =1', '＝1', '\x1b=1', '\ttext', '=1,"b"']
)
def test_a_spreadsheet_takes_no_cell_for_a_formula(text):
    cell = labels.csv_cell(text)
    assert cell.startswith("'")
    assert cell.isprintable()


@pytest.mark.parametrize('value', [-1.5, 7, True, None, 'Li7SiPO8', '', 'a = b', '600, 800'])
def test_other_cells_stay_as_they_are(value):
    assert labels.csv_cell(value) is value or labels.csv_cell(value) == value


def test_seeds_go_round_the_orderings():
    assert labels.seeds_of_orderings([1, 2, 3, 4, 5], 2) == {'ordering_01': [1, 3, 5], 'ordering_02': [2, 4]}
    assert labels.seeds_of_orderings([2], 2)['ordering_01'] == []


def test_a_seed_keeps_its_ordering_when_others_come_and_go():
    for seeds in ([1, 2, 3], [3], [7, 3, 4]):
        assert 3 in labels.seeds_of_orderings(seeds, 3)[labels.ordering_of_seed(3, 3)]
