"""The predicted end of a campaign, on the recorded progress of a real campaign and in limits that are known."""

from __future__ import annotations

import json
import pathlib
from itertools import pairwise

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_ionconduct.cli.follow import stage_progress
from aiida_ionconduct.cli.forecast import Forecast, StageProgress, forecast, shared_times
from aiida_ionconduct.cli.plan import PlannedStage
from aiida_ionconduct.labels import planned_label
from aiida_ionconduct.report.graph.call_tree import CallTree

RECORD = json.loads((pathlib.Path(__file__).parent / 'fixtures' / 'recorded_campaign.json').read_text())
END_S = RECORD['end_s']
BAND = 2.0
"""Factor by which the predicted duration may differ from the true duration, from the first prediction on."""


def recorded_progress(time_s: float) -> list[StageProgress]:
    """Return what the program knew of the recorded campaign at a time."""
    plan = {row['label']: row for row in RECORD['plan']}
    spans, done, ended = {}, {}, {}
    for stage in RECORD['stages']:
        if stage['start_s'] > time_s:
            continue
        label = planned_label(stage['label'], plan)
        spans.setdefault(label, []).append((stage['start_s'], min(time_s, stage['end_s'])))
        ended[label] = sum(end_s <= time_s for end_s in stage['jobs_end_s'])
        running = min(ended[label] / stage['n_jobs'], 1.0) if stage['n_jobs'] else 0.0
        done[label] = 1.0 if stage['end_s'] <= time_s else running
    times = shared_times(spans)
    return [
        StageProgress(
            label=label,
            program=row['program'],
            hours=row['core_hours'],
            n_jobs=row['jobs'],
            done=done.get(label, 0.0),
            n_done=ended.get(label, 0),
            elapsed_s=times.get(label, 0.0),
            unknown_steps=label == 'relax',
        )
        for label, row in plan.items()
    ]


