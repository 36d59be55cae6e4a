"""An archive from an unknown source, with a trap in its model, is imported, listed and plotted without springing it."""

import io
import pathlib
import pickle
import zipfile

import yaml
from aiida import orm
from aiida.common.links import LinkType
from aiida.tools.archive import create_archive, import_archive
from plumpy import ProcessState

from aiida_ionconduct.data import AllegroModelData, ConductivityData
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.page.campaign import write_page


class Trap:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def package_with_a_trap(path):
    """Return a packaged model as nequip lays it out, with a trap in place of the weights."""
    configuration = {
        'data': {'transforms': [{'r_max': 4.5}]},
        'training_module': {'model': {'_target_': 'allegro.model.AllegroModel', 'r_max': 4.5}},
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
        archive.writestr(
            'm.nequip/model/package_metadata.txt', yaml.safe_dump({'atom_types': {0: 'Li', 1: 'O', 2: 'P'}})
        )
        archive.writestr('m.nequip/model/config.yaml', yaml.safe_dump(configuration))
        archive.writestr('m.nequip/.data/weights.pkl', pickle.dumps(Trap(path)))
    return stream.getvalue()


def stored_campaign_with(model, make_conductivity):
    """Return a finished campaign with a model among its outputs."""
    top = orm.WorkChainNode()
    top.set_process_label('ConductivityWorkChain')
    crystal = orm.StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    for symbol in ('Li', 'O', 'P'):
        crystal.append_atom(symbols=symbol, position=(0, 0, 0))
    top.base.links.add_incoming(crystal.store(), LinkType.INPUT_WORK, 'structure')
    top.store()
    synthetic = make_conductivity(800)
    conductivity = ConductivityData()
    for name, curve in synthetic.curves.items():
        conductivity.set_array(name, curve)
    conductivity.base.attributes.set_many(synthetic.attributes)
    for label, output in {'model': model, 'structure': crystal, 'conductivities__T800': conductivity}.items():
        output.store().base.links.add_incoming(top, LinkType.RETURN, label)
    top.set_process_state(ProcessState.FINISHED)
    top.set_exit_status(0)
    top.seal()
    return top


def test_the_trap_of_an_imported_archive_is_never_sprung(aiida_profile_clean, tmp_path, make_conductivity):
    """Export, import into an empty profile, list and plot; that the trap is armed is shown at the end."""
    sprung = tmp_path / 'sprung'
    model = AllegroModelData(io.BytesIO(package_with_a_trap(sprung)), filename='m.nequip.zip')
    node = stored_campaign_with(model, make_conductivity)
    archive = tmp_path / 'campaign.aiida'
    create_archive([node], filename=archive)
    uuid = node.uuid
    aiida_profile_clean.reset_storage()
    import_archive(archive)
    node = orm.load_node(uuid)
    models = orm.QueryBuilder().append(AllegroModelData).all(flat=True)
    assert [(model.type_names, model.r_max, model.is_made_here) for model in models] == [(['Li', 'O', 'P'], 4.5, False)]
    collect(node)
    page = write_page(node, tmp_path / 'page.html')
    assert pathlib.Path(page).exists()
    assert not sprung.exists()
    with zipfile.ZipFile(io.BytesIO(models[0].get_content(mode='rb'))) as stored:
        pickle.loads(stored.read('m.nequip/.data/weights.pkl'))
    assert sprung.exists()
