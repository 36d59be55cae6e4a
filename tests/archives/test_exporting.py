"""Archives: what they hold, what they do not hold, and the same bits in another profile."""

import json
import os
import pathlib
import zipfile

import numpy as np
import pytest
from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.archives import PAGE, README, export, import_results, read_readme
from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.queries import trajectories_of

pytestmark = pytest.mark.slow
SECRETS = (b'/secret/folder', b'secret-machine', b'secret.example.org')


@pytest.fixture(scope='module')
def archives(stored_campaign, tmp_path_factory):
    """Return the three kinds of archive of the campaign."""
    folder = tmp_path_factory.mktemp('archives')
    return {
        'analysis': export(stored_campaign, folder / 'analysis.aiida'),
        'results': export(stored_campaign, folder / 'results.aiida', trajectories=False),
        'campaign': export(stored_campaign, folder / 'campaign.aiida', provenance=True),
    }


def archive_bytes(path):
    """Return all bytes of all files in an archive."""
    with zipfile.ZipFile(path) as archive:
        return b'\n'.join(archive.read(name) for name in archive.namelist())


def test_each_kind_holds_the_nodes_that_it_promises(archives):
    counts = {name: exported.counts for name, exported in archives.items()}
    assert counts['analysis']['IonTrajectoryData'] == counts['campaign']['IonTrajectoryData'] == 6
    assert counts['analysis']['CalcFunctionNode'] == 3
    assert 'IonTrajectoryData' not in counts['results']
    assert all(count['ConductivityData'] == 2 and count['AllegroModelData'] == 1 for count in counts.values())
    assert 'CalcJobNode' not in counts['analysis']
    assert counts['campaign']['CalcJobNode'] == 2


def test_stated_sizes_are_the_sizes_of_the_files(archives):
    for exported in archives.values():
        assert exported.n_bytes == exported.path.stat().st_size
    assert archives['results'].trajectory_bytes == 0
    assert archives['analysis'].n_bytes > archives['analysis'].trajectory_bytes > 1e5
    assert archives['results'].n_bytes < archives['analysis'].n_bytes - archives['analysis'].trajectory_bytes / 2


@pytest.mark.parametrize('name', ['analysis', 'results'])
def test_without_jobs_there_is_no_name_of_a_machine(archives, name):
    """The archive with the jobs holds these names: the control of the test."""
    content, control = archive_bytes(archives[name].path), archive_bytes(archives['campaign'].path)
    places = (
        os.environ['AIIDA_PATH'].encode(),
        str(pathlib.Path.home()).encode() + b'/',
        str(pathlib.Path.cwd()).encode(),
    )
    assert [secret for secret in (*SECRETS, *places) if secret in content] == []
    assert all(secret in control for secret in SECRETS)


def test_the_readme_has_results_and_commands(archives, stored_campaign):
    conductivities = stored_campaign.outputs.conductivities
    for exported in archives.values():
        text = read_readme(exported.path)
        assert 'σ at 900 K: ' in text
        assert 'criterion' in text
        assert f'aiida-ionconduct show {conductivities["T600"].uuid}' in text
        assert str(conductivities['T900'].uuid) in text


def test_the_readme_says_whether_the_analysis_can_be_repeated(archives):
    text = {name: read_readme(exported.path) for name, exported in archives.items()}
    assert 'aiida-ionconduct analyse' in text['analysis']
    assert 'aiida-ionconduct analyse' not in text['results']
    assert 'nothing can be analysed again' in text['results']


def test_the_page_is_in_the_archive(archives):
    with zipfile.ZipFile(archives['results'].path) as archive:
        assert archive.read(PAGE).lower().startswith(b'<!doctype html>')
        assert archive.testzip() is None


def test_an_analysis_in_another_profile_gives_the_same_bits(archives, elsewhere, stored_campaign):
    results = dict(stored_campaign.outputs.conductivities)
    printed = elsewhere('aiida-ionconduct', 'import', archives['analysis'].path)
    assert all(f'{T} K  σ = ' in printed for T in (600, 900))
    uuid = str(results['T900'].uuid)
    assert 'σ at 900 K: ' in elsewhere('aiida-ionconduct', 'show', uuid)
    (again,) = json.loads(elsewhere('aiida-ionconduct', 'analyse', uuid, '--format', 'json'))
    assert again.pop('uuid') != uuid
    again.pop('pk')
    stored = {
        name: value for name, value in results['T900'].base.attributes.all.items() if not name.startswith('array|')
    }
    assert again == stored


def test_results_without_trajectories_are_shown_and_cannot_be_analysed(archives, elsewhere, stored_campaign):
    elsewhere('aiida-ionconduct', 'import', archives['results'].path)
    uuid = str(stored_campaign.outputs.conductivities['T900'].uuid)
    assert 'its trajectories are not stored' in elsewhere('aiida-ionconduct', 'show', uuid)
    with pytest.raises(AssertionError, match='has no trajectories to analyse'):
        elsewhere('aiida-ionconduct', 'analyse', uuid)


def test_an_import_into_the_same_profile_adds_no_node(archives, stored_campaign):
    n_nodes = orm.QueryBuilder().append(orm.Node).count()
    imported = import_results(archives['campaign'].path)
    assert [node.uuid for node in imported] == [
        node.uuid for _, node in sorted(stored_campaign.outputs.conductivities.items())
    ]
    assert orm.QueryBuilder().append(orm.Node).count() == n_nodes


def test_the_archive_of_a_conductivity_holds_its_analysis_and_runs(stored_campaign, tmp_path):
    made = export(stored_campaign.outputs.conductivities['T600'], tmp_path / 'conductivity.aiida')
    assert made.counts == {'CalcFunctionNode': 1, 'ConductivityData': 1, 'Dict': 1, 'IonTrajectoryData': 3}


