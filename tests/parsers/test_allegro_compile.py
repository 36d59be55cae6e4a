"""`AllegroCompileParser`: the compiled model and the machine it is for."""

import json
import shutil
import zipfile

import ase.io
import numpy as np
import pytest
from aiida import orm
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.allegro.agreement import reference_frame
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.lammps.structure import lammps_rotation
from parser_fingerprints import check_fingerprint

ENTRY_POINT = 'ionconduct.allegro.compile'
# As nequip 0.19.1 has torch 2.13 write it into the archive.
METADATA = {
    'model_dtype': 'float32',
    'type_names': 'Li P Si O',
    'num_types': '4',
    'r_max': '4.5',
    'allow_tf32': '0',
    'AOTI_DEVICE_KEY': 'cpu',
    'AOTI_PLATFORM': 'linux',
    'AOTI_MACHINE': 'x86_64',
    'AOTI_CPU_ISA': 'AVX512 AVX512_VNNI',
}


CRYSTAL = Atoms('LiPSiO', scaled_positions=np.eye(4)[:, :3] / 2, cell=[[0, 4, 4], [4, 0, 4], [4, 4, 0.5]], pbc=True)
FRAME = reference_frame([CRYSTAL])


def results_of_both(difference=0.0, energy=-9.0, left_out=(), cut=False):
    """Return a function that writes what nequip and LAMMPS have written.

    :param difference: between the forces, eV/Å.
    """

    def write(folder):
        forces = np.random.default_rng(1).normal(size=(4, 3))
        frame = FRAME.copy()
        frame.calc = SinglePointCalculator(frame, energy=-9.0, forces=forces)
        ase.io.write(folder / 'reference_dataset0.xyz', frame, format='extxyz')
        (folder / 'energy.txt').write_text(f'{energy}\n')
        rows = (forces + difference) @ lammps_rotation(FRAME.cell)
        header = '\n'.join('ITEM' for _ in range(9))
        np.savetxt(folder / 'forces.txt', rows[:2] if cut else rows, header=header, comments='')
        for name in left_out:
            (folder / name).unlink()

    return write


@pytest.fixture
def parse(aiida_profile_clean, generate_calc_job_node, generate_parser, tmp_path):
    """Return a function that parses a job, which has written the compiled model or not."""

    def parse(written, parameters=None, size=None, check=None, made_here=False, output=None, metadata=METADATA):
        folder = tmp_path / 'job'
        folder.mkdir()
        (tmp_path / 'LiPSiO.nequip.zip').write_bytes(b'weights')
        package = AllegroModelData(tmp_path / 'LiPSiO.nequip.zip', type_names=['Li', 'P', 'Si', 'O'], r_max=4.5)
        if written:
            with zipfile.ZipFile(folder / 'model.nequip.pt2', 'w') as archive:
                text = json.dumps(metadata) if metadata else ''
                archive.writestr('m.nequip/data/aotinductor/model/abc.wrapper_metadata.json', text)
            shutil.copy(folder / 'model.nequip.pt2', folder / 'model.nequip.lmp.pt')  # which is not opened
        for path in folder.iterdir() if size else ():
            path.write_bytes(path.read_bytes()[:size])
        if made_here:
            remember_made_here(package.sha256)
        if output:
            (folder / '_scheduler-stderr.txt').write_text(output)
        inputs = {'model': package, 'parameters': orm.Dict(parameters or {})}
        compiled = ['model.nequip.pt2', 'model.nequip.lmp.pt']
        if check:
            inputs['check'] = {'frame': orm.StructureData(ase=CRYSTAL)}
            check(folder)
            compiled += [path.name for path in folder.glob('*.[tx][xy][tz]')]
        node = generate_calc_job_node(ENTRY_POINT, folder, inputs, retrieved_temporary=compiled)
        results, calcfunction = generate_parser(ENTRY_POINT).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(folder)
        )
        assert calcfunction.exception is None
        return results, calcfunction, package

    return parse


def test_default(parse):
    results, calcfunction, package = parse(written=True)
    assert calcfunction.is_finished_ok
    model = results['model'].store()
    assert (model.model_format, model.type_names, model.r_max) == ('aotinductor', ['Li', 'P', 'Si', 'O'], 4.5)
    attributes = model.base.attributes.all
    assert attributes['package_sha256'] == package.sha256 != model.sha256
    assert (attributes['computer'], attributes['device'], attributes['allow_tf32']) == ('localhost', 'cpu', False)


