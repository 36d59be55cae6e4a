"""Archives with all jobs and fewer frames: what is there, what is left out, and what another profile makes of it."""

import json
import zipfile

import numpy as np
import pytest
from aiida import orm
from aiida.repository import Repository
from aiida.tools.archive import create_archive
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip
from click.testing import CliRunner

from aiida_ionconduct.archives import export, import_results, read_readme, read_reduction, what_stays
from aiida_ionconduct.cli.commands.archives import export_command
from aiida_ionconduct.data import IonTrajectoryData

pytestmark = pytest.mark.slow
EVERY, CENTRES_EVERY = 10, 4


def content_of(path):
    """Return the nodes of an archive by UUID, as (attributes, files with their keys), and its links."""
    with ArchiveFormatSqlZip().open(path, 'r') as reader:
        query = reader.querybuilder().append(orm.Node, project=['uuid', 'attributes', 'repository_metadata'])
        nodes = {uuid: (attributes, Repository.flatten(metadata)) for uuid, attributes, metadata in query.all()}
        query = reader.querybuilder().append(orm.Node, tag='from', project='uuid')
        query.append(orm.Node, with_incoming='from', project='uuid', edge_project=['label', 'type'])
        links = sorted(query.all())
    return nodes, links


@pytest.fixture(scope='module')
def made(whole_campaign, tmp_path_factory):
    """Return the archive with all jobs, and the same with fewer frames, as they were exported."""
    folder = tmp_path_factory.mktemp('archives')
    n_nodes = orm.QueryBuilder().append(orm.Node).count()
    thinning = {'every': EVERY, 'centres_every': CENTRES_EVERY}
    archives = {
        'whole': export(whole_campaign, folder / 'whole.aiida', provenance=True),
        'small': export(whole_campaign, folder / 'small.aiida', provenance=True, **thinning),
    }
    assert orm.QueryBuilder().append(orm.Node).count() == n_nodes, 'the export has stored nodes'
    return archives


@pytest.fixture(scope='module')
def contents(made):
    """Return nodes and links of both archives."""
    return {name: content_of(exported.path) for name, exported in made.items()}


def test_all_nodes_and_links_are_there(contents):
    (whole, links), (small, small_links) = contents['whole'], contents['small']
    assert set(small) == set(whole)
    assert small_links == links
    assert len(links) > 20


def test_only_long_runs_and_working_files_differ(contents, whole_campaign):
    """DFT, training set, packaged model, inputs of jobs and a run too short to be thinned keep all their bytes."""
    whole, small = contents['whole'][0], contents['small'][0]
    changed = {uuid for uuid in whole if whole[uuid] != small[uuid]}
    nodes = [orm.load_node(uuid) for uuid in changed]
    runs = [node for node in nodes if isinstance(node, IonTrajectoryData)]
    assert sorted(len(run.positions) for run in runs) == [998, 1003, 2001, 2001]
    others = sorted(type(node).__name__ for node in nodes if node not in runs)
    assert others == ['AllegroModelData', 'FolderData', 'SinglefileData']
    assert all(('reduced' in attributes) == (uuid in changed) for uuid, (attributes, _) in small.items())


def test_files_left_out_are_in_no_place_of_the_file(made, contents):
    """The bytes of the archive are those of the files to which its nodes refer, and every file is there."""
    keys = {key for _, files in contents['small'][0].values() for key in files.values() if key}
    with zipfile.ZipFile(made['small'].path) as archive:
        assert {name.removeprefix('repo/') for name in archive.namelist() if name.startswith('repo/')} == keys
    assert made['small'].trajectory_bytes < made['whole'].trajectory_bytes / 3


def test_attribute_states_the_whole_file(contents, whole_campaign):
    """Its bytes and its SHA-256, which is the key of the file in the repository."""
    run = whole_campaign.outputs.trajectories['T900_seed12']
    attributes, files = contents['small'][0][str(run.uuid)]
    whole = contents['whole'][0][str(run.uuid)][1]
    n_bytes = len(run.base.repository.get_object_content('positions.npy', 'rb'))
    statement = attributes['reduced']['positions.npy']
    assert statement == {'bytes': n_bytes, 'sha256': whole['positions.npy'], 'every': EVERY}
    assert attributes['thinned_every'] == EVERY
    assert files['positions.npy'] != whole['positions.npy']
    assert files['thermo.npy'] == whole['thermo.npy']


