"""Molecular dynamics on one GPU, in parts that are kept: speed, precision, errors, roofline, profile and training.

One command, which also works where there is no network: `benchmarks/gpu/fetch.sh` puts what such a machine lacks into
`benchmarks/gpu/wheels`, and this script installs it from there into a folder of its own.

    python3 benchmarks/gpu/run.py [--device cpu --quick] [--output benchmarks/gpu/results]

Every part is written into the JSON file when it is done. After `--budget-s` no new part is begun; the same command goes
on with the parts that are left. The parts, of each model: a training; compilations in FP32, TF32 and BF16 with and
without Allegro's kernel in Triton; the forces of each against FP64; 1 to 16 replicas of 132 atoms in LAMMPS; the
operations of a call, and from them the least time on this device (the roofline); a profile of the fastest compilation.

Two models: the model of the talk (r_max 6 Å, l_max 3, 128 features, two layers) and a lean model of two layers, so that
both can use the kernel in Triton. `one-layer` is a third, for which there is no kernel. They are trained here, on the
frames of the tests, for as long as given, so that forces are sensible and an error can be stated beside the speed.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Iterator

HERE = pathlib.Path(__file__).resolve().parent
TALK_PS_PER_DAY = 430.0  # of the talk, on one A100
TARGETS = {
    'talk FP32': ('times the talk, one cell', 17.0),
    'talk TF32': ('times the talk, one cell', 40.0),
    'lean': ('ns/day in aggregate', 100.0),
    'outside': ('% of a step outside of the model, one cell of the talk', 10.0),
}
COMMON = {'batch_size': 2, 'learning_rate': 0.002, 'num_bessels': 8}
MODELS = {
    'talk': {
        'r_max': 6.0, 'l_max': 3, 'num_layers': 2, 'num_scalar_features': 128, 'num_tensor_features': 128,
        'mlp_depth': 3, 'mlp_width': 1024, 'readout_width': 128, **COMMON,
    },
    'lean': {
        'r_max': 5.0, 'l_max': 1, 'num_layers': 2, 'num_scalar_features': 64, 'num_tensor_features': 16,
        'mlp_depth': 1, 'mlp_width': 128, 'readout_width': 32, **COMMON,
    },
    'one-layer': {
        'r_max': 5.0, 'l_max': 2, 'num_layers': 1, 'num_scalar_features': 64, 'num_tensor_features': 32,
        'mlp_depth': 1, 'mlp_width': 128, 'readout_width': 32, **COMMON,
    },
}  # fmt: skip
TINY = {'num_scalar_features': 16, 'num_tensor_features': 4, 'mlp_depth': 1, 'mlp_width': 16, 'readout_width': 16}
TIMESTEP_FS = 2.0
TRITON = 'enable_TritonContracter'
PRECISIONS = ('FP32', 'TF32', 'BF16')
PEAKS = {  # TFLOP/s of dense products in FP32, TF32, BF16, and TB/s; vendors' data sheets
    'H200': (67.0, 494.0, 989.0, 4.8), 'H100': (67.0, 494.0, 989.0, 3.35), 'A100': (19.5, 156.0, 312.0, 2.0),
}  # fmt: skip
STRIDES = {'frame_stride': 100, 'com_stride': 10, 'thermo_stride': 100}


def install_wheels() -> None:
    """Install the wheels that were carried along, if there are any, over this Python's packages, and start again."""
    wheels = sorted((HERE / 'wheels').glob('*.whl'))
    folder = pathlib.Path(tempfile.gettempdir()) / f'ionconduct-gpu-{os.getuid()}'
    python = folder / 'bin' / 'python3'
    if not wheels or pathlib.Path(sys.prefix) == folder:
        return
    venv.create(folder, clear=True, with_pip=False)
    site = next(folder.glob('lib/python*/site-packages'))
    (site / 'parent.pth').write_text('\n'.join(path for path in sys.path if path.endswith('-packages')) + '\n')
    command = [sys.executable, '-m', 'pip', f'--python={python}', 'install', '-q', '--no-index', '--no-deps']
    subprocess.run([*command, '--ignore-installed', *map(str, wheels)], check=True)
    os.environ['PYTHONPATH'] = str(HERE.parents[1])
    os.environ['LAMMPS_PLUGIN_PATH'] = str(folder / 'plugin')
    os.execve(python, [str(python), *sys.argv], os.environ)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--quick', action='store_true', help='tiny models and few steps: a check that all works')
    parser.add_argument('--models', default='talk,lean', help=f'which of {", ".join(MODELS)}, separated by commas')
    parser.add_argument('--precisions', default=','.join(PRECISIONS))
    parser.add_argument('--epochs', type=int, default=30, help='of the training, which sets the accuracy stated')
    parser.add_argument('--steps', type=int, default=200, help='timed MD steps of each case')
    parser.add_argument('--replicas', default='1,2,4,8,16')
    parser.add_argument('--edges', choices=('auto', 'host', 'device', 'skin'), default='auto')
    parser.add_argument('--budget-s', type=float, default=540, help='begin no new part after so many seconds')
    parser.add_argument(
        '--workers', type=int, default=max(1, (os.cpu_count() or 2) // 2), help='compilations at a time'
    )
    parser.add_argument('--again', action='store_true', help='repeat parts that have failed')
    parser.add_argument('--output', type=pathlib.Path, default=HERE / 'results')
    parser.add_argument(
        '--work', type=pathlib.Path, help='folder for models, kept for the next call; by default in the output folder'
    )
    return parser.parse_args()


def device_name(device: str) -> str:
    """Return what the results are measured on."""
    import torch

    if device == 'cuda':
        return torch.cuda.get_device_name()
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    model = next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), 'unknown CPU')
    return f'{model}, {os.cpu_count()} cores'