def test_mliap(parse):
    """What the file does not state comes from the package."""
    results, calcfunction, package = parse(written=True, parameters={'target': 'mliap', 'device': 'cuda'})
    assert calcfunction.is_finished_ok
    model = results['model']
    assert (model.model_format, model.type_names, model.r_max) == ('mliap', package.type_names, package.r_max)
    assert model.base.attributes.get('device') == 'cuda'


@pytest.mark.parametrize('target', ['pair_allegro', 'mliap'])
def test_killed_while_it_is_written(parse, target):
    """Half a file is not taken for a model."""
    results, calcfunction, _ = parse(written=True, parameters={'target': target}, size=100)
    assert calcfunction.exit_status == 310
    assert 'model' not in results


@pytest.mark.parametrize('metadata', [None, {}, {'type_names': 'Li P Si O'}])
def test_file_that_does_not_state_its_types(parse, metadata):
    """As when another compilation wrote its files at the same time: an exit code, by which it is repeated."""
    results, calcfunction, _ = parse(written=True, metadata=metadata)
    assert calcfunction.exit_status == 311
    assert 'does not state its type names and cutoff' in calcfunction.exit_message
    assert not results


def test_no_model(parse):
    results, calcfunction, _ = parse(written=False)
    assert calcfunction.exit_status == 310
    assert not results


def test_accelerations_are_attributes(parse):
    """A query can tell which compiled models have the kernel in Triton, and why others have not."""
    results = parse(written=True, parameters={'device': 'cuda', 'constant_fold': False})[0]
    names = ('modifiers', 'constant_fold', 'inductor_configs', 'accelerations_left_out')
    stored = [results['model'].base.attributes.get(name) for name in names]
    assert stored == [['enable_TritonContracter'], False, {'max_autotune': 1}, {}]


def test_modifier_missing(parse):
    """A modifier that cannot be had has an exit code of its own, by which the work chain leaves it out."""
    output = "Traceback:\nModuleNotFoundError: No module named 'triton'\n"
    results, calcfunction, _ = parse(written=False, parameters={'device': 'cuda'}, output=output)
    assert calcfunction.exit_status == 321
    assert "No module named 'triton'" in calcfunction.exit_message
    assert not results


def test_version_changes_with_what_is_stored(parse):
    """A parser that stores other things needs a new ``CACHE_VERSION``, or the cache returns what was stored before."""
    results, calcfunction = parse(written=True)[:2]
    check_fingerprint(ENTRY_POINT, results, calcfunction.exit_status)


def test_agreement_is_noted(parse):
    """The forces are compared in one frame of axes, as LAMMPS turns the cell."""
    results, calcfunction, _ = parse(written=True, check=results_of_both(), made_here=True)
    assert calcfunction.is_finished_ok
    outcome = results['model'].base.attributes.get('check')
    assert (outcome['agrees'], outcome['n_atoms']) == (True, 4)
    assert outcome['max_force_difference_eV_per_A'] < 1e-6
    assert results['model'].is_made_here


@pytest.mark.parametrize('change', [{'difference': 0.1}, {'energy': -9.01}, {'energy': float('nan')}])
@pytest.mark.parametrize('target', ['pair_allegro', 'mliap'])
def test_model_that_differs_is_not_used(parse, change, target):
    """Wrong numbers from LAMMPS: there is no compiled model, and the message has the numbers."""
    check = results_of_both(**change)
    results, calcfunction, _ = parse(written=True, check=check, made_here=True, parameters={'target': target})
    assert calcfunction.exit_status == 330
    assert 'The compiled model is not used: LAMMPS and nequip differ by' in calcfunction.exit_message
    assert 'model' not in results


@pytest.mark.parametrize(
    ('change', 'program'),
    [
        ({'left_out': ['reference_dataset0.xyz']}, 'nequip'),
        ({'left_out': ['energy.txt']}, 'LAMMPS'),
        ({'left_out': ['forces.txt']}, 'LAMMPS'),
        ({'cut': True}, 'LAMMPS'),
        ({'energy': ''}, 'LAMMPS'),
    ],
)
def test_model_that_was_not_compared_is_not_used(parse, change, program):
    results, calcfunction, _ = parse(written=True, check=results_of_both(**change), made_here=True)
    assert (calcfunction.exit_status, 'model' in results) == (320, False)
    assert f'could not be compared with nequip: {program} wrote no result' in calcfunction.exit_message