@pytest.fixture(scope='module')
def elsewhere_small(made, elsewhere_of_module):
    """Return the function of ``elsewhere`` for a profile into which AiiDA's own command has imported the archive."""
    elsewhere_of_module('verdi', 'archive', 'import', made['small'].path)
    return elsewhere_of_module


def asked(elsewhere, tmp_path, script):
    """Return what a script prints as JSON in another profile."""
    path = tmp_path / 'script.py'
    path.write_text(script)
    return json.loads(elsewhere('verdi', 'run', path).strip().splitlines()[-1])


ARRAYS_OF_RUN = """
import json, sys
from aiida import orm
run = orm.load_node('{uuid}')
attributes = run.base.attributes
arrays = {{'positions': run.positions, 'centres': run.centres_of_mass, 'times': run.times_ps}}
print(json.dumps({{
    **{{name: array.tolist() for name, array in arrays.items()}},
    'intervals': [run.frame_interval_ps, attributes.get('com_interval_ps')],
    'n': attributes.get('n_frames'),
    'thermo': run.get_array('thermo').tolist(),
}}))
"""


@pytest.mark.parametrize('label', ['T900_seed11', 'T900_seed12'])
def test_thinned_run_elsewhere_has_every_nth_frame(label, elsewhere_small, whole_campaign, tmp_path):
    """The run of two segments, too, whose first segment is no multiple of n frames long."""
    run = whole_campaign.outputs.trajectories[label]
    left = asked(elsewhere_small, tmp_path, ARRAYS_OF_RUN.format(uuid=run.uuid))
    assert np.array_equal(left['positions'], run.positions[::EVERY])
    assert np.array_equal(left['centres'], run.centres_of_mass[::CENTRES_EVERY])
    assert left['times'] == pytest.approx(run.times_ps[::EVERY])
    assert left['intervals'] == pytest.approx([EVERY * 0.1, CENTRES_EVERY * 0.1 / 3])
    assert left['n'] == len(left['positions'])
    assert np.array_equal(left['thermo'], run.get_array('thermo'))


def test_conductivity_elsewhere_is_the_one_of_the_table_and_within_the_interval(elsewhere_small, made, whole_campaign):
    stored = whole_campaign.outputs.conductivities['T900']
    (again,) = json.loads(elsewhere_small('aiida-ionconduct', 'analyse', str(stored.uuid), '--format', 'json'))
    for name in ('full', 'tracer'):
        low, high = stored.base.attributes.get(f'sigma_{name}_ci95')
        assert low < again[f'sigma_{name}_S_per_cm'] < high
    assert again['sigma_full_S_per_cm'] != stored.base.attributes.get('sigma_full_S_per_cm')
    assert made['small'].comparison.count('yes') == 2
    assert 'Warning' not in made['small'].comparison


CACHES = """
import json
from aiida import orm
for (node,) in orm.QueryBuilder().append(orm.Node).all():
    node.base.caching.rehash()
jobs = orm.QueryBuilder().append(orm.CalcJobNode).all(flat=True)
analysis = orm.load_node('{analysis}')
print(json.dumps({{
    'valid': sorted(job.process_type.rpartition(':')[2] for job in jobs if job.base.caching.is_valid_cache),
    'analysis': len(analysis.base.caching.get_all_same_nodes()),
}}))
"""


def test_cache_takes_nothing_that_is_thinned(elsewhere_small, whole_campaign, tmp_path):
    """Even after all nodes got a hash again: jobs whose outputs are whole may be taken, others and analyses not."""
    analysis = whole_campaign.outputs.conductivities['T900'].creator
    answer = asked(elsewhere_small, tmp_path, CACHES.format(analysis=analysis.uuid))
    assert answer == {'valid': ['ionconduct.lammps.md', 'quantumespresso.pw'], 'analysis': 0}


