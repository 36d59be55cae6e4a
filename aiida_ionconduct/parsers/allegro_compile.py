"""Parser of a compilation."""

from __future__ import annotations

import pathlib
import zipfile
from typing import Any

import numpy as np
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_ionconduct.allegro.acceleration import acceleration, missing_modifier
from aiida_ionconduct.allegro.agreement import agreement, describe_disagreement
from aiida_ionconduct.allegro.parameters import CompileParameters
from aiida_ionconduct.allegro.predictions import read_frames
from aiida_ionconduct.calculations.allegro_compile import REFERENCE_FILE, TARGETS, checked_frame
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.lammps.script import ENERGY_FILE, FORCES_FILE
from aiida_ionconduct.lammps.structure import lammps_rotation
from aiida_ionconduct.parsers.base import exit_code_without, messages, success
from aiida_ionconduct.sampling.statement import ATTRIBUTE

DUMP_HEADER_LINES = 9
"""The lines of a text dump of LAMMPS before its first atom."""


class AllegroCompileParser(Parser):
    """Store the compiled model with the machine it is for, if it gives in LAMMPS what nequip gives."""

    CACHE_VERSION = 3

    def parse(self, retrieved_temporary_folder: str | None = None, **kwargs: Any) -> ExitCode | None:
        """Store the model with its accelerations; what a file for ML-IAP does not state comes from the package."""
        parameters = CompileParameters.stored(self.node.inputs.parameters.get_dict())
        compiled = pathlib.Path(retrieved_temporary_folder or '.') / TARGETS[parameters.target].filename
        package = self.node.inputs.model
        chosen = acceleration(parameters, package.get_content(mode='rb'))
        if not zipfile.is_zipfile(compiled):  # all targets are zip archives; a file that was cut is not
            missing = missing_modifier(messages(self.node)) if chosen.modifiers else None
            if missing:
                return self.exit_codes.ERROR_MODIFIER_MISSING.format(detail=missing)
            return exit_code_without(self, self.exit_codes.ERROR_OUTPUT_MODEL_MISSING)
        computer = self.node.computer
        described = {
            'package_sha256': package.sha256,
            'computer': computer.label if computer else None,
            **chosen.described(),
        }
        if parameters.target == 'mliap':
            described |= {'type_names': package.type_names, 'r_max': package.r_max, 'device': parameters.device}
        if package.labelled_by:
            described[ATTRIBUTE] = package.labelled_by
        try:
            model = AllegroModelData(compiled, **described)
        except ValueError as error:
            return exit_code_without(self, self.exit_codes.ERROR_OUTPUT_MODEL_INVALID.format(detail=error))
        if 'check' in self.node.inputs:
            exit_code = self.compare(pathlib.Path(retrieved_temporary_folder or '.'), model, tf32=parameters.tf32)
            if exit_code is not None:
                return exit_code
        else:
            self.logger.warning('the compiled model was not compared with nequip: give the inputs of `check`.')
        if package.is_made_here:
            remember_made_here(model.sha256)
        self.out('model', model)
        return success(self)

    def compare(self, folder: pathlib.Path, model: AllegroModelData, *, tf32: bool) -> ExitCode | None:
        """Compare LAMMPS with nequip, note in the model how far they differ, and return why the model must not be used.

        :param folder: with the results of both.
        """
        frame = checked_frame(self.node.inputs.check.frame)
        reference = read_frames(folder / REFERENCE_FILE)
        if len(reference) != 1:
            return exit_code_without(self, self.exit_codes.ERROR_CHECK_MISSING.format(missing='nequip'))
        try:
            energy = float((folder / ENERGY_FILE).read_text())
            forces = np.loadtxt(folder / FORCES_FILE, skiprows=DUMP_HEADER_LINES, ndmin=2)
        except (OSError, ValueError):
            return exit_code_without(self, self.exit_codes.ERROR_CHECK_MISSING.format(missing='LAMMPS'))
        if forces.shape != (len(frame), 3):
            return exit_code_without(self, self.exit_codes.ERROR_CHECK_MISSING.format(missing='LAMMPS'))
        back = lammps_rotation(frame.cell.array).T
        outcome = agreement(
            (energy, reference[0].get_potential_energy()), (forces @ back, reference[0].get_forces()), tf32=tf32
        )
        model.base.attributes.set('check', outcome)
        if outcome['agrees']:
            return None
        return self.exit_codes.ERROR_MODEL_DIFFERS.format(difference=describe_disagreement(outcome))
