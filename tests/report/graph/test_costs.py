"""Tests of what the stages of a campaign have cost, as rows, as a line, on the page and as a command."""

import json

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage import get_manager
from aiida.schedulers import JobInfo
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.cli.follow import status
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.graph.costs import PLANNED, stage_costs
from aiida_ionconduct.report.page.campaign import render
from aiida_ionconduct.report.tables.costs import FROM_WALL_TIMES, cost_line, cost_rows

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture
def campaign(aiida_localhost):
    """A campaign that has trained once for half an hour on two cores and runs MD on a GPU; a stage has no job yet."""
    root = orm.WorkChainNode()
    root.set_process_label('ConductivityWorkChain')
    root.store()
    for label, n_jobs, seconds, gpus in (('train_0', 1, 1800, 0), ('validate_0', 2, 360, 1), ('validate_1', 1, 360, 1)):
        stage = orm.WorkChainNode()
        stage.base.links.add_incoming(root, LinkType.CALL_WORK, label)
        stage.store()
        for number in range(n_jobs):
            job = orm.CalcJobNode(computer=aiida_localhost)
            job.set_options({'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 2}, 'gpus': gpus})
            info = JobInfo()
            info.wallclock_time_seconds = seconds
            job.set_last_job_info(info)
            job.base.links.add_incoming(stage, LinkType.CALL_CALC, f'job{number}')
            job.store()
    root.base.extras.set(PLANNED, {'train_0': 0.5, 'validate': 0.6, 'md': 2.0})
    return root


def test_stages(campaign):
    """Rounds are one stage, as they were planned; a stage that has not begun has its plan."""
    rows = {cost.label: cost for cost in stage_costs(campaign)}
    assert list(rows) == ['train_0', 'validate', 'md']
    assert (rows['train_0'].core_hours, rows['train_0'].gpu_hours) == (1.0, 0.0)
    assert rows['validate'].n_jobs == 3
    assert rows['validate'].core_hours == pytest.approx(0.6)
    assert rows['validate'].gpu_hours == pytest.approx(0.3)
    assert (rows['md'].n_jobs, rows['md'].core_hours, rows['md'].planned_core_hours) == (0, 0.0, 2.0)


def test_table(campaign):
    """The plan is held against what was taken; the sum comes last."""
    rows = cost_rows(stage_costs(campaign))
    assert rows[0] == ('train_0', '1', '1', '–', '0.5', '2')
    assert rows[-1] == ('all', '4', '1.6', '0.3', '3.1', '0.52')
    assert cost_line(stage_costs(campaign)) == '1.6 core hours of about 3.1 planned, 0.3 GPU hours'


def test_without_plan(campaign):
    """A campaign that was submitted by other means has no plan to compare with."""
    campaign.base.extras.delete(PLANNED)
    assert [cost.label for cost in stage_costs(campaign)] == ['train_0', 'validate_0', 'validate_1']
    assert cost_rows(stage_costs(campaign))[-1][-2:] == ('–', '–')


def test_no_jobs(stored_campaign):
    """What has had no jobs has no costs."""
    assert cost_rows(stage_costs(stored_campaign)) == []


def test_status(campaign):
    assert f'1.6 core hours of about 3.1 planned, 0.3 GPU hours: aiida-ionconduct cost {campaign.pk}' in status(
        campaign
    )


def test_page(campaign):
    data = collect(campaign)
    html = render(data)
    assert 'Cost, and the estimate at the submission' in html
    assert FROM_WALL_TIMES in html


def test_command(campaign):
    profile = ('-p', get_manager().get_profile().name)
    text = CliRunner().invoke(cli, ['cost', str(campaign.pk), *profile]).output
    assert 'taken / planned' in text
    assert FROM_WALL_TIMES in text
    shown = json.loads(CliRunner().invoke(cli, ['cost', str(campaign.pk), '--format', 'json', *profile]).output)
    assert shown['stages'][0]['core_hours'] == 1.0
