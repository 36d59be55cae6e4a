"""Parser of a compilation."""

from __future__ import annotations

import pathlib
import zipfile
from typing import Any

from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_ionconduct.allegro.parameters import CompileParameters
from aiida_ionconduct.calculations.allegro_compile import TARGETS
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.parsers.base import exit_code_without, success


class AllegroCompileParser(Parser):
    """Store the compiled model with the machine it is for."""

    CACHE_VERSION = 1

    def parse(self, retrieved_temporary_folder: str | None = None, **kwargs: Any) -> ExitCode | None:
        """Store the model; what a file for ML-IAP does not state about itself comes from the package."""
        parameters = CompileParameters.stored(self.node.inputs.parameters.get_dict())
        compiled = pathlib.Path(retrieved_temporary_folder or '.') / TARGETS[parameters.target].filename
        if not zipfile.is_zipfile(compiled):  # all targets are zip archives; a file that was cut is not
            return exit_code_without(self, self.exit_codes.ERROR_OUTPUT_MODEL_MISSING)
        package = self.node.inputs.model
        computer = self.node.computer
        described = {'package_sha256': package.sha256, 'computer': computer.label if computer else None}
        if parameters.target == 'mliap':
            described |= {'type_names': package.type_names, 'r_max': package.r_max, 'device': parameters.device}
        model = AllegroModelData(compiled, **described)
        if package.is_made_here:
            remember_made_here(model.sha256)
        self.out('model', model)
        return success(self)
