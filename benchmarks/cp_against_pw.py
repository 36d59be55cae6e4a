"""Car–Parrinello (cp.x) against Born–Oppenheimer (pw.x) molecular dynamics of 16 atoms: time and forces.

Needs pw.x and cp.x on PATH and the profile that `aiida-ionconduct setup` makes, for its pseudopotentials. The times are
processor times, so that other work on the machine does not count.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from aiida import load_profile, orm
from ase import units
from tabulate import tabulate

from aiida_ionconduct.structures import crystal

CUTOFF_RY = 35.0
PW_STEP_FS, N_PW = 2.5, 10
N_CP = 100
ATOMIC_TIME_FS = units._hbar / (units.Hartree * units._e) * 1e15
SETTINGS = {'300 a.u., 4 a.u.': (300, 4.0), '100 a.u., 2 a.u.': (100, 2.0)}  # fictitious mass and time step


def namelists(**sections) -> str:
    """Return the namelists of an input file."""
    return ''.join(
        f'&{name}\n' + ''.join(f'  {key} = {value!r}\n' for key, value in values.items()) + '/\n'
        for name, values in sections.items()
    )


def run(program: str, folder: pathlib.Path, text: str) -> tuple[str, float]:
    """Return the output of a program and the seconds of processor time that it took."""
    before = os.times()
    (folder / 'in').write_text(text)
    output = subprocess.run([program, '-in', 'in'], cwd=folder, capture_output=True, text=True, check=True).stdout
    after = os.times()
    return output, after.children_user - before.children_user


def block(output: str, key: str, n_atoms: int) -> np.ndarray:
    """Return the last block of vectors under a heading of cp.x."""
    lines = output[output.rindex(key) :].splitlines()[1 : 1 + n_atoms]
    return np.array([line.split()[1:4] for line in lines], dtype=float)


def main() -> None:
    load_profile()
    family = orm.load_group('PseudoDojo/0.4/PBE/SR/standard/upf')
    atoms = crystal('beta-Li3PO4')
    atoms = atoms[np.argsort([['Li', 'O', 'P'].index(symbol) for symbol in atoms.symbols], kind='stable')]
    atoms.positions += np.random.default_rng(1).normal(scale=0.06, size=atoms.positions.shape)
    masses = dict(zip(atoms.symbols, atoms.get_masses(), strict=True))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for symbol in masses:
            (folder / f'{symbol}.upf').write_text(family.get_pseudo(symbol).get_content())
        species = 'ATOMIC_SPECIES\n' + ''.join(f'{s} {mass} {s}.upf\n' for s, mass in masses.items())
        cell = 'CELL_PARAMETERS angstrom\n' + ''.join('{} {} {}\n'.format(*row) for row in atoms.cell)
        control = {'outdir': './out', 'pseudo_dir': './', 'tprnfor': '.true.'}
        system = {'ibrav': 0, 'nat': len(atoms), 'ntyp': 3, 'ecutwfc': CUTOFF_RY}

        def cards(positions, unit='angstrom'):
            rows = ''.join('{} {} {} {}\n'.format(s, *row) for s, row in zip(atoms.symbols, positions, strict=True))
            return f'{species}ATOMIC_POSITIONS {unit}\n{rows}{cell}'

        def text(program, positions=atoms.positions, unit='angstrom', **sections):
            lists = namelists(**sections).replace("'.true.'", '.true.')
            return lists + cards(positions, unit) + ('K_POINTS gamma\n' if program == 'pw.x' else '')

        electrons = {'conv_thr': 1e-8}
        static = {'CONTROL': {**control, 'calculation': 'scf'}, 'SYSTEM': {**system, 'nosym': '.true.'}}
        _, scf_s = run('pw.x', folder, text('pw.x', **static, ELECTRONS=electrons))
        md = {'calculation': 'md', 'nstep': N_PW, 'dt': PW_STEP_FS / (2 * ATOMIC_TIME_FS)}
        ions = {'pot_extrapolation': 'second-order', 'wfc_extrapolation': 'second-order'}
        sections = {**static, 'CONTROL': {**control, **md}, 'ELECTRONS': {'conv_thr': 1e-6}, 'IONS': ions}
        _, md_s = run('pw.x', folder, text('pw.x', **sections))
        pw = (md_s - scf_s) / ((N_PW - 1) * PW_STEP_FS)
        rows = [('pw.x, 2.5 fs', f'{pw:.2f}', '')]
        ratios = []
        for label, (mass, dt) in SETTINGS.items():
            grid = {'nr1b': 20, 'nr2b': 20, 'nr3b': 20}
            dynamics = {'calculation': 'cp', 'dt': dt, 'iprint': 10, 'ndr': 51, 'ndw': 51}
            fictitious = {'emass': mass, 'emass_cutoff': 2.5, 'ortho_max': 100}
            ground = {'electron_dynamics': 'cg', 'maxiter': 60, 'conv_thr': 1e-10}
            start = {
                'CONTROL': {**control, **dynamics, 'restart_mode': 'from_scratch', 'nstep': 3},
                'SYSTEM': {**system, **grid},
                'ELECTRONS': {**fictitious, **ground},
                'IONS': {'ion_dynamics': 'none'},
            }
            run('cp.x', folder, text('cp.x', **start))
            n_steps = round(N_CP * 4.0 / dt)
            go_on = {
                'CONTROL': {**control, **dynamics, 'restart_mode': 'reset_counters', 'nstep': n_steps},
                'SYSTEM': {**system, **grid},
                'ELECTRONS': {**fictitious, 'electron_dynamics': 'verlet', 'electron_velocities': 'zero'},
                'IONS': {'ion_dynamics': 'verlet', 'ion_velocities': 'zero'},
            }
            output, cp_s = run('cp.x', folder, text('cp.x', **go_on))
            positions, forces = (block(output, key, len(atoms)) for key in ('ATOMIC_POSITIONS', 'Forces acting on'))
            reference, _ = run('pw.x', folder, text('pw.x', positions, 'bohr', **static, ELECTRONS=electrons))
            printed = re.findall(r'force =\s+(\S+)\s+(\S+)\s+(\S+)', reference[reference.index('Forces acting') :])
            exact = np.array(printed[: len(atoms)], dtype=float) / 2
            off = np.sqrt(((forces - exact) ** 2).mean()) * units.Hartree / units.Bohr
            cost = cp_s / (n_steps * dt * ATOMIC_TIME_FS)
            ratios.append(cost / pw)
            rows.append((f'cp.x, {label}', f'{cost:.2f}', f'{off:.3f}'))
    headers = ('', 'processor seconds per fs', 'forces against pw.x, RMS (eV/Å)')
    print(tabulate(rows, headers=headers, disable_numparse=True))
    met = min(ratios) > 1
    print(f'RESULT cp_over_pw_time={min(ratios):.2f} target=1.0 {"met" if met else "missed"}')
    sys.exit(not met)


if __name__ == '__main__':
    main()
