"""How fast the molecular dynamics of a campaign was, from the jobs in its graph."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage import get_manager
from ase.build import bulk
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.graph.speed import md_speeds
from aiida_ionconduct.report.page.campaign import render
from aiida_ionconduct.report.tables.costs import speed_rows

pytestmark = pytest.mark.usefixtures('aiida_profile')


@pytest.fixture
def campaign(aiida_localhost):
    """A campaign with three jobs of LAMMPS of two seeds each, of which one was killed, and a training."""
    root = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.conductivity')
    root.set_process_label('ConductivityWorkChain')
    root.store()
    stages = {
        'train_0': [('AllegroTrainCalculation', None)],
        'md': [('LammpsMdCalculation', s) for s in (40.0, 50.0, None)],
    }
    for label, jobs in stages.items():
        stage = orm.WorkChainNode()
        stage.base.links.add_incoming(root, LinkType.CALL_WORK, label)
        stage.store()
        for number, (process, speed) in enumerate(jobs):
            job = orm.CalcJobNode(computer=aiida_localhost)
            job.set_process_label(process)
            job.set_options({'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 2}})
            job.base.links.add_incoming(stage, LinkType.CALL_CALC, f'job{number}')
            parameters = orm.Dict({'timestep_fs': 2.0, 'seeds': [1, 2]}).store()
            job.base.links.add_incoming(parameters, LinkType.INPUT_CALC, 'parameters')
            structure = orm.StructureData(ase=bulk('Li') * (2, 2, 2)).store()
            job.base.links.add_incoming(structure, LinkType.INPUT_CALC, 'structure')
            job.store()
            for seed in (1, 2):
                described = orm.Dict({'steps_per_second': speed} if speed else {})
                described.base.links.add_incoming(job, LinkType.CREATE, f'output_parameters__seed{seed}')
                described.store()
    return root


def test_speed_of_a_stage(campaign):
    """The median of 40 and 50 steps a second is 22.5 ms a step; a killed job states no speed."""
    (speed,) = md_speeds(campaign)
    assert (speed.label, speed.n_jobs, speed.n_atoms, speed.cores) == ('md', 2, 16, 2)
    assert speed.step_ms == pytest.approx(22.5)
    assert speed.ps_per_day == pytest.approx(86400 * 0.002 * 45)


def test_speed_is_printed_and_on_the_page(campaign):
    assert speed_rows(md_speeds(campaign)) == [('md', '2', '16', '2', '22.5', '7780')]
    profile = get_manager().get_profile().name
    result = CliRunner().invoke(cli, ['cost', str(campaign.pk), '-p', profile])
    assert result.exit_code == 0, result.output
    assert 'ps per day' in result.output
    assert '<td class="value">7780</td>' in render(collect(campaign))


def test_campaign_without_md_has_no_speed():
    assert md_speeds(orm.WorkChainNode().store()) == []