@pytest.fixture(scope='module')
def thinned(stored_campaign, tmp_path_factory):
    """Return an archive of the campaign with one frame in five, and its conductivities by temperature."""
    made = export(stored_campaign, tmp_path_factory.mktemp('thinned') / 'thin.aiida', every=5)
    query = orm.QueryBuilder().append(ConductivityData, filters={'label': 'one frame in 5'})
    return made, {node.temperature_K: node for node in query.all(flat=True)}


def test_thinned_archives_are_smaller_and_say_so(archives, thinned):
    made, _ = thinned
    assert (made.counts['IonTrajectoryData'], made.counts['ConductivityData']) == (6, 4)
    assert made.trajectory_bytes < archives['analysis'].trajectory_bytes / 2
    text = read_readme(made.path)
    assert 'the positions of one frame in 5' in text
    assert made.comparison in text


@pytest.mark.parametrize('label', ['T600', 'T900'])
def test_thinned_positions_give_the_same_conductivity(stored_campaign, thinned, label):
    """The number lies in the interval from all frames; only the positions are thinned, and their times fit."""
    whole = stored_campaign.outputs.conductivities[label]
    result = thinned[1][whole.temperature_K]
    for name in ('full', 'tracer'):
        low, high = whole.base.attributes.get(f'sigma_{name}_ci95')
        assert low < result.base.attributes.get(f'sigma_{name}_S_per_cm') < high
    for name, run in trajectories_of(result).items():
        source = trajectories_of(whole)[name]
        assert np.array_equal(run.positions, source.positions[::5])
        assert run.times_ps == pytest.approx(source.times_ps[::5])
        assert np.array_equal(run.centres_of_mass, source.centres_of_mass)
        assert np.array_equal(run.get_array('thermo'), source.get_array('thermo'))
        assert run.base.attributes.get('thinned_every') == 5


def test_thinned_archives_can_be_analysed_elsewhere(thinned, elsewhere):
    printed = elsewhere('aiida-ionconduct', 'import', thinned[0].path)
    assert printed.count('(one frame in 5)') == 2
    pk = printed.rpartition('analyse ')[2].strip()
    (again,) = json.loads(elsewhere('aiida-ionconduct', 'analyse', pk, '--format', 'json'))
    stored = thinned[1][again['temperature_K']].base.attributes
    assert again['sigma_full_S_per_cm'] == pytest.approx(stored.get('sigma_full_S_per_cm'), rel=1e-12)


@calcfunction
def join(**segments):
    """Return a trajectory over two segments."""
    return IonTrajectoryData.join([segment for _, segment in sorted(segments.items())])


def test_joined_runs_take_their_segments_with_them(stored_campaign, make_salt_run, tmp_path):
    parameters = stored_campaign.outputs.conductivities['T600'].creator.inputs.parameters
    runs = {}
    for seed in (11, 12):
        first, second = make_salt_run(seed, n_frames=1000), make_salt_run(seed, first=1000)
        runs[f'seed_{seed}'] = join(segment_0=first.store(), segment_1=second.store())
    made = export(analyse_trajectories(parameters, **runs), tmp_path / 'joined.aiida')
    assert made.counts['IonTrajectoryData'] == 6
    assert made.counts['CalcFunctionNode'] == 3


def test_what_cannot_be_exported_is_refused_with_a_reason(stored_campaign, archives, tmp_path):
    for node, path, says in (
        (stored_campaign, archives['results'].path, 'exists: give another name'),
        (stored_campaign.inputs.structure, tmp_path / 'a', 'is a StructureData: give a campaign'),
        (orm.WorkChainNode().store(), tmp_path / 'a', 'no conductivities yet'),
    ):
        with pytest.raises(ValueError, match=says):
            export(node, path)
    with pytest.raises(ValueError, match='--provenance or --no-trajectories'):
        export(stored_campaign, tmp_path / 'a', trajectories=False, provenance=True)
    with pytest.raises(ValueError, match='leave out --no-trajectories'):
        export(stored_campaign, tmp_path / 'a', trajectories=False, every=2)
    with pytest.raises(ValueError, match='give a number from 2 to'):
        export(stored_campaign, tmp_path / 'a', every=10**6)
    assert not (tmp_path / 'a').exists()


def test_a_file_that_is_no_archive_is_not_imported(tmp_path):
    (tmp_path / README).write_text('no archive')
    with pytest.raises(ValueError, match='not an AiiDA archive'):
        import_results(tmp_path / README)


def test_import_prints_the_results_and_writes_the_page(archives, elsewhere, stored_campaign, tmp_path):
    """An archive with the jobs gives the page anew, another archive the page inside it."""
    pages = {}
    for name in ('campaign', 'analysis'):
        page = tmp_path / f'{name}.html'
        printed = elsewhere('aiida-ionconduct', 'import', archives[name].path, '--page', page)
        assert 'σ, full (S/cm)' in printed
        assert f'Page written: {page}' in printed
        pages[name] = page.read_text()
    with zipfile.ZipFile(archives['analysis'].path) as archive:
        assert pages['analysis'] == archive.read(PAGE).decode()
    assert str(stored_campaign.uuid) in pages['campaign']


def test_archive_without_campaign_and_page_says_so(stored_campaign, elsewhere, tmp_path):
    """As of a single conductivity."""
    single = export(stored_campaign.outputs.conductivities['T900'], tmp_path / 'single.aiida')
    with pytest.raises(AssertionError, match='holds neither a campaign nor a page'):
        elsewhere('aiida-ionconduct', 'import', single.path, '--page', tmp_path / 'page.html')
