"""The jobs of the benchmark of teaching: sampling, labels, trainings and errors, each as a job of AiiDA."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms
from tabulate import tabulate

from aiida_ionconduct.calculations.allegro_evaluate import AllegroEvaluateCalculation
from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation
from aiida_ionconduct.calculations.ase_sampling import AseSamplingCalculation
from aiida_ionconduct.calculations.functions.sampling import choose_frames, fit_energy_shifts
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.sampling.tasks import single_tasks
from aiida_ionconduct.structures import crystal, substitute
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.sampling import DYNAMICS, SamplingWorkChain
from aiida_ionconduct.workchains.stage_inputs import label_inputs, sampling_inputs
from lib import programs

QUICKSTART = {'replace': 'P', 'by': 'Si', 'n_sites': 1, 'compensate': 'Li', 'strain': 0.01}
OPTIONS = {'max_wallclock_seconds': 24 * 3600}
CUTOFF_RY = 60.0


class Engines:
    """The codes of a new profile, and what is done with them."""

    def __init__(self, folder: pathlib.Path, *, with_dft: bool) -> None:
        computer = programs.computer(folder, 0.5)
        self.train_code = programs.code(computer, programs.executable('nequip-train'), 'ionconduct.allegro.train')
        package = programs.executable('nequip-package')
        self.package_code = programs.code(computer, package, 'ionconduct.allegro.train')
        self.ase_code = programs.code(computer, sys.executable, 'ionconduct.ase.sampling')
        self.protocol = protocol_inputs('conductivity', 'overnight', {'dft': {'ecutwfc': CUTOFF_RY}})
        if with_dft:
            from aiida_ionconduct.farm import pseudopotentials

            self.pw_code = programs.code(computer, programs.executable('pw.x'), 'quantumespresso.pw')
            cache = pathlib.Path.home() / '.cache' / 'aiida-ionconduct'
            pseudopotentials.install_family(pseudopotentials.fetch_upf_files(cache))

    def inputs_of_sampling(self, p: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs of the sampling."""
        pretrained = {**self.protocol['pretrained'], **p['sampling'], 'temperatures_K': list(p['temperatures_K'])}
        return dict(sampling_inputs(self.ase_code, {**self.protocol, 'pretrained': pretrained}, 'Li', []))

    def sample(self, name: str, source: str, p: dict[str, Any]) -> list[Atoms]:
        """Return frames of a material with the labels of the pretrained potential."""
        atoms = substitute(crystal(source), **QUICKSTART) if name == 'Li7PSiO8' else crystal(source)
        inputs = self.inputs_of_sampling(p)
        relaxed = {**inputs['parameters'].get_dict(), 'relax': p['relax']}
        inputs['parameters'] = orm.Dict(relaxed)
        return self.finished(SamplingWorkChain, structure=orm.StructureData(ase=atoms), **inputs)[
            'dataset'
        ].get_frames()

    def label(self, name: str, frames: list[Atoms], n_frames: int) -> list[Atoms]:
        """Return diverse frames with labels of DFT, at the settings of the protocol `overnight`."""
        dataset = DatasetData.from_frames(frames)
        chosen = choose_frames(orm.Dict({'n_frames': n_frames}), dataset)['frames']
        structure = orm.StructureData(ase=frames[0])
        inputs = label_inputs(self.pw_code, structure, self.protocol)
        inputs['parameters'] = orm.Dict({**inputs['parameters'].get_dict(), 'source': 'sampled'})
        return self.finished(LabelWorkChain, frames=chosen, **inputs)['dataset'].get_frames()

    def error_of_teacher(self, frames: list[Atoms]) -> float:
        """Return the mean absolute error in eV/Å of the forces of the pretrained potential alone."""
        job = self.inputs_of_sampling({'sampling': {}, 'temperatures_K': (1000,)})['base']['job']
        outputs = self.finished(
            AseSamplingCalculation,
            cells=frames_to_trajectory(frames),
            tasks=orm.List(single_tasks(len(frames), 'held_out')),
            dynamics=orm.Dict({name: self.protocol['pretrained'][name] for name in DYNAMICS}),
            **job,
        )
        errors = [
            np.abs(predicted.get_forces() - frame.get_forces()).mean()
            for predicted, frame in zip(outputs['dataset'].get_frames(), frames, strict=True)
        ]
        return float(np.mean(errors))

    def train(
        self,
        frames: list[Atoms],
        held_out: list[Atoms] | None,
        parameters: dict[str, Any],
        initial: AllegroModelData | None = None,
    ) -> tuple[AllegroModelData, float]:
        """Train, and return the model and the mean absolute error of its forces on held-out frames in eV/Å.

        A fifth of the frames is for validation, and counts as labels; without held-out frames, another tenth is the
        test.

        :param initial: the model from whose weights the training starts, with energies of atoms fitted anew.
        """
        if held_out is None:
            held_out, frames = frames[::10], [frame for index, frame in enumerate(frames) if index % 10]
        n_validation = max(len(frames) // 5, 1)
        parts = {'train': frames[n_validation:], 'validation': frames[:n_validation], 'test': held_out}
        sets = {name: DatasetData.from_frames(part) for name, part in parts.items()}
        start: dict[str, Any] = {}
        if initial is not None:
            predictions = self.finished(
                AllegroEvaluateCalculation,
                code=self.train_code,
                frames=sets['train'],
                models={'initial': initial},
                accelerator=orm.Str('cpu'),
                without_shifts=orm.Bool(True),
                metadata={'options': OPTIONS},
            )['predictions']
            shifts = fit_energy_shifts(sets['train'], predictions)
            start = {'initial_model': initial, 'energy_shifts': shifts}
        outputs = self.finished(
            AllegroTrainCalculation,
            code=self.train_code,
            package_code=self.package_code,
            parameters=orm.Dict(parameters),
            metadata={'options': OPTIONS},
            **sets,
            **start,
        )
        return outputs['model'], outputs['output_parameters']['test_forces_mae_eV_per_A']

    def finished(self, process: Any, **inputs: Any) -> Any:
        """Run a process and return its outputs.

        :raises RuntimeError: if it fails.
        """
        outputs, node = run_get_node(process, **inputs)
        if not node.is_finished_ok:
            raise RuntimeError(f'{node.process_label} failed: {node.exit_message or node.exception}')
        return outputs


def table(name: str, results: dict[str, Any], rates: list[float]) -> str:
    """Return the errors of a material as a table, in meV/Å."""
    rows = []
    for n_labels, row in results['by_labels'].items():
        tuned = [1000 * row['tuned'][str(rate)] for rate in rates]
        rows.append((n_labels, 1000 * row['scratch'], *tuned, min(tuned) / (1000 * row['scratch'])))
    headers = ('DFT labels', 'from scratch', *(f'fine-tuned, rate {rate:g}' for rate in rates), 'ratio')
    alone = f'{1000 * results["teacher"]:.0f} meV/Å'
    return f'\n{name}: force MAE in meV/Å; the pretrained potential alone {alone}\n' + tabulate(
        rows, headers=headers, floatfmt='.3g'
    )