class Parts:
    """The results so far, by the key of the part, in a file; each is written when it is done."""

    def __init__(self, path: pathlib.Path, description: dict, budget_s: float, again: bool) -> None:
        """Read what an earlier call has left, if it had the same description."""
        self.path, self.description, self.end = path, description, time.monotonic() + budget_s
        self.results: dict[str, dict] = {}
        if path.exists():
            stored = json.loads(path.read_text())
            if {key: stored.get(key) for key in description} == description:
                self.results = stored['parts']
        if again:
            self.results = {key: result for key, result in self.results.items() if 'error' not in result}
        self.left: set[str] = set()
        self.lock = threading.Lock()

    def do(self, key: str, work: Callable[[], dict]) -> dict | None:
        """Return the result of a part, which is done now if it is new and there is time; None if there is none."""
        if key not in self.results:
            if time.monotonic() > self.end:
                self.left.add(key)
                return None
            start = time.monotonic()
            try:
                result = work()
            except (RuntimeError, OSError, ValueError, AttributeError) as error:  # the other parts are worth having
                result = {'error': str(error)[-1500:]}
            with self.lock:
                self.results[key] = {**result, 'wall_s': round(time.monotonic() - start, 2)}
                self.path.write_text(json.dumps({**self.description, 'parts': self.results}, indent=1))
            print(f'{key}: {json.dumps(self.results[key])[:300]}', flush=True)
        result = self.results[key]
        return None if 'error' in result else result


