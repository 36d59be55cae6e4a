"""Parser of a compilation."""

import pathlib

from aiida.parsers import Parser

from aiida_ionconduct.calculations.allegro_compile import COMPILED
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here


class AllegroCompileParser(Parser):
    """Store the compiled model with the machine it is for."""

    def parse(self, retrieved_temporary_folder=None, **kwargs):
        """What the file states about itself becomes its attributes."""
        compiled = pathlib.Path(retrieved_temporary_folder or '.') / COMPILED
        if not compiled.exists():
            return self.exit_codes.ERROR_OUTPUT_MODEL_MISSING
        package = self.node.inputs.model
        model = AllegroModelData(compiled, package_sha256=package.sha256, computer=self.node.computer.label)
        if package.is_made_here:
            remember_made_here(model.sha256)
        self.out('model', model)
        return None
