"""Run the tasks of a sampling job with an ASE calculator. A copy of this file is put into the folder of the job.

This file imports nothing of this package, which need not be installed where the calculator runs. Frames are written as
they come, so that a job that is killed leaves all its whole frames. A job goes on from the frames of an earlier job.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import io
import json
import pathlib
import platform
import sys
import time
from collections.abc import Iterator
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.optimize import FIRE

SETTINGS, CELLS, EARLIER = 'sampling.json', 'cells.extxyz', 'earlier.extxyz'
"""The input files: what to do, the cells to start from, and the frames of the job that this job continues, if any."""
FRAMES, TEACHER, ENDING = 'frames.extxyz', 'teacher.json', 'ending.json'
"""The output files. The ending is written last: a job that has none was killed."""
WEIGHTS = ('.pth', '.pt', '.ckpt', '.model', '.tar', '.zip', '.pkl', '.npz', '.bin', '.safetensors', '.jit', '.h5')
"""Suffixes of files that hold weights; such files are recorded when the calculator opens them."""
FAILED = 'The calculator failed'
MAX_TEMPERATURE_FACTOR, MAX_TEMPERATURE_OFFSET_K = 5, 1000
"""A run of MD above this multiple of its temperature, and so much more, has exploded."""
CHUNK = 1 << 20


class TimeIsUp(Exception):  # noqa: N818 - not an error
    """The time of the job is over."""


def build_calculator(target: str, arguments: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return the calculator, and the paths of the files with weights that it opened.

    :param target: class or function with the path of its module.
    :raises ImportError: if there is no such module, or no such name in it.
    """
    opened: list[str] = []

    def note(event: str, details: tuple[Any, ...]) -> None:
        if event == 'open' and str(details[0]).endswith(WEIGHTS) and 'w' not in str(details[1]):
            opened.append(str(details[0]))

    module, _, name = target.rpartition('.')
    sys.addaudithook(note)
    try:
        factory = getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise ImportError(f'the module {module} has no {name}') from error
    opened.clear()  # what the import has read is no weights
    calculator = factory(**arguments)
    return calculator, [path for path in dict.fromkeys(opened) if pathlib.Path(path).is_file()]


def sha256_of_file(path: str) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as handle:
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def network_of(calculator: Any) -> Any:
    """Return the torch module of a calculator; None if it has none under a usual name."""
    for name in ('model', 'potential', 'net'):
        network = getattr(calculator, name, None)
        if hasattr(network, 'state_dict'):
            return network
    models = getattr(calculator, 'models', None)
    return models[0] if models and hasattr(models[0], 'state_dict') else None


def sha256_of_network(network: Any) -> str:
    """Return the SHA-256 of all names and values of the weights of a torch module, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        if hasattr(tensor, 'detach'):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def versions(target: str) -> dict[str, str]:
    """Return the versions of the package of a calculator, of ASE, torch and Python."""
    top = target.partition('.')[0]
    distributions = importlib.metadata.packages_distributions().get(top, [top])
    known = {'Python': platform.python_version()}
    for name in dict.fromkeys((*distributions, 'ase', 'torch')):
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


def describe(calculator: Any, opened: list[str], teacher: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the calculator: versions, checksums of its weights, device and floating-point type.

    :param opened: files with weights.
    :param teacher: ``title``, ``target``, ``arguments``.
    """
    known = versions(teacher['target'])
    package = next((name for name in known if name not in ('Python', 'torch')), 'ase')
    weights = [{'file': pathlib.Path(path).name, 'sha256': sha256_of_file(path)} for path in opened]
    network = network_of(calculator)
    description: dict[str, Any] = {**teacher, 'versions': known, 'weights': weights}
    if network is not None:
        parameter = next(iter(network.parameters()), None)
        if parameter is not None:
            description.update(device=str(parameter.device), dtype=str(parameter.dtype).rpartition('.')[2])
        if not weights:
            description['weights'] = [{'file': None, 'sha256': sha256_of_network(network)}]
    model = teacher['arguments'].get('model')
    title = teacher['title'] + (f' {pathlib.Path(model).name}' if isinstance(model, str) else '')
    sums = [row['sha256'][:12] for row in description['weights']]
    told = f', weights SHA-256 {" and ".join(sums)}' if sums else ''
    return {**description, 'labelled_by': f'{title} ({package} {known.get(package, "?")}{told})'}


