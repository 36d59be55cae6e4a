"""An Allegro potential as a node."""

from __future__ import annotations

import hashlib
import io
import pathlib
from collections.abc import Iterable
from typing import Any, BinaryIO

from aiida import orm
from aiida.manage import get_manager

from aiida_ionconduct.allegro.package import ModelFormat, format_of, read_metadata
from aiida_ionconduct.data.display import bars, card, node_title
from aiida_ionconduct.data.reduced import complaint_about_file
from aiida_ionconduct.sampling.statement import ATTRIBUTE

TRUST_HELP = 'Whether a model may be loaded that was not made by a training in this profile.'


class AllegroModelData(orm.SinglefileData):
    """An Allegro potential: the portable package, or a file compiled from it for one kind of machine.

    The file is never unpickled here: what is known of the model is read from the text files inside the archive, or
    handed over by the parser that made the node.
    """

    def __init__(self, file: str | pathlib.Path | BinaryIO, filename: str | None = None, **kwargs: Any) -> None:
        """Store the file with its SHA-256 and its description as attributes.

        :param file: path or binary stream.
        :param filename: name in the repository; it decides the format (``.nequip.zip``, ``.nequip.pt2`` or
            ``.nequip.lmp.pt``).
        :param kwargs: ``type_names`` (list of chemical symbols in the model's order), ``r_max`` (Å), and anything worth
            a query, such as ``metrics``, ``device``, ``torch_version``. When the first two are not given, they are
            read from the file; a file of the format ``mliap`` does not state them.
        :raises ValueError: if the file is neither a package nor a compiled model, or does not state its types.
        """
        if isinstance(file, (str, pathlib.Path)):
            content, name = pathlib.Path(file).read_bytes(), str(file)
        else:
            content, name = file.read(), getattr(file, 'name', '')
        filename = filename or pathlib.Path(name).name
        described = {key: kwargs.pop(key) for key in tuple(kwargs) if key not in ('label', 'description', 'user')}
        super().__init__(io.BytesIO(content), filename=filename, **kwargs)
        stated = {'model_format': format_of(filename), 'sha256': hashlib.sha256(content).hexdigest()}
        if not {'type_names', 'r_max'} <= described.keys():
            described = {**read_metadata(content, filename), **described}
        self.base.attributes.set_many({**described, **stated})

    @property
    def model_format(self) -> ModelFormat:
        """``package``, the portable model, or what was made from it for one machine: ``aotinductor`` or ``mliap``."""
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
        """Return a table of what is known of the model, for notebooks, without opening the file."""
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
            *(('Trained on labels of', f'{teacher}, not of DFT') for teacher in a.get(ATTRIBUTE, [])),
            ('Device', a.get('device')),
            ('SHA-256', f'{a["sha256"][:12]}…'),
        ]
        by_element = metrics.get('test_forces_mae_by_element') or {}
        scaled = {symbol: 1000 * value for symbol, value in by_element.items()}
        return card(node_title(self), rows, bars('Force MAE by element (meV/Å)', scaled))

    @property
    def labelled_by(self) -> list[str]:
        """Pretrained potentials whose energies and forces the model has learnt; empty if all labels are of DFT."""
        return list(self.base.attributes.get(ATTRIBUTE, []))

    def missing_types(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols that the model was not trained on, sorted."""
        return sorted(set(symbols) - set(self.type_names))

    @property
    def is_made_here(self) -> bool:
        """Whether a training or a compilation in this profile has made the file."""
        return is_made_here(self.sha256)

    def check(self, trust_model: orm.Bool | None) -> str | None:
        """Return why the file must not be handed to a program that unpickles it, or None.

        :param trust_model: whether the user trusts the file.
        """
        if complaint := complaint_about_file(self, self.filename):
            return f'{complaint}: compile the packaged model again.'
        if hashlib.sha256(self.get_content(mode='rb')).hexdigest() != self.sha256:
            return (
                f'the file {self.filename} of {type(self).__name__}<{self.pk}> is not the file that was stored: its '
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
"""Key of a file in the settings of the profile's storage. Unlike attributes and extras, the settings are not part of
archives: a file that was imported cannot say of itself that it was made here."""


def remember_made_here(sha256: str) -> None:
    """Note in the settings of the storage that a job in this profile has made a file."""
    get_manager().get_profile_storage().set_global_variable(MADE_HERE.format(sha256), True)


def is_made_here(sha256: str) -> bool:
    """Return whether a job in this profile has made a file."""
    try:
        return bool(get_manager().get_profile_storage().get_global_variable(MADE_HERE.format(sha256)))
    except KeyError:
        return False
