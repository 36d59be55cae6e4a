"""Parser of a compilation."""

import pathlib
import zipfile

from aiida.parsers import Parser

from aiida_ionconduct.calculations.allegro_compile import PARAMETERS, TARGETS
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here


class AllegroCompileParser(Parser):
    """Store the compiled model with the machine it is for."""

    def parse(self, retrieved_temporary_folder=None, **kwargs):
        """What the file states about itself becomes its attributes; a file for ML-IAP states nothing."""
        parameters = PARAMETERS | self.node.inputs.parameters.get_dict()
        compiled = pathlib.Path(retrieved_temporary_folder or '.') / TARGETS[parameters['target']][0]
        if not zipfile.is_zipfile(compiled):  # as all targets are; one that was cut is none
            return self.exit_codes.ERROR_OUTPUT_MODEL_MISSING
        package = self.node.inputs.model
        described = {'package_sha256': package.sha256, 'computer': self.node.computer.label}
        if parameters['target'] == 'mliap':
            described |= {'type_names': package.type_names, 'r_max': package.r_max, 'device': parameters['device']}
        model = AllegroModelData(compiled, **described)
        if package.is_made_here:
            remember_made_here(model.sha256)
        self.out('model', model)
        return None
