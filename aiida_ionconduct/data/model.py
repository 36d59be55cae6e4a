"""An Allegro potential as a node."""

from __future__ import annotations

import hashlib
import io
import pathlib
import zipfile
from typing import BinaryIO

import yaml
from aiida import orm
from aiida.manage import get_manager

from aiida_ionconduct.data.display import bars, card, node_title

FORMATS = {'package': '.nequip.zip', 'aotinductor': '.nequip.pt2', 'mliap': '.nequip.lmp.pt'}
"""The portable package made by ``nequip-package``, and what is made from it for one machine: by ``nequip-compile`` for
``pair_style allegro``, by ``nequip-prepare-lmp-mliap`` for ``pair_style mliap``; the latter does not say what it is."""
TRUST_HELP = 'Load a model that was not made by a training in this profile.'


class AllegroModelData(orm.SinglefileData):
    """An Allegro potential: the portable package, or a file compiled from it for one kind of machine.

    The file is never unpickled here: what is known of the model is read from the text files inside the archive
    or handed over by the parser that made it.
    """

    def __init__(self, file: str | pathlib.Path | BinaryIO, filename: str | None = None, **kwargs):
        """Store the file with its SHA-256 and its description as attributes.

        :param file: path or binary stream.
        :param filename: name in the repository; it decides the format (``.nequip.zip``, ``.nequip.pt2`` or
            ``.nequip.lmp.pt``).
        :param kwargs: ``type_names`` (list of chemical symbols in the model's order), ``r_max`` (Å), and anything worth
            a query, such as ``metrics``, ``device``, ``torch_version``; for a package the first two are read from
            the file when they are not given.
        :raises ValueError: if the file is neither a package nor a compiled model, or does not state its types.
        """
        content = pathlib.Path(file).read_bytes() if isinstance(file, (str, pathlib.Path)) else file.read()
        filename = filename or pathlib.Path(getattr(file, 'name', file)).name
        described = {key: kwargs.pop(key) for key in tuple(kwargs) if key not in ('label', 'description', 'user')}
        super().__init__(io.BytesIO(content), filename=filename, **kwargs)
        model_format = next((name for name, suffix in FORMATS.items() if filename.endswith(suffix)), None)
        if model_format is None:
            raise ValueError(f'`{filename}` is not an Allegro model: expected one of {", ".join(FORMATS.values())}.')
        if not {'type_names', 'r_max'} <= described.keys():
            described = {**read_metadata(content, filename), **described}
        self.base.attributes.set_many(
            {**described, 'model_format': model_format, 'sha256': hashlib.sha256(content).hexdigest()}
        )

    @property
    def model_format(self) -> str:
        """``package`` or ``aotinductor``."""
        return self.base.attributes.get('model_format')

    @property
    def type_names(self) -> list[str]:
        """Chemical symbols in the order of the model's types."""
        return self.base.attributes.get('type_names')

    @property
    def r_max(self) -> float:
        """Cutoff radius in Å."""
        return self.base.attributes.get('r_max')

    @property
    def sha256(self) -> str:
        """Checksum of the file."""
        return self.base.attributes.get('sha256')

    def _repr_html_(self) -> str:
        """Return a table of what is known of the model, for notebooks; the file is not opened."""
        a = self.base.attributes.all
        metrics = a.get('metrics') or {}
        errors = [
            ('Force MAE', metrics.get('test_forces_mae_eV_per_A'), 'meV/Å'),
            ('Energy MAE', metrics.get('test_energy_mae_eV_per_atom'), 'meV/atom'),
        ]
        rows = [
            ('Format', f'{a["model_format"]}, {a["filename"]}'),
            ('Elements', ', '.join(a['type_names'])),
            ('Cutoff', f'{a["r_max"]:g} Å'),
            *((label, f'{1000 * value:.3g} {unit}') for label, value, unit in errors if value is not None),
            ('Device', a.get('device')),
            ('SHA-256', f'{a["sha256"][:12]}…'),
        ]
        by_element = metrics.get('test_forces_mae_by_element') or {}
        scaled = {symbol: 1000 * value for symbol, value in by_element.items()}
        return card(node_title(self), rows, bars('Force MAE by element (meV/Å)', scaled))

    def missing_types(self, symbols) -> list[str]:
        """Return the symbols this model was not trained for, sorted."""
        return sorted(set(symbols) - set(self.type_names))

    @property
    def is_made_here(self) -> bool:
        """Whether a training or a compilation in this profile has made this very file."""
        return is_made_here(self.sha256)

    def check(self, trust_model: orm.Bool | None) -> str | None:
        """Return why the file must not be handed to a program that unpickles it, or None.

        :param trust_model: the user's word that it may.
        """
        if hashlib.sha256(self.get_content(mode='rb')).hexdigest() != self.sha256:
            return (
                f'the file {self.filename} of {type(self).__name__}<{self.pk}> is not the one that was stored: its '
                'SHA-256 differs. Get the model anew.'
            )
        if self.is_made_here or (trust_model is not None and trust_model.value):
            return None
        return (
            f'{self.filename} (SHA-256 {self.sha256[:12]}…) was not made by a training in this profile. A model is a '
            'program: whoever made the file can run anything as you on the computer that loads it. If you know where '
            'it comes from, set trust_model=True.'
        )


