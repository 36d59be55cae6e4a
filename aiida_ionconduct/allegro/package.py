"""The files of a model: their formats, and what is known of a model without unpickling anything."""

from __future__ import annotations

import io
import pathlib
import zipfile
from typing import Any, Literal

import yaml

ModelFormat = Literal['package', 'aotinductor', 'mliap']
FORMATS: dict[ModelFormat, str] = {
    'package': '.nequip.zip',
    'aotinductor': '.nequip.pt2',
    'mliap': '.nequip.lmp.pt',
}
"""The suffix of the file, by format. ``package`` is the portable model that ``nequip-package`` makes. The other formats
are made from it for one kind of machine: ``aotinductor`` by ``nequip-compile`` for ``pair_style allegro``, ``mliap`` by
``nequip-prepare-lmp-mliap`` for ``pair_style mliap``. A file of the format ``mliap`` does not state its types."""

Description = dict[str, Any]
"""``type_names``, ``r_max`` and other properties of a model."""


def format_of(filename: str) -> ModelFormat:
    """Return the format of a model, by the name of its file.

    :raises ValueError: if the file is not an Allegro model.
    """
    for name, suffix in FORMATS.items():
        if filename.endswith(suffix):
            return name
    raise ValueError(f'`{filename}` is not an Allegro model: expected one of {", ".join(FORMATS.values())}.')


def read_metadata(content: bytes, filename: str = 'model') -> Description:
    """Return the type names and the cutoff that an archive states about itself, without unpickling anything.

    :param content: bytes of a ``.nequip.zip`` or ``.nequip.pt2`` file; both are zip archives.
    :param filename: what messages call the file.
    :raises ValueError: if the archive does not state its type names and cutoff.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            paths = {pathlib.PurePath(path).name: path for path in archive.namelist()}
            metadata: Description = {}
            for name, describe in {'package_metadata.txt': _from_package, 'config.yaml': _from_configuration}.items():
                if name in paths:
                    metadata |= describe(yaml.safe_load(archive.read(paths[name])))
            for path in (path for name, path in paths.items() if name.endswith('wrapper_metadata.json')):
                metadata |= _from_compiled(yaml.safe_load(archive.read(path)))
        return {'type_names': metadata.pop('type_names'), 'r_max': metadata.pop('r_max'), **metadata}
    except (zipfile.BadZipFile, yaml.YAMLError, LookupError, StopIteration, TypeError, ValueError) as exception:
        raise ValueError(
            f'`{filename}` does not state its type names and cutoff: give a model made by nequip-package or '
            'nequip-compile (nequip >= 0.19).'
        ) from exception


def _from_package(metadata: dict[str, Any]) -> Description:
    """Describe a packaged model by the summary that nequip-package writes."""
    types = metadata['atom_types']
    return {'type_names': [types[index] for index in sorted(types)], 'versions': metadata.get('versions', {})}


def _from_configuration(configuration: dict[str, Any]) -> Description:
    """Describe a packaged model by the training configuration inside it.

    The section of a model whose training started from another package has no cutoff; the section of the neighbour
    lists has it in any case.
    """
    sections = [configuration['training_module']['model'], *configuration['data']['transforms']]
    return {'r_max': float(next(section['r_max'] for section in sections if 'r_max' in section))}


def _from_compiled(metadata: dict[str, str]) -> Description:
    """Describe a compiled model by the metadata of its shared library."""
    return {
        'type_names': metadata['type_names'].split(),
        'r_max': float(metadata['r_max']),
        'device': metadata['AOTI_DEVICE_KEY'],
        'allow_tf32': metadata['allow_tf32'] == '1',
        'model_dtype': metadata['model_dtype'],
    }
