"""α-AgI with a classical potential: a superionic crystal of which LAMMPS runs nanoseconds in a minute.

Rigid ions after Parrinello, Rahman and Vashishta 1983 (10.1103/PhysRevLett.50.1073). The Coulomb part is damped and
all forces go to zero at a cutoff, so that the energy is conserved. What counts here is one fixed smooth potential with
fast ions; its numbers are not those of real AgI.
"""

import pathlib
import subprocess
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.special import erfc

from aiida_ionconduct.lammps.parameters import MdParameters
from aiida_ionconduct.lammps.script import md_script
from aiida_ionconduct.lammps.structure import data_file, species_order
from lib.programs import executable

CUTOFF_A, DAMPING_PER_A, SHORTEST_A, POINTS = 7.0, 0.25, 1.0, 3000
E2 = 14.399645  # e²/(4 pi eps0), eV Å
LATTICE_A, CHARGE = 5.08, 0.6
# H/r^n, then the charge-dipole and dipole-dipole terms -P/r^4 - W/r^6, in units of e² and Å.
PAIRS = {
    'I-I': (446.64, 7, CHARGE**2, 2.3472, 6.9331),
    'I-Ag': (114.48, 9, -(CHARGE**2), 1.1736, 0.0),
    'Ag-Ag': (0.014804, 11, CHARGE**2, 0.0, 0.0),
}
PAIR_LINES = [
    f'pair_style table spline {POINTS}',
    *(f'pair_coeff {types} potential.table {pair}' for types, pair in zip(('1 1', '1 2', '2 2'), PAIRS, strict=True)),
]


def crystal(cells: int) -> Atoms:
    """Return silver on sites of the bcc lattice of iodine; there are three times as many sites as ions."""
    unit = Atoms(
        'I2Ag2',
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.25, 0), (0, 0.5, 0.75)],
        cell=3 * [LATTICE_A],
        pbc=True,
    )
    return unit * (cells, cells, cells)


def simulate(folder: pathlib.Path, atoms: Atoms, parameters: MdParameters, before: Sequence[str] = ()) -> None:
    """Run LAMMPS in a folder with the input script of the package and this potential.

    :param before: lines of the script in front of the production.
    """
    lines = md_script(species_order(atoms.symbols), len(atoms), parameters, masses=atoms.get_masses()).splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith('pair_style'))
    lines[at : at + 2] = PAIR_LINES
    if before:
        at = lines.index('reset_timestep 0') + 1
        lines[at:at] = before
    (folder / 'lammps.in').write_text('\n'.join(lines))
    (folder / 'structure.data').write_text(data_file(atoms))
    write_potential(folder)
    command = [executable('lmp'), '-in', 'lammps.in', '-log', 'lammps.log', '-screen', 'none']
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def write_potential(folder: pathlib.Path) -> None:
    """Write the table of energies and forces that the lines of the pair style read."""
    r = np.linspace(SHORTEST_A, CUTOFF_A, POINTS)
    rows = []
    for pair, terms in PAIRS.items():
        (energy, force), (last, slope) = _terms(r, *terms), _terms(np.array(CUTOFF_A), *terms)
        columns = np.column_stack((r, energy - last + slope * (r - CUTOFF_A), force - slope))
        rows += [pair, f'N {POINTS} R {SHORTEST_A} {CUTOFF_A}', '']
        rows += [f'{index} {" ".join(f"{entry:.12g}" for entry in row)}' for index, row in enumerate(columns, 1)] + ['']
    (folder / 'potential.table').write_text('\n'.join(rows))


def _terms(r, repulsion, power, charges, dipole, induced):
    """Return energy (eV) and force (eV/Å) of a pair."""
    screened = erfc(DAMPING_PER_A * r)
    gaussian = 2 * DAMPING_PER_A / np.sqrt(np.pi) * np.exp(-((DAMPING_PER_A * r) ** 2))
    energy = repulsion / r**power + charges * screened / r - dipole / r**4 - induced / r**6
    force = (
        power * repulsion / r ** (power + 1)
        + charges * (screened / r**2 + gaussian / r)
        - 4 * dipole / r**5
        - 6 * induced / r**7
    )
    return E2 * energy, E2 * force
