"""Models from elsewhere: no job loads them unless the user says so."""

import io
import secrets

import pytest
from aiida import orm

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation
from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import MADE_HERE, is_made_here, remember_made_here


@pytest.fixture
def foreign(aiida_profile_clean):
    """Return a model that was not made in this profile."""
    return AllegroModelData(
        io.BytesIO(secrets.token_bytes(20)), filename='m.nequip.zip', type_names=['Li', 'O', 'P'], r_max=4.5
    )


@pytest.mark.parametrize(
    ('process_class', 'name', 'suffix'),
    [
        (AllegroCompileCalculation, 'model', '.nequip.zip'),
        (AllegroTrainCalculation, 'initial_model', '.nequip.zip'),
        (LammpsMdCalculation, 'model', '.nequip.pt2'),
    ],
)
def test_asks_before_it_is_loaded(aiida_profile_clean, process_class, name, suffix):
    """Every job refuses the file unless the user trusts it, or a job in this profile has made it."""
    content = process_class.__name__.encode()
    model = AllegroModelData(io.BytesIO(content), filename=f'm{suffix}', type_names=['Li'], r_max=4.5)
    validator = process_class.spec().inputs.validator
    refused = validator({name: model}, None)
    assert 'was not made by a training in this profile' in refused
    assert 'set trust_model=True' in refused
    assert 'set trust_model=True' in validator({name: model, 'trust_model': orm.Bool(False)}, None)
    assert validator({name: model, 'trust_model': orm.Bool(True)}, None) is None
    remember_made_here(model.sha256)
    assert validator({name: model}, None) is None


def test_changed_file(foreign):
    """A file that differs from the stored file is refused, even if the user trusts it."""
    remember_made_here(foreign.sha256)
    foreign.base.attributes.set('sha256', '0' * 64)
    assert 'its SHA-256 differs' in foreign.check(orm.Bool(True))


def test_foreign_checkpoint(aiida_profile_clean):
    """A checkpoint that lacks a file is refused; a checkpoint from elsewhere needs the trust of the user."""
    checkpoint = orm.FolderData()
    validator = AllegroTrainCalculation.spec().inputs.validator
    assert 'the checkpoint lacks best.ckpt, last.ckpt' in validator({'checkpoint': checkpoint}, None)
    for name in ('best.ckpt', 'last.ckpt'):
        checkpoint.base.repository.put_object_from_filelike(io.BytesIO(name.encode()), name)
    assert 'set trust_model=True' in validator({'checkpoint': checkpoint}, None)
    assert validator({'checkpoint': checkpoint, 'trust_model': orm.Bool(True)}, None) is None


def test_memory_is_of_the_profile(foreign, tmp_path):
    """Extras and attributes, which an archive brings along, do not make a file trusted."""
    assert not foreign.is_made_here
    node = foreign.store()
    node.base.extras.set(MADE_HERE.format(node.sha256), True)
    assert not is_made_here(node.sha256)
