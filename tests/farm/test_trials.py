"""Tests of the trial jobs; the codes themselves run in the integration tests."""

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.engines.programs import ENGINES
from aiida_ionconduct.farm import trials


@pytest.mark.parametrize(('printed', 'works'), [('JOB DONE.', True), ('Error in routine', False)])
def test_only_the_job_of_a_code_that_works_is_deleted(aiida_profile_clean, aiida_localhost, printed, works):
    """The job of a code that does not work stays for a look, and the last line that it printed is shown."""
    code = orm.InstalledCode(
        label='pw',
        computer=aiida_localhost,
        filepath_executable='/bin/true',
        default_calc_job_plugin='quantumespresso.pw',
    ).store()
    node = orm.CalcJobNode(computer=aiida_localhost).store()
    retrieved = orm.FolderData()
    retrieved.base.repository.put_object_from_bytes(printed.encode(), 'doctor.out')
    retrieved.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
    retrieved.store()
    pk = node.pk
    result = trials.judge(code, node)
    assert result.works == works
    assert (orm.QueryBuilder().append(orm.CalcJobNode, filters={'id': pk}).count() == 0) == works
    assert (printed in result.finding) == (not works)


@pytest.mark.parametrize('label', ENGINES)
def test_trial_jobs_are_valid(pseudo_family, aiida_localhost, monkeypatch, label):
    """The inputs of every trial job pass the checks of the calculation."""
    monkeypatch.setattr(trials, 'submit', lambda builder: builder)
    code = orm.InstalledCode(
        label=label,
        computer=aiida_localhost,
        filepath_executable='/bin/true',
        default_calc_job_plugin=ENGINES[label].plugin,
        with_mpi=ENGINES[label].with_mpi,
    ).store()
    builder = trials.submit_trial(code)
    inputs = builder._inputs(prune=True)
    assert builder.process_class.spec().inputs.validate(inputs) is None
    assert builder.metadata.options.withmpi == ENGINES[label].with_mpi
    assert ('files' in inputs) == bool(ENGINES[label].trial.element)