@pytest.fixture(scope='module')
def replayed() -> dict[int, Forecast]:
    """The predictions after the first fifth of the recorded campaign, every ten seconds, by time."""
    predictions = {time_s: forecast(recorded_progress(time_s)) for time_s in range(END_S // 5, END_S, 10)}
    return {time_s: predicted for time_s, predicted in predictions.items() if predicted}


def test_replayed_prediction_stays_in_the_band(replayed):
    totals = [time_s + predicted.middle_s for time_s, predicted in replayed.items()]
    assert len(totals) > 50
    assert min(totals) > END_S / BAND
    assert max(totals) < END_S * BAND


def test_replayed_interval_contains_the_end(replayed):
    inside = [predicted.low_s <= END_S - time_s <= predicted.high_s for time_s, predicted in replayed.items()]
    assert sum(inside) >= 0.8 * len(inside)


def test_replayed_prediction_does_not_jump(replayed):
    """From one look to the next the predicted duration changes by less than two fifths."""
    totals = [time_s + predicted.middle_s for time_s, predicted in replayed.items()]
    assert max(max(a / b, b / a) for a, b in pairwise(totals)) < 1.4


def test_replayed_interval_narrows(replayed):
    ratios = [(time_s + predicted.high_s) / (time_s + predicted.low_s) for time_s, predicted in replayed.items()]
    assert ratios[-1] < 1.1 < ratios[0]


def test_unknown_before_the_first_result():
    assert forecast(recorded_progress(END_S // 5)) is None
    assert forecast([]) is None


def stage(label, **changes):
    """Return a stage of pw.x of one planned hour, not begun."""
    values = {'program': 'pw.x', 'hours': 1.0, 'n_jobs': 10, 'done': 0.0, 'n_done': 0, 'elapsed_s': 0.0}
    return StageProgress(label=label, **values | changes)


def test_in_proportion_within_a_stage():
    """Half of many jobs of a stage took an hour: the other half takes about another hour."""
    predicted = forecast([stage('aimd', hours=10.0, n_jobs=1000, done=0.5, n_done=500, elapsed_s=3600.0)])
    assert predicted.middle_s == pytest.approx(3600, rel=0.1)
    assert predicted.high_s / predicted.low_s < 1.2


def test_a_slow_stage_turns_other_programs_over_less():
    """A relaxation that took ten times the plan says more of pw.x than of LAMMPS."""
    relax = stage('relax', done=1.0, n_done=1, elapsed_s=36000.0)
    same, other = (forecast([relax, stage('next', program=program)]) for program in ('pw.x', 'LAMMPS'))
    assert 3600 < other.middle_s < same.middle_s < 36000
    assert other.high_s / other.low_s > same.high_s / same.low_s


def test_overdue_stage_is_not_about_to_end():
    """A stage that runs longer than expected does not end in two seconds."""
    begun = [stage('aimd', done=1.0, n_done=10, elapsed_s=600.0), stage('md', elapsed_s=50_000.0)]
    assert forecast(begun).middle_s > 10_000


def test_what_came_from_the_cache_says_nothing_of_the_time():
    """A stage from the cache predicts nothing; where half of a stage did, the other half took all of the time."""
    cached = stage('relax', done=1.0, cached=1.0, elapsed_s=2.0)
    assert forecast([cached, stage('aimd')]) is None
    half = forecast([stage('label', n_done=50, n_jobs=200, done=0.5, cached=0.25, elapsed_s=900.0)])
    whole = forecast([stage('label', n_done=50, n_jobs=200, done=0.25, elapsed_s=900.0)])
    assert half.middle_s == pytest.approx(whole.middle_s * 0.5 / 0.75)


def test_what_convergence_saves_is_not_in_the_lower_end():
    """An upper limit counts in the upper end alone."""
    done = stage('aimd', done=1.0, n_done=10, elapsed_s=3600.0)
    fixed, limit = (forecast([done, stage('md', hours=10.0, optional=share)]) for share in (0.0, 1.0))
    assert limit.low_s == 0
    assert limit.high_s == fixed.high_s


def test_stages_at_the_same_time_share_the_time():
    assert shared_times({'aimd': [(0, 10)], 'label': [(5, 10)], 'train': [(12, 20), (20, 21)]}) == {
        'aimd': 7.5,
        'label': 2.5,
        'train': 9.0,
    }


def called(node, caller, label, *, ended):
    """Store a process that another process has called, and that has ended or not."""
    link = LinkType.CALL_CALC if isinstance(node, orm.CalcJobNode) else LinkType.CALL_WORK
    node.base.links.add_incoming(caller, link, label)
    node.store()
    node.set_process_state(ProcessState.FINISHED if ended else ProcessState.WAITING)
    if ended:
        node.set_exit_status(0)
    return node


def test_progress_of_a_stored_campaign(aiida_profile):
    """Shares come from the jobs that have ended; a stage that may call more jobs is done when it ends, not before."""
    campaign = orm.WorkChainNode().store()
    validation = called(orm.WorkChainNode(), campaign, 'validate_0', ended=True)
    called(orm.CalcJobNode(), validation, 'T900', ended=True)
    md = called(orm.WorkChainNode(), campaign, 'md', ended=False)
    for ended in (True, False):
        called(orm.CalcJobNode(), md, f'run_{ended}', ended=ended)
    training = called(orm.WorkChainNode(), campaign, 'train_0', ended=False)
    called(orm.CalcJobNode(), training, 'iteration_01', ended=True)
    plan = [
        PlannedStage('relax', 'relaxation', 'pw.x', 1, 10, 10, 1.0),
        PlannedStage('train_0', 'training', 'nequip', 1, 10, 10, 1.0),
        PlannedStage('validate', 'validation, at most', 'LAMMPS', 4, 10, 10, 2.0),
        PlannedStage('md', 'production', 'LAMMPS', 4, 10, 10, 3.0),
        PlannedStage('md', 'more, at most', 'LAMMPS', 4, 10, 10, 1.0),
    ]
    progress = {stage.label: stage for stage in stage_progress(campaign, CallTree(campaign), plan, 100.0)}
    shares = {label: stage.done for label, stage in progress.items()}
    assert shares == {'relax': 0.0, 'train_0': 0.0, 'validate': 1.0, 'md': 1 / 8}
    assert {label: stage.optional for label, stage in progress.items() if stage.optional} == {'validate': 1, 'md': 0.25}
    before = {stage.label: stage for stage in stage_progress(campaign, CallTree(campaign), plan[:3], 100.0)}
    assert before['validate'].done == 0.25, 'further rounds of validation may come'
    assert progress['md'].elapsed_s > 0


def test_progress_from_the_cache(aiida_profile):
    """Jobs from the cache are told from those that were computed."""
    campaign = orm.WorkChainNode().store()
    labels = called(orm.WorkChainNode(), campaign, 'label_sampled', ended=False)
    for number in range(4):
        job = called(orm.CalcJobNode(), labels, f'frames_{number}', ended=number < 3)
        if number < 2:
            job.base.extras.set(job.base.caching.CACHED_FROM_KEY, 'another job')
    plan = [PlannedStage('label_sampled', 'sampled frames', 'pw.x', 4, 10, 10, 1.0)]
    (stage_,) = stage_progress(campaign, CallTree(campaign), plan, 100.0)
    assert (stage_.done, stage_.n_done, stage_.cached) == (0.75, 1, 0.5)
