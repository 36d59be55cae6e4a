"""A campaign that takes seconds: every stage is a stub with the real inputs, which hands out small made-up results.

The worker that runs the campaign kills itself right after it has submitted a stage, if the folder in the environment
variable ``STUB_CAMPAIGN`` has a file with the name of the call link label; the file is renamed to ``LABEL.killed``. The
module must be importable by the daemon.
"""

import io
import os
import pathlib
import signal
import time

import numpy as np
from aiida import orm
from aiida.engine import ProcessState
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.data.model import remember_made_here
from aiida_ionconduct.labels import run_label, temperature_label
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.label import LabelWorkChain
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.sampling import SamplingWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain
from aiida_ionconduct.workchains.validation import ValidationWorkChain
from random_walk import random_walk

FOLDER = 'STUB_CAMPAIGN'
BEGUN_WITHIN_S = 5  # another worker may begin the child before this worker is killed


def make_stub(cls, spec):
    """Let a work chain do nothing but attach outputs, none of which is required."""
    super(cls, cls).define(spec)
    spec.outline(cls.attach_outputs)
    for port in spec.outputs.values():
        port.required = False


class StubRelax(RelaxWorkChain):
    """Leaves the structure as it is."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        self.out('output_structure', self.inputs.structure)


class StubAimd(AimdWorkChain):
    """The crystal at rest, with a small force."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        atoms, n_frames = self.inputs.structure.get_ase(), 10
        for T in self.inputs.temperatures_K:
            trajectory = orm.TrajectoryData()
            trajectory.set_trajectory(
                symbols=list(atoms.symbols),
                positions=np.repeat(atoms.positions[None], n_frames, axis=0),
                cells=np.repeat(atoms.cell.array[None], n_frames, axis=0),
                stepids=np.arange(n_frames),
                pbc=(True, True, True),
            )
            trajectory.set_array('forces', np.full((n_frames, len(atoms), 3), 0.1))
            trajectory.set_array('energy', T + np.arange(float(n_frames)))
            self.out(f'trajectories.{temperature_label(T)}', trajectory.store())


class StubSampling(SamplingWorkChain):
    """The crystal, rattled, with labels of nothing."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        frames = []
        for seed in range(6):
            frame = self.inputs.structure.get_ase()
            frame.rattle(0.1, seed=seed)
            frame.info.update(source='pretrained_md', labelled_by='a stub')
            frame.calc = SinglePointCalculator(frame, energy=float(seed), forces=np.zeros_like(frame.positions))
            frames.append(frame)
        self.out('dataset', DatasetData.from_frames(frames).store())
        self.out('output_parameters', orm.Dict({'labelled_by': 'a stub'}).store())


class StubLabel(LabelWorkChain):
    """Labels frames with energies that tell them apart, and without forces."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        frames = [
            self.inputs.frames.get_step_structure(index).get_ase() for index in range(self.inputs.frames.numsteps)
        ]
        for index, frame in enumerate(frames):
            frame.info['source'] = self.inputs.parameters['source']
            frame.calc = SinglePointCalculator(
                frame, energy=self.node.pk + index / 10, forces=np.zeros_like(frame.positions)
            )
        self.out('dataset', DatasetData.from_frames(frames).store())


class StubAllegro(AllegroWorkChain):
    """Makes files that nothing reads."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        for name, filename in (('model', 'model.nequip.zip'), ('compiled_model', 'model.nequip.pt2')):
            content = io.BytesIO(f'{filename} {self.node.pk}'.encode())
            model = AllegroModelData(content, filename=filename, type_names=['Li', 'P', 'O'], r_max=4.5).store()
            remember_made_here(model.sha256)
            self.out(name, model)
        self.out('output_parameters', orm.Dict({'n_epochs': 1}).store())
        self.out('parity', orm.ArrayData(np.zeros(3)).store())


class StubSeeds(SeedsWorkChain):
    """Lets the mobile ions walk at random."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        for T in self.inputs.temperatures_K:
            for seed in self.inputs.seeds:
                run = random_walk(self.inputs.base.md.structure.get_ase(), T, seed, n_frames=200)  # 20 ps
                self.out(f'trajectories.{run_label(T, seed)}', run.store())


class StubValidation(ValidationWorkChain):
    """Passes every potential."""

    define = classmethod(make_stub)

    def attach_outputs(self):
        self.out('validation', orm.Dict({'passed': True, 'failed': [], 'checks': []}).store())


STUBS = {
    RelaxWorkChain: StubRelax,
    AimdWorkChain: StubAimd,
    SamplingWorkChain: StubSampling,
    LabelWorkChain: StubLabel,
    AllegroWorkChain: StubAllegro,
    SeedsWorkChain: StubSeeds,
    ValidationWorkChain: StubValidation,
}


class StubCampaign(ConductivityWorkChain):
    """The real top chain over stubs of its stages."""

    def submit(self, process, inputs=None, **kwargs):
        """Submit a stub in the place of a stage; then kill the worker, if it is asked for."""
        node = super().submit(STUBS[process], inputs, **kwargs)
        wish = pathlib.Path(os.environ[FOLDER], kwargs['metadata']['call_link_label'])
        if wish.exists():
            end = time.monotonic() + BEGUN_WITHIN_S
            while node.process_state is ProcessState.CREATED and time.monotonic() < end:
                time.sleep(0.1)
            wish.rename(f'{wish}.killed')
            os.kill(os.getpid(), signal.SIGKILL)
        return node
