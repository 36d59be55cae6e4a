"""The loop to a requested error: what it decides and why, and what comes out on processes of known truth."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from aiida_ionconduct.studies.error_target import (
    CONVERGED,
    EXHAUSTED,
    LONGER,
    MORE_SEEDS,
    NOT_DIFFUSIVE,
    NOTHING,
    Known,
    PrecisionTarget,
    decide,
    plan,
    variance_interval,
)

TARGET = PrecisionTarget(
    target_relative_error=0.1, max_md_ns=100.0, max_iterations=10, equilibration_ps=10.0, quantum_ps=0.1
)


def with_budget(max_md_ns):
    """Return the target with another budget."""
    return TARGET.model_copy(update={'max_md_ns': max_md_ns})


def known(error=0.2, n_seeds=4, length_ps=100.0, **changes):
    """Return what an analysis has given, diffusive and on a plateau unless changed."""
    value = None if error is None else 1.0
    runs = Known(n_seeds, length_ps, value, error, 20.0, 1.4, plateau=True)
    return runs._replace(**changes)


def test_an_error_below_the_target_needs_no_more_md():
    decision = decide({'T600': known(0.099)}, TARGET)
    assert decision['ending'] == CONVERGED
    assert decision['temperatures']['T600']['action'] == NOTHING
    assert decision['next_md_ns'] == 0
    assert decision['md_ns'] == pytest.approx(4 * 0.11)


def test_more_seeds_once_diffusive():
    """Half the error takes four times the MD: 12 more seeds, or three times the length more."""
    planned = plan(known(0.2, n_seeds=4), TARGET, last_round=True)
    assert planned['action'] == MORE_SEEDS
    assert planned['more_seeds'] == 12
    assert planned['longer_ps'] == pytest.approx(300.0)
    assert planned['predicted_md_ns'] == pytest.approx(4 * 0.44)
    assert planned['n_seeds'] == 17  # a little more, so that it ends below the target
    assert planned['length_ps'] == 100.0


def test_before_the_last_round_less_is_run_than_predicted():
    """MD that has been run cannot be taken back, should the error have been overestimated."""
    cautious, bold = plan(known(0.2), TARGET), plan(known(0.2), TARGET, last_round=True)
    assert 4 < cautious['n_seeds'] < bold['n_seeds']
    assert plan(known(2.0), TARGET)['n_seeds'] == 16  # no round multiplies the MD by more than four


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'plateau': False}, 'on no plateau yet in 100 ps'),
        ({'value': None, 'stderr': None}, 'no conductivity is resolved in 100 ps, only that it is below 1.4'),
        ({'value': None, 'stderr': None, 'upper': None}, 'no conductivity is resolved in 100 ps, nor an upper bound'),
    ],
)
def test_longer_until_diffusive(changes, reason):
    """Runs that are too short are made longer, even if the error is below the target."""
    planned = plan(known(0.05, **changes), TARGET)
    assert (planned['action'], planned['length_ps'], planned['n_seeds']) == (LONGER, pytest.approx(200.0), 4)
    assert reason in planned['reasons'][0]


def test_a_run_is_made_longer_where_a_whole_seed_would_be_too_much():
    """Where a tenth of the MD is missing, a second seed would double it."""
    planned = plan(known(0.105, n_seeds=1), TARGET)
    assert planned['action'] == LONGER
    assert planned['length_ps'] == pytest.approx(100 * 1.05**2 * 1.03, abs=0.2)


def test_budget_is_never_exceeded():
    """Plans for random states of the runs stay within the budget, and nothing planned shrinks."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        runs = {
            f'T{T}': known(
                rng.uniform(0.02, 1) if rng.random() < 0.8 else None,
                n_seeds=int(rng.integers(1, 20)),
                length_ps=float(rng.uniform(10, 300)),
                plateau=bool(rng.random() < 0.7),
            )
            for T in range(int(rng.integers(1, 5)))
        }
        spent = sum(known_runs.cost_ns(10.0) for known_runs in runs.values())
        target = with_budget(spent * rng.uniform(1.0, 3.0))
        decision = decide(runs, target)
        plans = decision['temperatures']
        planned_ns = sum(planned['n_seeds'] * (planned['length_ps'] + 10.0) / 1000 for planned in plans.values())
        assert planned_ns <= target.max_md_ns * (1 + 1e-9)
        assert decision['md_ns'] + decision['next_md_ns'] == pytest.approx(planned_ns)
        for label, planned in plans.items():
            assert planned['n_seeds'] >= runs[label].n_seeds
            assert planned['length_ps'] >= runs[label].length_ps
            assert (planned['action'] == NOTHING) == (planned['ending'] is not None)
        assert (decision['ending'] is None) == (decision['next_md_ns'] > 0)


def test_budget_exhausted():
    """The last reason gives the error reached, and what the target would have cost."""
    decision = decide({'T600': known(0.2)}, with_budget(0.45))
    assert decision['ending'] == EXHAUSTED
    planned = decision['temperatures']['T600']
    assert planned['predicted_md_ns'] == pytest.approx(0.44 * 4)
    low, high = planned['predicted_md_ns_ci68']
    assert low < 1.76 < high
    assert planned['reasons'][-1].startswith('relative error 20.0%; 1.76 ns (')


def test_not_diffusive_within_the_budget():
    """Where no conductivity was resolved, the answer is an upper bound."""
    decision = decide({'T300': known(None, upper=1.3e-5)}, with_budget(0.44))
    assert decision['ending'] == NOT_DIFFUSIVE
    planned = decision['temperatures']['T300']
    assert planned['upper_bound'] == 1.3e-5
    assert planned['reasons'][-1] == 'below 1.3e-05'
    assert planned['predicted_md_ns'] is None