def cases(options: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Yield precision and whether the kernel in Triton is used, most important first."""
    kernels = (True, False) if options.device == 'cuda' else (False,)
    for triton in kernels:
        for precision in options.precisions.split(','):
            yield precision, triton


def case_name(precision: str, triton: bool) -> str:
    """Return the name of a compilation."""
    return f'{precision}{" Triton" if triton else ""}'


def inside(folder: pathlib.Path, *arguments: object) -> str:
    """Run a command of `inside.py` in a folder, and return its line of JSON, if it prints one."""
    from lib.allegro import run

    python = [sys.executable, HERE / 'inside.py', *arguments]
    printed = run(python, folder, threads=os.cpu_count() or 1)
    return next((line for line in reversed(printed.splitlines()) if line.startswith('{')), '')


def compiled_case(folder: pathlib.Path, name: str, checkpoint: str, options: argparse.Namespace) -> dict:
    """Compile a checkpoint for the pair style with the accelerations of the package; return the path."""
    from aiida_ionconduct.allegro.acceleration import DEFAULTS, acceleration_arguments
    from lib.allegro import MODEL, run

    path = folder / name.replace(' ', '-') / MODEL
    path.parent.mkdir(exist_ok=True)
    default = DEFAULTS[options.device]
    if 'Triton' not in name:
        default = default._replace(modifiers=())
    if options.quick or name == 'FP64':
        default = default._replace(inductor_configs={})
    arguments = [
        *acceleration_arguments(default), '--mode', 'aotinductor', '--target', 'pair_allegro', '--device',
        options.device, '--tf32' if 'TF32' in name else '--no-tf32', checkpoint, path,
    ]  # fmt: skip
    if 'BF16' in name:
        inside(folder, 'bf16', *arguments)
    else:
        run(['nequip-compile', *arguments], folder, threads=1)
    return {'path': str(path.relative_to(folder)), 'arguments': [str(word) for word in arguments[:-2]]}


def forces(folder: pathlib.Path, path: pathlib.Path, name: str) -> list:
    """Return the forces of a compiled model on the rattled solid solution in LAMMPS, (132, 3), eV/Å."""
    import numpy as np

    from aiida_ionconduct.lammps.structure import data_file, species_order
    from lib.allegro import run, solid_solution

    atoms = solid_solution()
    atoms.rattle(0.05, seed=1)
    place = folder / f'forces-{name.replace(" ", "-")}'
    place.mkdir(exist_ok=True)
    (place / 'structure.data').write_text(data_file(atoms))
    species = ' '.join(species_order(atoms.symbols))
    (place / 'lammps.in').write_text(
        'units metal\natom_style atomic\natom_modify map array\nread_data structure.data\npair_style allegro\n'
        f'pair_coeff * * {path} {species}\ndump forces all custom 1 forces.txt fx fy fz\n'
        'dump_modify forces sort id format float %.16g\nrun 0\n'
    )
    run(['lmp', '-in', 'lammps.in', '-screen', 'none'], place)
    return np.loadtxt(place / 'forces.txt', skiprows=9)


def force_errors(folder: pathlib.Path, name: str, paths: dict[str, pathlib.Path]) -> dict[str, float]:
    """Return the errors of the forces of a compiled model against FP64, eV/Å."""
    import numpy as np

    difference = np.abs(forces(folder, paths[name], name) - forces(folder, paths['FP64'], 'FP64'))
    return {'mean_eV_per_A': float(difference.mean()), 'largest_eV_per_A': float(difference.max())}


def trained(folder: pathlib.Path, parameters: dict) -> dict:
    """Train a model, and write its checkpoint in FP64 as well; return its errors and the frames per second."""
    from lib.allegro import train

    start = time.monotonic()
    errors = train(folder, parameters)
    seconds = time.monotonic() - start
    inside(folder, 'fp64', 'best.ckpt', 'fp64.ckpt')
    frames = 12 * parameters['max_epochs']
    return {**errors, 'training_s': seconds, 'frames_per_s_with_start': frames / seconds}


def counted(folder: pathlib.Path, device: str) -> dict:
    """Return the operations of a call of the model on 132 atoms."""
    import ase.io

    from lib.allegro import solid_solution

    ase.io.write(folder / 'solid_solution.extxyz', solid_solution())
    return json.loads(inside(folder, 'count', 'best.ckpt', 'solid_solution.extxyz', device))


def speed(folder: pathlib.Path, path: pathlib.Path, replicas: int, options: argparse.Namespace) -> dict:
    """Time LAMMPS with a compiled model."""
    from lib.allegro import lammps, solid_solution

    pair_options = '' if options.edges == 'auto' else f' edges {options.edges}'
    place = folder / f'md-{path.parent.name}-{replicas}'
    result = lammps(
        place, solid_solution(), path, replicas=replicas, timestep_fs=TIMESTEP_FS,
        production_steps=options.steps, equilibration_steps=min(50, options.steps), pair_options=pair_options,
        threads=1 if options.device == 'cuda' else min(2, os.cpu_count() or 1), **STRIDES,
    )  # fmt: skip
    return {**result, 'ns_per_day': replicas * TIMESTEP_FS * 1e-6 * 86400e3 / result['ms_per_step']}


def peer(folder: pathlib.Path, replicas: int, options: argparse.Namespace) -> dict:
    """Time TorchSim's model interface on a batch of cells: the model and its neighbour lists, without an integrator."""
    try:
        import torch
        import torch_sim
        from nequip.integrations.torchsim import NequIPTorchSimCalc
    except ImportError as error:
        return {'absent': str(error)}
    from lib.allegro import compiled, solid_solution

    path = compiled(folder, 'torchsim', options.device, 'batch')
    model = NequIPTorchSimCalc.from_compiled_model(str(path), device=options.device)
    state = torch_sim.io.atoms_to_state([solid_solution()] * replicas, torch.device(options.device), torch.float64)
    for _ in range(5):
        model(state)
    start = time.perf_counter()
    for _ in range(50):
        model(state)['forces'].cpu()
    return {'ms_per_call': 1000 * (time.perf_counter() - start) / 50}


def measure(work: pathlib.Path, name: str, options: argparse.Namespace, parts: Parts) -> None:
    """Do the parts of one model."""
    folder = work / name
    parameters = {**MODELS[name], **(TINY if options.quick else {}), 'max_epochs': options.epochs}
    parameters['accelerator'] = {'cuda': 'gpu', 'cpu': 'cpu'}[options.device]
    if parts.do(f'{name}, training', lambda: trained(folder, parameters)) is None:
        return
    names = ['FP64', *(case_name(*case) for case in cases(options))]
    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:  # each starts a process
        checkpoints = {key: 'fp64.ckpt' if key == 'FP64' else 'best.ckpt' for key in names}
        done = pool.map(
            lambda key: parts.do(
                f'{name}, compilation {key}', lambda: compiled_case(folder, key, checkpoints[key], options)
            ),
            names,
        )
        paths = {key: folder / result['path'] for key, result in zip(names, done, strict=True) if result}
    chosen = [key for key in names[1:] if key in paths]
    for key in chosen if 'FP64' in paths else ():
        parts.do(f'{name}, forces {key}', lambda key=key: force_errors(folder, key, paths))
    for replicas in map(int, options.replicas.split(',')):  # all cases of one cell first
        for key in chosen:
            parts.do(
                f'{name}, MD {key}, {replicas}',
                lambda key=key, replicas=replicas: speed(folder, paths[key], replicas, options),
            )
    parts.do(f'{name}, operations', lambda: counted(folder, options.device))
    single = {key: parts.results.get(f'{name}, MD {key}, 1', {}).get('ms_per_step') for key in chosen}
    timed = {key: ms for key, ms in single.items() if ms}
    if timed and (folder / 'solid_solution.extxyz').exists():
        best = min(timed, key=timed.get)
        arguments = ('profile', paths[best], 'solid_solution.extxyz', options.device)
        parts.do(f'{name}, profile {best}', lambda: json.loads(inside(folder, *arguments)))
    parts.do(f'{name}, TorchSim', lambda: peer(folder, 8, options))


def roofline_ms(device: str, precision: str, operations: dict) -> float | None:
    """Return the least time of a call of the model by the peak of products or of the memory of the device.

    The bytes are of the matrix products alone, each reading and writing its tensors: a fused kernel needs fewer.
    """
    peak = next((values for key, values in PEAKS.items() if key in device), None)
    if peak is None:
        return None
    tflops, tbytes = peak[PRECISIONS.index(precision)], peak[-1]
    return max(operations['gflop'] / tflops, operations['gbyte'] / tbytes)


def speed_rows(device: str, parts: dict[str, dict]) -> list[tuple]:
    """Return the rows of the table of speeds."""
    rows = []
    for key, result in parts.items():
        if ', MD ' not in key or 'error' in result:
            continue
        model, case, replicas = key.replace(', MD ', ', ').split(', ')
        operations = parts.get(f'{model}, operations', {})
        least = roofline_ms(device, case.split()[0], operations) if 'gflop' in operations else None
        rows.append(
            (
                model, case, int(replicas), f'{result["ms_per_step"]:.2f}',
                '–' if least is None else f'{least * int(replicas):.2f}', f'{result["ns_per_day"]:.2f}',
                f'{1000 * result["ns_per_day"] / TALK_PS_PER_DAY:.1f}', f'{100 * result["outside_model"]:.0f} %',
            )
        )  # fmt: skip
    return rows


def report(device: str, parts: dict[str, dict]) -> str:
    """Return the results as Markdown."""
    from tabulate import tabulate

    errors = [
        (key.replace(', forces ', ', '), f'{result["mean_eV_per_A"]:.1e}', f'{result["largest_eV_per_A"]:.1e}')
        for key, result in parts.items()
        if ', forces ' in key and 'error' not in result
    ]
    trainings = [
        (key.partition(',')[0], f'{result["forces_mae_eV_per_A"]:.3f}', f'{result["frames_per_s_with_start"]:.1f}')
        for key, result in parts.items()
        if key.endswith(', training') and 'error' not in result
    ]
    tables = [
        tabulate(
            speed_rows(device, parts),
            ('model', 'case', 'replicas', 'ms/step', 'roofline, ms', 'ns/day', '× talk', 'outside of the model'),
            tablefmt='pipe',
        ),
        tabulate(errors, ('forces against FP64, eV/Å', 'mean', 'largest'), tablefmt='pipe'),
        tabulate(trainings, ('model', 'force MAE, eV/Å', 'training, frames/s with the start'), tablefmt='pipe'),
    ]
    for key, result in parts.items():
        if ', profile ' in key and 'error' not in result:
            kernels = [(kernel['kernel'], f'{kernel["ms_per_call"]:.3f}') for kernel in result['kernels']]
            tables.append(f'{key}: {result["ms_per_call"]:.2f} ms a call')
            tables.append(tabulate(kernels, ('kernel', 'ms a call'), tablefmt='pipe'))
    failed = [
        f'- {key}: `{result["error"].strip().splitlines()[-1][:150]}`'
        for key, result in parts.items()
        if 'error' in result
    ]
    what = f'132 atoms (Li52 P12 Si4 O64), time step {TIMESTEP_FS:g} fs; ns/day over all replicas.'
    return '\n\n'.join((f'# {device}', what, *tables, *(['Failed:', '\n'.join(failed)] if failed else []))) + '\n'


def results(parts: dict[str, dict]) -> list[str]:
    """Return one line per target."""

    def best(model: str, precision: str = '', replicas: str = '') -> dict:
        rows = [
            result
            for key, result in parts.items()
            if key.startswith(f'{model}, MD {precision}') and key.endswith(f', {replicas}' if replicas else '')
        ]
        return max(rows, key=lambda row: row.get('ns_per_day', 0.0), default={})

    single = best('talk', replicas='1')
    reached = {
        'talk FP32': 1000 * best('talk', 'FP32', '1').get('ns_per_day', 0.0) / TALK_PS_PER_DAY,
        'talk TF32': 1000 * best('talk', 'TF32', '1').get('ns_per_day', 0.0) / TALK_PS_PER_DAY,
        'lean': best('lean').get('ns_per_day', 0.0),
        'outside': 100 * single.get('outside_model', 1.0),
    }
    lines = []
    for name, (_, target) in TARGETS.items():
        is_met = reached[name] <= target if name == 'outside' else reached[name] >= target
        verdict = 'met' if is_met else 'missed'
        lines.append(f'RESULT gpu_{name.replace(" ", "_").lower()}={reached[name]:.1f} target={target:g} {verdict}')
    return lines


def main() -> None:
    options = parse()
    install_wheels()
    sys.path.insert(0, str(HERE.parent))
    from lib.allegro import build_plugin

    print(f'Pair style: {build_plugin()}')
    device = device_name(options.device)
    options.output.mkdir(parents=True, exist_ok=True)
    stem = ''.join(letter if letter.isalnum() else '-' for letter in device).strip('-')
    path = options.output / f'{stem}.json'
    work = (options.work or options.output / 'work' / stem).resolve()
    work.mkdir(parents=True, exist_ok=True)
    stated = {key: getattr(options, key) for key in ('quick', 'epochs', 'steps', 'edges')}
    parts = Parts(path, {'device': device, 'options': stated}, options.budget_s, options.again)
    for model in options.models.split(','):
        measure(work, model, options, parts)
        path.with_suffix('.md').write_text(report(device, parts.results))
    print(report(device, parts.results))
    if parts.left:
        print(f'{len(parts.left)} parts are left, the time is up: run the same command again.')
        return
    if options.quick or options.device == 'cpu':
        print('A check that all works; no target belongs to it.')
        sys.exit(any('error' in result for result in parts.results.values()))
    lines = results(parts.results)
    print('\n'.join(lines))
    sys.exit(any('missed' in line for line in lines))


if __name__ == '__main__':
    main()
