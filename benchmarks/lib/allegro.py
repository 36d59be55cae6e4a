"""What the benchmarks of molecular dynamics share: a crystal, a model trained on the spot, LAMMPS on replicas."""

from __future__ import annotations

import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys

import ase.io
import yaml
from ase import Atoms

from lib.programs import executable

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # a machine without AiiDA needs the package's plain parts only

from aiida_ionconduct.allegro.configuration import FILES, METRICS, nequip_configuration  # noqa: E402
from aiida_ionconduct.allegro.parameters import TrainingParameters  # noqa: E402
from aiida_ionconduct.lammps import log, script  # noqa: E402
from aiida_ionconduct.lammps.parameters import MdParameters  # noqa: E402
from aiida_ionconduct.lammps.plugin import build  # noqa: E402
from aiida_ionconduct.lammps.structure import data_file, species_order  # noqa: E402

FRAMES = ROOT / 'tests' / 'integration' / 'data' / 'Li7PSiO8_17atoms_dft_23frames.extxyz'
TYPE_NAMES = ['Li', 'P', 'Si', 'O']
MODEL = 'model.nequip.pt2'


def run(command: list[str], folder: pathlib.Path, threads: int = 1, **environment: str) -> str:
    """Run a command of this Python environment in a folder; return what it prints.

    :raises RuntimeError: with the end of the output, if it fails.
    """
    done = subprocess.run(
        [executable(command[0]), *map(str, command[1:])],
        cwd=folder,
        env={**os.environ, 'OMP_NUM_THREADS': str(threads), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f'{" ".join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-3000:]}')
    return done.stdout + done.stderr


def solid_solution() -> Atoms:
    """Return Li52 P12 Si4 O64: a quarter of the P of β-Li3PO4 replaced by Si, not relaxed.

    The file was made with ``substitute(crystal('beta-Li3PO4').repeat((2, 2, 2)), 'P', 'Si', n_sites=4)``, which a
    machine for benchmarks need not be able to repeat.
    """
    return ase.io.read(pathlib.Path(__file__).with_name('Li52P12Si4O64.extxyz'))


def train(folder: pathlib.Path, parameters: dict) -> dict[str, float]:
    """Train on the frames of the tests in a folder, which then holds ``best.ckpt``; return the errors on the others.

    :param parameters: see :class:`~aiida_ionconduct.allegro.parameters.TrainingParameters`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = ase.io.read(FRAMES, ':')
    for name, part in {'train': frames[::2], 'validation': frames[1::4], 'test': frames[3::4]}.items():
        ase.io.write(folder / FILES[name], part)
    configuration = nequip_configuration(TrainingParameters.check(parameters), TYPE_NAMES)
    (folder / 'config.yaml').write_text(yaml.safe_dump(configuration))
    run(['nequip-train', '-cp', folder, '-cn', 'config', f'hydra.run.dir={folder}'], folder, threads=os.cpu_count())
    with (folder / METRICS).open() as handle:
        rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(handle)]
    last = {key: value for row in rows for key, value in row.items()}
    return {
        'forces_mae_eV_per_A': float(last['test0_epoch/forces_mae']),
        'energy_mae_eV_per_atom': float(last['test0_epoch/per_atom_energy_mae']),
    }


def compiled(folder: pathlib.Path, name: str, device: str, target: str, tf32=False, modifiers=()) -> pathlib.Path:
    """Compile ``best.ckpt`` of a folder; return the file, in a folder of that name."""
    path = folder / name / MODEL
    path.parent.mkdir(exist_ok=True)
    options = ['--mode', 'aotinductor', '--target', target, '--device', device, '--tf32' if tf32 else '--no-tf32']
    run(
        ['nequip-compile', *options, *(('--modifiers', *modifiers) if modifiers else ()), 'best.ckpt', path], folder,
        threads=os.cpu_count(),
    )  # fmt: skip
    return path


def lammps(
    folder: pathlib.Path,
    atoms: Atoms,
    model: pathlib.Path,
    replicas: int = 1,
    threads: int = 1,
    *,
    pair_options: str = '',
    **parameters,
) -> dict[str, float]:
    """Run the production script of the package; return ms a step and the share of time outside the model.

    :param pair_options: of the pair style, such as `` edges device``.
    :param parameters: of :class:`~aiida_ionconduct.lammps.parameters.MdParameters`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = list(range(1, replicas + 1))
    values = {'temperature_K': 600.0, 'timestep_fs': 1.0, 'equilibration_steps': 20, 'seeds': seeds, **parameters}
    text = script.md_script(
        species_order(atoms.symbols), len(atoms), MdParameters.check(values), pair_options=pair_options
    )
    (folder / 'lammps.in').write_text(text)
    replicated = seeds if replicas > 1 else ()
    (folder / script.STRUCTURE_FILE).write_text(data_file(atoms, replicated, values['temperature_K']))
    shutil.copy(model, folder / MODEL)
    run(['lmp', '-in', 'lammps.in', '-log', 'lammps.log', '-screen', 'none'], folder, threads=threads)
    printed = (folder / 'lammps.log').read_text()
    production = log.read_log(printed).production
    calls, seconds = re.search(r'Allegro model: (\d+) calls, (\S+) s', printed).groups()
    lists, before, to_kB, from_kB = re.search(
        r'Allegro edges: (\d+) lists, (\S+) s, (\S+) kB to and (\S+) kB from', printed
    ).groups()
    stages = log.read_log(printed).stages
    loops, steps = sum(stage.loop_time_s for stage in stages), sum(stage.n_steps for stage in stages)
    return {
        'ms_per_step': 1000 * production.loop_time_s / production.n_steps,
        # every run calls the model once before its first step, outside of the time of the loop
        'outside_model': 1 - float(seconds) * steps / int(calls) / loops,
        'edges_us_per_call': 1e6 * float(before) / int(calls),
        'kB_to_and_from_model': [float(to_kB), float(from_kB)],
        'neighbour_lists': int(lists),
    }


def build_plugin() -> pathlib.Path:
    """Build the pair style for the LAMMPS and torch that are here, whichever torch that is."""
    given = os.environ.get('LAMMPS_PLUGIN_PATH')
    folder = pathlib.Path(given) if given else build.SOURCE.parent
    return build.build(folder, build.PINS | {'torch': ''})[0]
