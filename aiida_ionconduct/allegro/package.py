"""The files of a model: their formats, and what is known of a model without unpickling anything."""

from __future__ import annotations

import io
import json
import math
import pathlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
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

MAX_TEXT_BYTES = 2**18
"""The longest text that is read from an archive; the texts of nequip have some kB, with 89 elements some tens of kB."""
MAX_DEPTH = 50
"""The deepest nesting of these texts."""
LOADERS = ('nequip.model.ModelFromPackage', 'nequip.model.ModelFromCheckpoint')
"""Builders of models that take the architecture from another file."""
ALLEGRO_MODULE, GNN_MODULE = 'allegro/nn/_allegro.py', 'nequip/nn/convnetlayer.py'
"""The code of the layers of Allegro and of message-passing models, which a package carries with its weights. Packages
of Allegro models carry both."""


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

    Only the short texts in the archive are read, each up to :data:`MAX_TEXT_BYTES`, and aliases of YAML, which nequip
    never writes, are refused: neither can make a small file expand into a large one.

    :param content: bytes of a ``.nequip.zip`` or ``.nequip.pt2`` file; both are zip archives.
    :param filename: what messages call the file.
    :raises ValueError: if the archive does not state its type names and cutoff, holds a text that is too long, or holds
        a model of another architecture than Allegro.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            paths = {pathlib.PurePath(path).name: path for path in archive.namelist()}
            metadata: Description = {}
            if 'package_metadata.txt' in paths:
                metadata |= _from_package(_load_yaml(_read_text(archive, paths['package_metadata.txt'])))
            if 'config.yaml' in paths:
                metadata |= _from_configuration(_load_yaml(_read_text(archive, paths['config.yaml'])))
                metadata['architecture'] = _architecture(metadata['architecture'], archive.namelist())
            for path in (path for name, path in paths.items() if name.endswith('wrapper_metadata.json')):
                metadata |= _from_compiled(json.loads(_read_text(archive, path)))
        description = {'type_names': metadata.pop('type_names'), 'r_max': metadata.pop('r_max'), **metadata}
        if not 0 < description['r_max'] < math.inf:
            raise ValueError(f'the cutoff is {description["r_max"]} Å')
    except _BombError as exception:
        raise ValueError(f'`{filename}` is not a model of nequip: {exception}') from exception
    except _UNREADABLE as exception:
        raise ValueError(
            f'`{filename}` does not state its type names and cutoff: give a model made by nequip-package or '
            'nequip-compile (nequip >= 0.19).'
        ) from exception
    complaint = complaint_about_architecture(description.get('architecture'))
    if complaint:
        raise ValueError(f'`{filename}` {complaint}')
    return description


def complaint_about_architecture(architecture: str | None) -> str | None:
    """Return why ``pair_style allegro`` cannot run a model, or None.

    :param architecture: the builder of the model, such as ``allegro.model.AllegroModel``; None if it is not known.
    """
    if architecture is None or architecture.split('.')[0] == 'allegro':
        return None
    return (
        f'is a model of the architecture `{architecture}`, which pair_style allegro cannot run: it would compile, run, '
        'and give wrong energies and forces, because messages between atoms do not cross the borders of the cell. Give '
        'a model built by allegro.model.AllegroModel.'
    )


class _BombError(Exception):
    """A text that might expand without limit, as no archive of nequip holds: too long, or with aliases."""


_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,  # of zipfile, for a compression that it does not know
    RecursionError,
    RuntimeError,  # of zipfile, for a password
    StopIteration,
    TypeError,
    ValueError,
)
"""What reading an archive raises that another program has made or that was cut."""


def _read_text(archive: zipfile.ZipFile, path: str) -> str:
    """Return a short text of an archive.

    The length that the archive states of it may be wrong; therefore no more is expanded than may be read.

    :raises _BombError: if it is longer than :data:`MAX_TEXT_BYTES`.
    """
    with archive.open(path) as handle:
        content = handle.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise _BombError(f'its {pathlib.PurePath(path).name} is longer than {MAX_TEXT_BYTES} bytes.')
    return content.decode()


def _load_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    :raises _BombError: if it refers to a part of itself by an alias, which may stand for exponentially many values, or
        is nested so deeply that reading it takes for ever.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
            raise _BombError('its texts hold aliases of YAML or are nested deeply, which nequip-package never writes.')
    return yaml.safe_load(text)


def _from_package(metadata: dict[str, Any]) -> Description:
    """Describe a packaged model by the summary that nequip-package writes."""
    types = metadata['atom_types']
    versions = {str(name): str(version) for name, version in metadata.get('versions', {}).items()}
    return {'type_names': [str(types[index]) for index in sorted(types)], 'versions': versions}


def _from_configuration(configuration: dict[str, Any]) -> Description:
    """Describe a packaged model by the training configuration inside it.

    The section of a model whose training started from another package has no cutoff. The neighbour lists have it in any
    case: in the transforms of the data module, of any of its data sets, or of a loader.
    """
    model = configuration['training_module']['model']
    while isinstance(model.get('model'), dict):  # as nequip.model.modify wraps the model that it modifies
        model = model['model']
    cutoff = model['r_max'] if 'r_max' in model else max(_cutoffs(configuration['data']))
    return {'r_max': float(cutoff), 'architecture': str(model.get('_target_', 'unknown'))}


def _cutoffs(section: Any) -> Iterator[float]:
    """Yield the cutoffs of all neighbour lists in a section of a configuration, in Å."""
    if isinstance(section, dict):
        if str(section.get('_target_', '')).endswith('NeighborListTransform'):
            yield float(section['r_max'])
        section = list(section.values())
    if isinstance(section, list):
        for entry in section:
            yield from _cutoffs(entry)


def _architecture(builder: str | None, paths: Iterable[str]) -> str | None:
    """Return the architecture of a model; of a model that was loaded from another file, by the code in the archive.

    :param builder: the builder of the model in the configuration of the training.
    :param paths: of the files in the archive.
    """
    if builder not in LOADERS:
        return builder
    code = {'/'.join(pathlib.PurePosixPath(path).parts[1:]) for path in paths}
    if ALLEGRO_MODULE in code:
        return 'allegro'
    return 'nequip.model.NequIPGNNModel' if GNN_MODULE in code else builder


def _from_compiled(metadata: dict[str, str]) -> Description:
    """Describe a compiled model by the metadata of its shared library."""
    return {
        'type_names': metadata['type_names'].split(),
        'r_max': float(metadata['r_max']),
        'device': metadata['AOTI_DEVICE_KEY'],
        'allow_tf32': metadata['allow_tf32'] == '1',
        'model_dtype': metadata['model_dtype'],
    }
