"""What the numbers are worth, by the rule."""

import pytest

from aiida_ionconduct.report.verdict import relative_half_width, verdict

PASSED = {'passed': True, 'checks': []}


@pytest.fixture
def precise(make_conductivity):
    """Return two temperatures with a 95 % half-width of 10 %."""
    return [make_conductivity(temperature, relative_error=0.05).attributes for temperature in (800, 1200)]


def test_converged(precise):
    judged = verdict(precise, validation=PASSED, protocol='balanced')
    assert judged.level == 'converged'
    assert [number[0] for number in judged.numbers] == ['800 K', '1200 K']


@pytest.mark.parametrize(
    ('change', 'validation', 'protocol', 'unmet'),
    [
        ({'sigma_full_ci95': [0.009, 0.016]}, PASSED, 'balanced', 0),
        ({'sigma_full_S_per_cm': None, 'sigma_full_ci95': None}, PASSED, 'balanced', 0),
        ({'diffusive': False}, PASSED, 'balanced', 1),
        (
            {},
            {'passed': False, 'checks': [{'name': 'nve_drift', 'label': 'NVE drift', 'passed': False}]},
            'balanced',
            2,
        ),
        ({}, None, 'balanced', 2),
        ({}, PASSED, None, 3),
    ],
)
def test_one_criterion_that_is_not_met_is_enough(precise, change, validation, protocol, unmet):
    judged = verdict([{**precise[0], **change}, precise[1]], validation=validation, protocol=protocol)
    assert judged.level == 'not converged'
    assert [index for index, criterion in enumerate(judged.criteria) if not criterion.passed] == [unmet]


def test_numbers_without_dft_are_of_a_screening(precise):
    """However precise they are, and whatever they have passed, they are not called converged."""
    labelled = [{**attributes, 'labelled_by': ['SevenNet 7net-0']} for attributes in precise]
    judged = verdict(labelled, validation=PASSED, protocol='screen')
    assert judged.level == 'screening'
    assert judged.sentence.startswith('No DFT was done')
    assert (judged.criteria[-1].label, judged.criteria[-1].passed) == ('Trained on DFT', False)
    assert 'SevenNet 7net-0' in judged.criteria[-1].detail


def test_failed_checks_are_named(precise):
    checks = [{'name': 'a', 'label': 'Force MAE', 'passed': False}, {'name': 'b', 'label': 'NVE drift', 'passed': True}]
    judged = verdict(precise, validation={'passed': False, 'checks': checks}, protocol='balanced')
    assert judged.criteria[2].detail == 'failed: Force MAE'


def test_quickstart_is_never_converged_and_says_why(precise):
    judged = verdict(precise, validation=PASSED, protocol='quickstart', training={'n_train': 96})
    assert judged.level == 'demonstration'
    assert 'machinery works' in judged.sentence
    assert 'not converged' in judged.sentence
    assert judged.criteria[0].detail == '800 K: 10 %, 1200 K: 10 %'
    assert dict(judged.evidence) == {
        'Training frames': '96',
        'MD per temperature (seeds × length)': '800 K: 4 × 20 ps, 1200 K: 4 × 20 ps',
    }


@pytest.mark.parametrize('state', ['running', 'failed'])
def test_a_campaign_that_did_not_finish(state):
    judged = verdict([], state=state, protocol='quickstart')
    assert judged.level == state
    assert not any(criterion.passed for criterion in judged.criteria)


def test_finished_without_a_number(precise):
    none = {
        **precise[0],
        'sigma_full_S_per_cm': None,
        'sigma_full_stderr': None,
        'sigma_full_ci95': None,
        'diffusive': False,
    }
    judged = verdict([none], validation=PASSED, protocol='balanced')
    assert judged.level == 'no number'
    assert judged.numbers == [('800 K', 'no number', '')]
    bounded = verdict([none | {'sigma_full_upper_S_per_cm': 0.0123}], validation=PASSED, protocol='balanced').numbers
    assert bounded == [('800 K', 'no number', 'below 0.012 S/cm at 97.5 %')]


def test_relative_half_width():
    assert relative_half_width({'sigma_full_S_per_cm': 2.0, 'sigma_full_ci95': [1.0, 4.0]}) == 0.75
    assert relative_half_width({'sigma_full_S_per_cm': None, 'sigma_full_ci95': None}) is None
