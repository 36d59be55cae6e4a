"""The files of models as nequip 0.19.1 lays them out, without weights and code."""

import io
import json
import zipfile

import yaml

# What nequip writes into its archives, shortened; the other files in them are weights, code and pickles.
PACKAGE = {
    'atom_types': {0: 'Li', 1: 'P', 2: 'Si', 3: 'O'},
    'available_models': ['eager', 'compile'],
    'package_version_id': 2,
    'versions': {'allegro': '0.8.3', 'nequip': '0.19.1', 'torch': '2.13.0+cpu'},
}
TRANSFORMS = [
    {'_target_': 'nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper', 'model_type_names': ['Li', 'P', 'Si', 'O']},
    {'_target_': 'nequip.data.transforms.NeighborListTransform', 'r_max': 4.5},
]
SCRATCH = {'_target_': 'allegro.model.AllegroModel', 'r_max': 4.5, 'type_names': ['Li', 'P', 'Si', 'O']}
CONTINUED = {'_target_': 'nequip.model.ModelFromPackage', 'package_path': 'initial.nequip.zip'}
GNN = {'_target_': 'nequip.model.NequIPGNNModel', 'r_max': 4.5, 'type_names': ['Li', 'P', 'Si', 'O']}
COMPILED = {
    'model_dtype': 'float32',
    'type_names': 'Li P Si O',
    'num_types': '4',
    'r_max': '4.5',
    'allow_tf32': '0',
    'AOTI_DEVICE_KEY': 'cpu',
    'AOTI_MACHINE': 'x86_64',
}


def archive(files):
    """Return the bytes of a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as handle:
        for name, content in files.items():
            handle.writestr(name, content)
    return stream.getvalue()


def dump(data):
    """Return data as YAML without aliases, as nequip has it written."""
    return yaml.safe_dump(json.loads(json.dumps(data)))


def package(model=SCRATCH, data=None, metadata=None, modules=('allegro/nn/_allegro.py',), **others):
    """Return a packaged model as nequip lays it out, without the weights.

    The package holds the code of message-passing layers too, as packages of Allegro models do.
    """
    configuration = {'data': data or {'transforms': TRANSFORMS}, 'training_module': {'model': model}}
    files = {
        'm.nequip/model/package_metadata.txt': yaml.safe_dump(metadata or PACKAGE),
        'm.nequip/model/config.yaml': dump(configuration),
        **{f'm.nequip/{module}': '' for module in ('nequip/nn/convnetlayer.py', *modules)},
    }
    return archive(files | others)


def compiled(**changes):
    """Return a compiled model as torch lays it out, without the shared library."""
    metadata = json.dumps(COMPILED | changes)
    folder = 'm.nequip/data/aotinductor/model'
    return archive({f'{folder}/abc.wrapper_metadata.json': metadata, f'{folder}/abc.wrapper.so': b'\x7fELF'})