MADE_HERE = 'ionconduct|made_here|{}'
"""Key of a file in the settings of the profile's storage. These, unlike attributes and extras, are part of no archive,
so that a file which was imported cannot state them itself."""


def remember_made_here(sha256: str) -> None:
    """Note that a job in this profile has made a file."""
    get_manager().get_profile_storage().set_global_variable(MADE_HERE.format(sha256), True)


def is_made_here(sha256: str) -> bool:
    """Return whether a job in this profile has made a file."""
    try:
        return bool(get_manager().get_profile_storage().get_global_variable(MADE_HERE.format(sha256)))
    except KeyError:
        return False


def read_metadata(content: bytes, filename: str = 'model') -> dict:
    """Return the type names and cutoff that an archive states about itself, without unpickling anything.

    :param content: bytes of a ``.nequip.zip`` or ``.nequip.pt2`` file; both are zip archives.
    :raises ValueError: if they cannot be found.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = {pathlib.PurePath(name).name: name for name in archive.namelist()}
            metadata = {}
            for name, read in {'package_metadata.txt': from_package, 'config.yaml': from_configuration}.items():
                if name in texts:
                    metadata |= read(yaml.safe_load(archive.read(texts[name])))
            for name in (name for key, name in texts.items() if key.endswith('wrapper_metadata.json')):
                metadata |= from_compiled(yaml.safe_load(archive.read(name)))
        return {'type_names': metadata.pop('type_names'), 'r_max': metadata.pop('r_max'), **metadata}
    except (zipfile.BadZipFile, yaml.YAMLError, LookupError, StopIteration, TypeError, ValueError) as exception:
        raise ValueError(
            f'`{filename}` does not state its type names and cutoff: give a model made by nequip-package or '
            'nequip-compile (nequip >= 0.19).'
        ) from exception


def from_package(metadata: dict) -> dict:
    """Describe a packaged model by the summary that nequip-package writes."""
    types = metadata['atom_types']
    return {'type_names': [types[index] for index in sorted(types)], 'versions': metadata.get('versions', {})}


def from_configuration(configuration: dict) -> dict:
    """Describe a packaged model by the training configuration inside it.

    A model that was trained on from another package has no cutoff in its own section, but its neighbour lists have.
    """
    sections = [configuration['training_module']['model'], *configuration['data']['transforms']]
    return {'r_max': float(next(section['r_max'] for section in sections if 'r_max' in section))}


def from_compiled(metadata: dict) -> dict:
    """Describe a compiled model by the metadata of its shared library."""
    return {
        'type_names': metadata['type_names'].split(),
        'r_max': float(metadata['r_max']),
        'device': metadata['AOTI_DEVICE_KEY'],
        'allow_tf32': metadata['allow_tf32'] == '1',
        'model_dtype': metadata['model_dtype'],
    }