def test_whole_analysis_is_found_by_the_cache(whole_campaign):
    """The control of the test above, in the profile that has all frames."""
    analysis = whole_campaign.outputs.conductivities['T900'].creator
    assert analysis.uuid in {same.uuid for same in analysis.base.caching.get_all_same_nodes()}


def test_import_leaves_whole_nodes_as_they_are_and_says_so(made, whole_campaign):
    run = whole_campaign.outputs.trajectories['T900_seed12']
    before = dict(run.base.attributes.all), run.base.repository.hash(), dict(run.base.extras.all)
    import_results(made['small'].path)
    again = orm.load_node(run.uuid)
    assert (dict(again.base.attributes.all), again.base.repository.hash(), dict(again.base.extras.all)) == before
    (text,) = what_stays(made['small'].path)
    assert text.startswith('7 nodes are thinned or without a file in this archive, but were in this profile before')


def test_import_of_the_whole_after_the_thinned_archive_warns(elsewhere, made):
    assert 'nodes are' not in elsewhere('aiida-ionconduct', 'import', made['small'].path)
    printed = elsewhere('aiida-ionconduct', 'import', made['whole'].path)
    assert 'Warning: 7 nodes are thinned or without a file in this profile' in printed
    assert f'aiida-ionconduct import {made["whole"].path} --profile whole' in printed
    again = elsewhere('aiida-ionconduct', 'import', made['small'].path)
    assert 'nodes are' not in again


def test_a_mixture_of_whole_and_thinned_segments_is_refused(elsewhere, made, whole_campaign, tmp_path):
    """One segment came whole from another archive: its frames have other times than the frames of the rest."""
    joined = whole_campaign.outputs.trajectories['T900_seed11']
    rules = dict.fromkeys(('create_backward', 'return_backward', 'call_calc_backward', 'call_work_backward'), False)
    create_archive([joined.segments[0]], tmp_path / 'segment.aiida', **rules)
    elsewhere('verdi', 'archive', 'import', tmp_path / 'segment.aiida')
    printed = elsewhere('aiida-ionconduct', 'import', made['small'].path)
    assert '1 node is thinned or without a file in this archive, but' in printed
    with pytest.raises(AssertionError, match='some segments of the trajectory'):
        elsewhere('aiida-ionconduct', 'analyse', str(whole_campaign.outputs.conductivities['T900'].uuid))


def test_readme_lists_what_is_missing(made, whole_campaign):
    text, told = read_readme(made['small'].path), read_reduction(made['small'].path)
    assert made['small'].reduction in told
    assert made['small'].comparison in told
    run = whole_campaign.outputs.trajectories['T900_seed12']
    line = f'- `{run.uuid}`, IonTrajectoryData, 900 K, seed 12, 2001 frames, 201 left: `positions.npy`, 0.2 MB, here'
    assert f'{line} 19.4 kB\n' in text
    assert 'with the frames that are left' in text
    assert read_reduction(made['whole'].path) == ''


