"""One cycle of active learning on real engines: hot runs of a cold potential, their frames labelled, trained again."""

import json
import pathlib

import pytest

pytestmark = pytest.mark.integration

HERE = pathlib.Path(__file__).parent
FRAMES = HERE / 'data' / 'Li3PO4_16atoms_aimd_40frames.extxyz'


@pytest.fixture(scope='module')
def cycle(installation):
    """Run the cycle: two trainings of two members, with labels by pw.x between them."""
    text = installation.run('verdi', 'run', HERE / 'active_learning_run.py', FRAMES)
    return json.loads(text.splitlines()[-1])


def test_cycle(cycle):
    """The frames on which the committee disagreed are labelled, and with them the disagreement falls by half."""
    assert cycle['exit_status'] == 0, cycle['exit_message']
    before, after = cycle['reports']['round_1'], cycle['reports']['round_2']
    assert before['ended_by'] is None
    assert after['ended_by'] in ('budget', 'disagreement', 'no_new_environments')
    # the cold potential does not know the hot crystal: its runs explode, and its frames are uncertain and are labelled
    assert cycle['explorations'] == {'explore_1': 401, 'explore_2': 0}
    assert before['n_uncertain'] > before['n_candidates'] / 2
    assert 5 <= cycle['sources']['active_1'] <= before['n_chosen']
    assert before['n_unphysical'] > after['n_unphysical'] == 0
    # and with their labels the disagreement on fresh hot frames falls by half; the spread itself, not calibrated
    spreads = [report['median_disagreement_eV_per_A'] / report['calibration_factor'] for report in (before, after)]
    print(f'{cycle["sources"]["active_1"]} labels; disagreement: {spreads[0]:.2f}, then {spreads[1]:.2f} eV/Å')
    assert spreads[1] < 0.5 * spreads[0]


def test_jobs(cycle):
    """Weights are handed on from round to round, and only the member that runs is compiled."""
    count = cycle['jobs'].count
    assert count('AllegroTrainCalculation') == 4
    assert len(cycle['initial']) == 2
    assert count('AllegroCompileCalculation') == 2
    assert count('AllegroEvaluateCalculation') == 2
    assert count('LammpsMdCalculation') == 1  # both seeds in one run, in the second round
    assert count('PwFramesCalculation') >= 1