def test_the_last_round_ends_the_loop():
    earlier = [decide({'T600': known(0.2)}, TARGET)] * 9
    decision = decide({'T600': known(0.2)}, TARGET, earlier=earlier)
    assert decision['ending'] == EXHAUSTED
    assert 'max_iterations' in decision['temperatures']['T600']['reasons'][-2]


def test_temperatures_share_the_budget():
    """The temperature that can be finished is; the rest of the budget goes to the other."""
    runs = {'T400': known(1.0), 'T800': known(0.12)}
    decision = decide(runs, with_budget(0.88 + 0.3))
    hot, cold = (decision['temperatures'][label] for label in ('T800', 'T400'))
    assert hot['n_seeds'] >= 5
    assert decision['next_md_ns'] == pytest.approx(0.3, abs=0.12)
    assert cold['ending'] is None or hot['ending'] is None


def test_mixed_endings():
    """The ending of all is not `converged` as long as one temperature is not."""
    runs = {'T800': known(0.05), 'T300': known(None)}
    decision = decide(runs, with_budget(0.88))
    assert [decision['temperatures'][label]['ending'] for label in ('T800', 'T300')] == [CONVERGED, NOT_DIFFUSIVE]
    assert decision['ending'] == NOT_DIFFUSIVE


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'target_relative_error': 0.0}, '`target_relative_error` is 0.0, but must be greater than 0'),
        ({'target_relative_error': 10.0}, '`target_relative_error` is 10.0, but must be less than 1'),
        ({'max_md_ns': -1.0}, '`max_md_ns` is -1.0, but must be greater than 0'),
        ({'max_md_ns': float('inf')}, '`max_md_ns` is inf, but must be a finite number'),
        ({'max_iterations': 0}, '`max_iterations` is 0, but must be greater than or equal to 1'),
    ],
)
def test_targets_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PrecisionTarget.check({**TARGET.model_dump(), **changes})


def test_variance_interval():
    """The interval holds the true variance as often as it says, for variances of normal numbers."""
    samples = np.random.default_rng(0).normal(size=(20000, 9)).var(axis=1, ddof=1)
    low, high = variance_interval(8)
    assert np.mean((samples * low < 1) & (samples * high > 1)) == pytest.approx(0.6827, abs=0.01)


def test_runs_that_differ_need_more_seeds():
    """Where most of the error is scatter between runs, no length reaches the target."""
    target = PrecisionTarget(target_relative_error=0.1, max_md_ns=100.0, max_iterations=9)
    alike = Known(4, 100.0, 1.0, 0.2, 20.0, 1.4, plateau=True)
    planned = {share: plan(alike._replace(excess_share=share), target) for share in (0.0, 0.1, 0.8)}
    assert planned[0.0]['longer_ps'] == pytest.approx(300.0)
    assert planned[0.1]['longer_ps'] == pytest.approx(500.0)
    assert planned[0.8]['longer_ps'] is None
    assert planned[0.8]['action'] == MORE_SEEDS
    assert any('only more seeds' in reason for reason in planned[0.8]['reasons'])


# On processes of known truth ----------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def campaigns():
    """Campaigns on twelve ions whose hops are partly shared, to 15 %: estimates, decisions; truth in cm²/s."""
    path = str(Path(__file__).parents[2] / 'benchmarks')
    sys.path.insert(0, path)
    try:
        from lib.campaign_loop import SeedSource, campaign
        from lib.processes import HAVEN, hopping
    finally:
        sys.path.remove(path)
    target = PrecisionTarget(target_relative_error=0.15, max_md_ns=20.0, max_iterations=12, quantum_ps=0.1)
    done = [campaign(SeedSource(hopping, 0.1, seed, 160.0), target, 4, 40.0) for seed in range(16)]
    return done, 1e-4 / HAVEN


def test_target_is_reached_and_truth_covered(campaigns):
    """All reach the target; of sixteen 95 % intervals three that miss would be one in a hundred."""
    done, truth = campaigns
    for estimate, last, _ in done:
        assert last['ending'] == CONVERGED
        assert estimate.stderr <= 0.15 * estimate.value
    covered = [low <= truth <= high for low, high in (estimate.interval(0.95) for estimate, *_ in done)]
    assert sum(covered) >= 14


def test_prediction(campaigns):
    """The median of the costs predicted halfway is within a factor of 1.5 of what the campaigns take."""
    done, _ = campaigns
    ratios = []
    for _, last, decisions in done:
        early = [decision for decision in decisions if decision['md_ns'] <= 0.67 * last['md_ns']]
        ratios += [early[-1]['temperatures']['T']['predicted_md_ns'] / last['md_ns']] if early else []
    assert len(ratios) >= 6
    assert 1 / 1.5 < np.median(ratios) < 1.5


def test_nothing_is_repeated(campaigns):
    """Seeds and lengths only grow, and the cost counts each picosecond once."""
    for _, last, decisions in campaigns[0]:
        for before, after in itertools.pairwise(decisions):
            planned = before['temperatures']['T']
            assert after['md_ns'] == pytest.approx(before['md_ns'] + before['next_md_ns'])
            assert after['md_ns'] == pytest.approx(planned['n_seeds'] * planned['length_ps'] / 1000)
        assert last['md_ns'] <= 20.0