def test_command_prints_sizes_by_kind(whole_campaign, tmp_path):
    words = [str(whole_campaign.pk), '--provenance', '--every', str(EVERY), '-o', str(tmp_path / 'small.aiida')]
    done = CliRunner().invoke(export_command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = {line.rpartition('  ')[0].strip(): line.split()[-2:] for line in done.output.splitlines()}
    assert 'positions, one in 10' in done.output
    assert 'centres of mass, one in' not in done.output
    for kind in ('compiled models', 'restart files of LAMMPS', 'checkpoints of trainings'):
        assert any(name.startswith(kind) for name in rows)
    assert 'Largest in the archive: IonTrajectoryData ' in done.output
    assert 'within 95 %' in done.output


def test_page_and_table_after_the_import_say_that_runs_are_thinned(elsewhere, made, tmp_path):
    printed = elsewhere('aiida-ionconduct', 'import', made['small'].path, '--page', tmp_path / 'page.html')
    assert made['small'].reduction in printed
    assert made['small'].comparison in printed
    assert f'positions of one frame in {EVERY}' in (tmp_path / 'page.html').read_text()


def test_working_files_alone_can_be_left_out(whole_campaign, tmp_path):
    exported = export(whole_campaign, tmp_path / 'a.aiida', provenance=True, working_files=False)
    nodes, _ = content_of(exported.path)
    lacking = {uuid for uuid, (attributes, _) in nodes.items() if 'reduced' in attributes}
    assert sorted(type(orm.load_node(uuid)).__name__ for uuid in lacking) == [
        'AllegroModelData',
        'FolderData',
        'SinglefileData',
    ]
    assert exported.comparison == ''


def test_logs_of_lammps_can_be_left_out(whole_campaign, tmp_path):
    """The log alone: the other files of its folder, and the columns of the log in the trajectory, stay."""
    nodes, _ = content_of(export(whole_campaign, tmp_path / 'a.aiida', provenance=True, logs=False).path)
    ((uuid, attributes, files),) = [
        (uuid, attributes, files) for uuid, (attributes, files) in nodes.items() if 'reduced' in attributes
    ]
    assert sorted(files) == ['_scheduler-stdout.txt']
    log = orm.load_node(uuid).base.repository.get_object_content('lammps.log', 'rb')
    assert attributes['reduced']['lammps.log']['bytes'] == len(log)


def test_working_files_can_be_kept_beside_thinned_runs(whole_campaign, tmp_path):
    thinning = {'provenance': True, 'every': EVERY, 'working_files': True}
    nodes, _ = content_of(export(whole_campaign, tmp_path / 'a.aiida', **thinning).path)
    lacking = [orm.load_node(uuid) for uuid, (attributes, _) in nodes.items() if 'reduced' in attributes]
    assert {type(node) for node in lacking} == {IonTrajectoryData}


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        ({'centres_every': 5}, '--centres-every thins archives with all jobs: give --provenance'),
        ({'working_files': False}, 'in archives with all jobs alone: give --provenance'),
        ({'logs': False}, 'in archives with all jobs alone: give --provenance'),
        ({'provenance': True, 'every': 500}, 'give a number from 2 to 100'),
        ({'provenance': True, 'centres_every': 0}, '--centres-every 0 cannot be'),
    ],
)
def test_options_that_do_not_fit_are_refused(options, says, whole_campaign, tmp_path):
    with pytest.raises(ValueError, match=says):
        export(whole_campaign, tmp_path / 'a.aiida', **options)


NEEDING_FILES = """
import json
from aiida import orm
from aiida_ionconduct.calculations.allegro_train import complaint_about_checkpoint
from aiida_ionconduct.data import AllegroModelData
compiled = orm.QueryBuilder().append(AllegroModelData, filters={'attributes.model_format': 'aotinductor'})
checkpoint = orm.QueryBuilder().append(orm.FolderData, filters={'attributes': {'has_key': 'epoch'}})
trust = orm.Bool(True)
print(json.dumps([compiled.one()[0].check(trust), complaint_about_checkpoint(checkpoint.one()[0], trust)]))
"""


def test_jobs_refuse_nodes_without_their_file(elsewhere_small, tmp_path):
    """With the reason, rather than an error while files are copied."""
    model, checkpoint = asked(elsewhere_small, tmp_path, NEEDING_FILES)
    assert 'm.nequip.pt2 of AllegroModelData' in model
    assert 'left out of the archive from which it was imported: compile the packaged model again' in model
    assert 'begin the training anew' in checkpoint


def test_archive_can_be_thinned_again(elsewhere, made, whole_campaign, tmp_path):
    """A profile that has one frame in ten exports one in twenty, and the statement is still about the whole file."""
    elsewhere('aiida-ionconduct', 'import', made['small'].path)
    path = tmp_path / 'smaller.aiida'
    elsewhere('aiida-ionconduct', 'export', str(whole_campaign.uuid), '--provenance', '--every', '2', '-o', path)
    run = whole_campaign.outputs.trajectories['T900_seed12']
    small, smaller = (content_of(file)[0][str(run.uuid)][0] for file in (made['small'].path, path))
    assert smaller['thinned_every'] == 2 * EVERY
    expected = {**small['reduced']['positions.npy'], 'every': 2 * EVERY}
    assert smaller['reduced']['positions.npy'] == expected
    assert smaller['n_frames'] == 101