def velocities(masses: np.ndarray, temperature_K: float, rng: np.random.Generator) -> np.ndarray:
    """Return random velocities of a temperature without total momentum, (atoms, 3), in ASE's unit.

    :param masses: (atoms,), u.
    """
    drawn = rng.normal(size=(len(masses), 3)) / np.sqrt(masses)[:, None]
    drawn -= masses @ drawn / masses.sum()
    kinetic = 0.5 * (masses[:, None] * drawn**2).sum()
    return np.asarray(drawn * np.sqrt(1.5 * max(len(masses) - 1, 1) * units.kB * temperature_K / max(kinetic, 1e-12)))


class Sampler:
    """Runs tasks one after the other, and writes every frame at once."""

    def __init__(self, settings: dict[str, Any], calculator: Any, labelled_by: str) -> None:
        self.settings, self.calculator, self.labelled_by = settings, calculator, labelled_by
        self.cells = ase.io.read(CELLS, ':', format='extxyz')
        self.earlier: dict[int, list[Atoms]] = {}
        self.end = time.monotonic() + (settings.get('max_time_s') or float('inf'))
        self.exploded: list[dict[str, Any]] = []
        text = pathlib.Path(EARLIER).read_text(encoding='utf-8') if pathlib.Path(EARLIER).exists() else ''
        for frame in ase.io.read(io.StringIO(text), ':', format='extxyz') if text else []:
            self.earlier.setdefault(int(frame.info['task']), []).append(frame)
        self.handle = open(FRAMES, 'w', encoding='utf-8')  # noqa: SIM115 - open as long as the job runs
        self.handle.write(text)
        self.handle.flush()

    def run(self) -> dict[str, Any]:
        """Run all tasks, and return how the job has ended."""
        try:
            for task in self.settings['tasks']:
                {'md': self.molecular_dynamics, 'relax': self.relaxation, 'single': self.single}[task['kind']](task)
        except TimeIsUp:
            return {'finished': False, 'exploded': self.exploded}
        return {'finished': True, 'exploded': self.exploded}

    def start(self, task: dict[str, Any]) -> tuple[Atoms, int]:
        """Return the frame from which a task goes on, and its step; -1 for a task that has not begun."""
        before = self.earlier.get(task['index'], [])
        last = before[-1] if before else self.cells[task['index']]
        atoms = Atoms(last.symbols, positions=last.positions, cell=last.cell, pbc=True)
        if 'momenta' in last.arrays:
            atoms.set_momenta(last.arrays['momenta'])
        atoms.calc = self.calculator
        return atoms, int(last.info['step']) if before else -1

    def write(self, atoms: Atoms, task: dict[str, Any], step: int, **info: Any) -> None:
        """Write a frame with its labels, then end the job if its time is up."""
        results: dict[str, Any] = {
            'energy': float(atoms.get_potential_energy()),
            'forces': np.array(atoms.get_forces()),
        }
        if 'stress' in self.calculator.implemented_properties:
            results['stress'] = np.array(atoms.get_stress())
        if not all(np.isfinite(value).all() for value in results.values()):
            raise FloatingPointError('an energy, a force or a stress is not finite')
        frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        frame.info = {
            'task': task['index'], 'step': step, 'source': task['source'], 'labelled_by': self.labelled_by, **info
        }  # fmt: skip
        if task['kind'] == 'md':
            frame.set_momenta(atoms.get_momenta())
        frame.calc = SinglePointCalculator(frame, **results)
        text = io.StringIO()
        ase.io.write(text, frame, format='extxyz')
        self.handle.write(text.getvalue())
        self.handle.flush()
        if time.monotonic() > self.end:
            raise TimeIsUp

    def single(self, task: dict[str, Any]) -> None:
        """Calculate one cell."""
        atoms, step = self.start(task)
        if step < 0:
            self.write(atoms, task, 0)

    def molecular_dynamics(self, task: dict[str, Any]) -> None:
        """Run Langevin dynamics; a run that explodes ends, and the frames before are kept."""
        atoms, begin = self.start(task)
        p, T = self.settings['dynamics'], task['temperature_K']
        rng = np.random.default_rng([task['seed'], begin + 1])
        if begin < 0:  # half of the kinetic energy becomes potential energy within a vibration
            atoms.set_velocities(velocities(atoms.get_masses(), 2 * T, rng))
        timestep, friction = p['timestep_fs'] * units.fs, p['friction_per_ps'] / (1000 * units.fs)
        dynamics = Langevin(atoms, timestep, temperature_K=T, friction=friction, rng=rng, fixcm=False)
        info = {'run': task['run'], **({'temperature_K': T} if task['states_temperature'] else {})}
        for step in self.steps(max(begin, 0) + task['stride'], task):
            dynamics.run(task['stride'])
            force, measured = float(np.abs(atoms.get_forces()).max()), atoms.get_temperature()
            limit = MAX_TEMPERATURE_FACTOR * T + MAX_TEMPERATURE_OFFSET_K
            if not (force <= p['max_force_eV_per_A'] and measured <= limit):  # also if a value is not a number
                self.exploded.append({'run': task['run'], 'step': step, 'max_force_eV_per_A': repr(force)})
                return
            self.write(atoms, task, step, time_ps=step * p['timestep_fs'] / 1000, **info)

    def steps(self, first: int, task: dict[str, Any]) -> Iterator[int]:
        """Return the steps at which a run writes its frames."""
        return iter(range(first, task['steps'] + 1, task['stride']))

    def relaxation(self, task: dict[str, Any]) -> None:
        """Relax positions, and the cell if asked for; the last frame states whether the forces are small enough."""
        atoms, step = self.start(task)
        last = self.earlier.get(task['index'], [])
        if last and last[-1].info.get('relaxed'):
            return
        kept = keep_symmetry(atoms)
        optimiser = FIRE(FrechetCellFilter(atoms) if task['with_cell'] else atoms, logfile=None)
        first = max(step, 0)
        for number, relaxed in enumerate(optimiser.irun(fmax=task['force_eV_per_A'], steps=task['steps'] - first)):
            self.write(atoms, task, first + number, relaxed=bool(relaxed), symmetry_kept=kept)


def keep_symmetry(atoms: Atoms) -> bool:
    """Let a relaxation keep the symmetry of a crystal, which the noise of a calculator in single precision breaks.

    :return: False where spglib is missing, or refuses the cell, as it does if atoms are very near to each other.
    """
    try:
        from ase.constraints import FixSymmetry

        atoms.set_constraint(FixSymmetry(atoms))
    except Exception:  # the errors of spglib differ between its versions
        return False
    return True


def main() -> int:
    """Run the job in the present folder."""
    settings = json.loads(pathlib.Path(SETTINGS).read_text())
    teacher = settings['teacher']
    try:
        calculator, opened = build_calculator(teacher['target'], teacher['arguments'])
    except Exception as error:
        print(f'{FAILED}: {type(error).__name__}: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    description = describe(calculator, opened, teacher)
    pathlib.Path(TEACHER).write_text(json.dumps(description))
    try:
        ending = Sampler(settings, calculator, description['labelled_by']).run()
    except Exception as error:
        print(f'{FAILED}: {type(error).__name__}: {" ".join(str(error).split())}', file=sys.stderr)
        raise
    pathlib.Path(ENDING).write_text(json.dumps(ending))
    return 0


if __name__ == '__main__':
    sys.exit(main())
