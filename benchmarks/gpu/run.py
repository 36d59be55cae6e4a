"""Molecular dynamics on one GPU: ms a step and ns a day for 1 to 16 replicas of 132 atoms, in FP32 and TF32.

One command, which also works where there is no network: `benchmarks/gpu/fetch.sh` puts what such a machine lacks into
`benchmarks/gpu/wheels`, and this script installs it from there into a folder of its own.

    python3 benchmarks/gpu/run.py [--device cpu --quick] [--output benchmarks/gpu/results]

Two models: the model of the talk (r_max 6 Å, l_max 3, 128 features, two layers) and a lean model. They are trained
here, on the frames of the tests, for as long as given, so that forces are sensible and an error can be stated beside
the speed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
TALK_PS_PER_DAY = 430.0  # of the talk, on one A100
TARGETS = {
    'talk FP32': ('times the talk, one replica or more', 17.0),
    'talk TF32': ('times the talk, one replica or more', 40.0),
    'lean': ('ns/day in aggregate', 100.0),
}
COMMON = {'batch_size': 2, 'learning_rate': 0.002, 'num_bessels': 8}
MODELS = {
    'talk': {
        'r_max': 6.0, 'l_max': 3, 'num_layers': 2, 'num_scalar_features': 128, 'num_tensor_features': 128,
        'mlp_depth': 3, 'mlp_width': 1024, 'readout_width': 128, **COMMON,
    },
    'lean': {
        'r_max': 5.0, 'l_max': 2, 'num_layers': 1, 'num_scalar_features': 64, 'num_tensor_features': 32,
        'mlp_depth': 1, 'mlp_width': 128, 'readout_width': 32, **COMMON,
    },
}  # fmt: skip
TINY = {'num_scalar_features': 16, 'num_tensor_features': 4, 'mlp_depth': 1, 'mlp_width': 16, 'readout_width': 16}
TIMESTEP_FS = 2.0
TF32_ERRORS = ('tf32_force_mae_eV_per_A', 'tf32_force_max_eV_per_A')


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
    parser.add_argument('--models', default='lean,talk', help='which, separated by commas')
    parser.add_argument('--epochs', type=int, default=100, help='of the training, which sets the accuracy stated')
    parser.add_argument('--steps', type=int, default=300, help='timed MD steps of each case')
    parser.add_argument('--replicas', default='1,2,4,8,16')
    parser.add_argument('--budget-s', type=float, default=1e9, help='start no new case after so many seconds')
    parser.add_argument('--output', type=pathlib.Path, default=HERE / 'results')
    return parser.parse_args()


def device_name(device: str) -> str:
    """Return what the results are measured on."""
    import torch

    if device == 'cuda':
        return torch.cuda.get_device_name()
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    model = next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), 'unknown CPU')
    return f'{model}, {os.cpu_count()} cores'


def force_error(fp32: pathlib.Path, tf32: pathlib.Path, device: str) -> dict[str, float]:
    """Return how much TF32 changes the forces of the compiled model on the frames of the tests, eV/Å."""
    import ase.io
    import numpy as np
    from nequip.integrations.ase import NequIPCalculator

    from lib.allegro import FRAMES

    frames = ase.io.read(FRAMES, ':')
    forces = []
    for path in (fp32, tf32):
        calculator = NequIPCalculator.from_compiled_model(path, device=device)
        forces.append(np.concatenate([calculator.get_forces(frame) for frame in frames]))
    difference = np.abs(forces[1] - forces[0])
    return dict(zip(TF32_ERRORS, map(float, (difference.mean(), difference.max())), strict=True))


def measure(folder: pathlib.Path, name: str, options: argparse.Namespace, late) -> tuple[dict, list[dict]]:
    """Train and compile a model, and time it for every precision and number of replicas."""
    from lib.allegro import compiled, lammps, solid_solution, train

    parameters = {**MODELS[name], **(TINY if options.quick else {}), 'max_epochs': options.epochs}
    parameters['accelerator'] = {'cuda': 'gpu', 'cpu': 'cpu'}[options.device]
    errors = train(folder, parameters)
    triton = ('enable_TritonContracter',) if options.device == 'cuda' else ()
    precisions = {'FP32': False, 'TF32': True}
    model, rows = {'model': name, **parameters, **errors, 'triton': bool(triton)}, []
    if options.device == 'cuda':
        paths = [compiled(folder, f'ase{tf32:d}', 'cuda', 'ase', tf32, triton) for tf32 in precisions.values()]
        model |= force_error(*paths, options.device)
    atoms = solid_solution()
    strides = {'frame_stride': 100, 'com_stride': 10, 'thermo_stride': 100}
    for precision, tf32 in precisions.items():
        path = compiled(folder, precision, options.device, 'pair_allegro', tf32, triton)
        for replicas in map(int, options.replicas.split(',')):
            if late():
                continue
            result = lammps(
                folder / f'{precision}{replicas}', atoms, path, replicas=replicas, timestep_fs=TIMESTEP_FS,
                production_steps=options.steps, equilibration_steps=50, **strides,
            )  # fmt: skip
            ns_per_day = replicas * TIMESTEP_FS * 1e-6 * 86400e3 / result['ms_per_step']
            row = {'model': name, 'precision': precision, 'replicas': replicas, **result, 'ns_per_day': ns_per_day}
            rows.append(row)
            print(json.dumps(row), flush=True)
    return model, rows


def report(device: str, models: list[dict], rows: list[dict]) -> str:
    """Return the results as Markdown."""
    from tabulate import tabulate

    speed, errors = [], []
    for row in rows:
        ratio, outside = 1000 * row['ns_per_day'] / TALK_PS_PER_DAY, 100 * row['outside_model']
        shown = (f'{row["ms_per_step"]:.2f}', f'{row["ns_per_day"]:.2f}', f'{ratio:.1f}', f'{outside:.0f} %')
        speed.append((row['model'], row['precision'], row['replicas'], *shown))
    for model in models:
        shown = (f'{model["forces_mae_eV_per_A"]:.3f}', f'{model["energy_mae_eV_per_atom"]:.4f}')
        changes = (f'{model[key]:.1e}' if key in model else '–' for key in TF32_ERRORS)
        errors.append((f'{model["model"]}, {model["max_epochs"]} epochs', *shown, *changes))
    speed_headers = ('model', 'precision', 'replicas', 'ms/step', 'ns/day', '× talk', 'outside the model')
    error_headers = ('model', 'force MAE, eV/Å', 'energy MAE, eV/atom', 'TF32 force error, mean', 'largest')
    what = f'132 atoms (Li52 P12 Si4 O64), time step {TIMESTEP_FS:g} fs; ns/day over all replicas.'
    tables = (tabulate(speed, speed_headers, tablefmt='pipe'), tabulate(errors, error_headers, tablefmt='pipe'))
    return '\n\n'.join((f'# {device}', what, *tables)) + '\n'


def results(rows: list[dict]) -> list[str]:
    """Return one line per target."""

    def best(model, precision=None):
        chosen = [r for r in rows if r['model'] == model and precision in (None, r['precision'])]
        return max((row['ns_per_day'] for row in chosen), default=0.0)

    reached = {
        'talk FP32': 1000 * best('talk', 'FP32') / TALK_PS_PER_DAY,
        'talk TF32': 1000 * best('talk', 'TF32') / TALK_PS_PER_DAY,
        'lean': best('lean'),
    }
    lines = []
    for name, (_, target) in TARGETS.items():
        verdict = 'met' if reached[name] >= target else 'missed'
        lines.append(f'RESULT gpu_{name.replace(" ", "_").lower()}={reached[name]:.1f} target={target:g} {verdict}')
    return lines


def main():
    options = parse()
    install_wheels()
    sys.path.insert(0, str(HERE.parent))
    start = time.monotonic()
    from lib.allegro import build_plugin

    print(f'Pair style: {build_plugin()}')
    device = device_name(options.device)
    models, rows = [], []
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / ''.join(letter if letter.isalnum() else '-' for letter in device).strip('-')
    with tempfile.TemporaryDirectory() as name:
        for model in options.models.split(','):
            described, measured = measure(
                pathlib.Path(name) / model, model, options, lambda: time.monotonic() - start > options.budget_s
            )
            models.append(described)
            rows += measured
            # After each model: a machine that is taken away leaves what was measured.
            everything = {'device': device, 'models': models, 'runs': rows}
            path.with_suffix('.json').write_text(json.dumps(everything, indent=1))
            path.with_suffix('.md').write_text(report(device, models, rows))
    print(report(device, models, rows))
    if options.quick or options.device == 'cpu':
        print('A check that all works; no target belongs to it.')
        return
    lines = results(rows)
    print('\n'.join(lines))
    sys.exit(any('missed' in line for line in lines))


if __name__ == '__main__':
    main()
