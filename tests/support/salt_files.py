"""One synthetic salt, and the files in which other programs would have written it, for the tests of `analyse`.

32 Li walk at random with D = 0.05 Å²/ps and 32 Cl vibrate in a cube of 20 Å at 600 K; 0.1 ps lie between two frames.
Every function returns the text or the bytes of one file; nothing is assumed about the reader.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.units import Bohr

TYPES = {'Li': 1, 'Cl': 2}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {'gz': gzip.compress, 'bz2': bz2.compress, 'xz': lzma.compress}


@dataclass(frozen=True, kw_only=True)
class Salt:
    """Unwrapped positions (frames, atoms, 3) in Å in orthorhombic cells with the edges ``lengths`` (frames, 3) in Å."""

    positions: np.ndarray
    lengths: np.ndarray
    symbols: Sequence[str]
    dt_ps: float = 0.1
    temperature_K: float = 600.0

    @property
    def cell(self) -> np.ndarray:
        """Return the mean cell, (3, 3) in Å."""
        return np.diag(self.lengths.mean(axis=0))

    def __getitem__(self, frames: slice | Sequence[int]) -> Salt:
        """Return some of the frames."""
        return replace(self, positions=self.positions[frames], lengths=self.lengths[frames])

    def wrapped(self, low: float = 0.0) -> np.ndarray:
        """Return the positions folded into the window from ``low`` to ``low + 1`` cell vectors, Å."""
        return self.positions - np.floor(self.positions / self.lengths[:, None] - low) * self.lengths[:, None]


def salt(n_frames: int = 200, *, seed: int = 0, n_pairs: int = 32, diffusivity: float = 0.05) -> Salt:
    """Return a run of Li that walk at random, with a diffusivity in Å²/ps, and of as many Cl that vibrate."""
    rng = np.random.default_rng(seed)
    steps = np.zeros((n_frames, 2 * n_pairs, 3))
    steps[:, :n_pairs] = rng.normal(scale=np.sqrt(2 * diffusivity * 0.1), size=(n_frames, n_pairs, 3))
    steps[0] = rng.uniform(0, 20.0, (2 * n_pairs, 3))
    positions = np.cumsum(steps, axis=0)
    positions[:, n_pairs:] += rng.normal(scale=0.1, size=(n_frames, n_pairs, 3))
    symbols = ['Li'] * n_pairs + ['Cl'] * n_pairs
    return Salt(positions=positions, lengths=np.full((n_frames, 3), 20.0), symbols=symbols)


def hopping_salt(n_frames: int = 400, *, rate: float = 0.3, length: float = 10.0, seed: int = 3) -> Salt:
    """Return a run of Li that hop by a third of the cell, at random and ``rate`` times in 5 ps along each axis."""
    rng = np.random.default_rng(seed)
    hops = np.zeros((n_frames, 64, 3))
    forth, back = rng.poisson(rate / 2, (2, n_frames, 32, 3))
    hops[:, :32] = (forth - back) * length / 3
    hops[0] = rng.integers(0, 3, (64, 3)) * length / 3
    positions = np.cumsum(hops, axis=0) + rng.normal(scale=0.08, size=hops.shape)
    lengths = np.full((n_frames, 3), length)
    return Salt(positions=positions, lengths=lengths, symbols=['Li'] * 32 + ['Cl'] * 32, dt_ps=5.0)


def orders(n_frames: int, n_atoms: int, shuffled: bool) -> Iterable[np.ndarray]:
    """Yield the order of the rows of each frame."""
    rng = np.random.default_rng(5)
    for _ in range(n_frames):
        yield rng.permutation(n_atoms) if shuffled else np.arange(n_atoms)


def lammps_dump(
    run: Salt,
    columns: str = 'id type xu yu zu',
    *,
    steps: Sequence[int] | None = None,
    times: Sequence[float] | None = None,
    units: str | None = None,
    shuffled: bool = False,
    low: float = 0.0,
    words: dict[str, Sequence[object]] | None = None,
    digits: int = 10,
) -> str:
    """Return a text dump.

    :param steps: numbers of the MD steps, else 0, 100, 200, …
    :param times: what ``ITEM: TIME`` states, if anything.
    :param units: what ``ITEM: UNITS`` states, if anything.
    :param shuffled: write the atoms of each frame in random order.
    :param low: begin of the window into which ``x y z`` and ``xs ys zs`` are folded, in cell vectors.
    :param words: values of further columns, or instead of the usual ones; one for each atom.
    """
    steps = [100 * frame for frame in range(len(run.positions))] if steps is None else steps
    names, parts = columns.split(), []
    fixed = {
        'id': range(1, len(run.symbols) + 1),
        'type': [TYPES[symbol] for symbol in run.symbols],
        'element': run.symbols,
        'q': [{'Li': 1, 'Cl': -1}[symbol] for symbol in run.symbols],
        **(words or {}),
    }
    folded, coordinates = run.wrapped(low), {}
    for frame, order in enumerate(orders(len(run.positions), len(run.symbols), shuffled)):
        x, edges = run.positions[frame], run.lengths[frame]
        for labels, values in (
            ('xu yu zu', x),
            ('x y z', folded[frame]),
            ('xs ys zs', folded[frame] / edges),
            ('xsu ysu zsu', x / edges),
            ('ix iy iz', np.rint((x - folded[frame]) / edges).astype(int)),
        ):
            coordinates |= dict(zip(labels.split(), values.T.tolist(), strict=True))
        rows = list(zip(*({**coordinates, **fixed}[name] for name in names), strict=True))
        if units is not None and frame == 0:
            parts.append(f'ITEM: UNITS\n{units}\n')
        if times is not None:
            parts.append(f'ITEM: TIME\n{times[frame]:g}\n')
        bounds = ''.join(f'0 {edge:.10g}\n' for edge in edges)
        parts.append(f'ITEM: TIMESTEP\n{steps[frame]}\nITEM: NUMBER OF ATOMS\n{len(order)}\n')
        parts.append(f'ITEM: BOX BOUNDS pp pp pp\n{bounds}ITEM: ATOMS {columns}\n')
        parts += [' '.join(_word(value, digits) for value in rows[index]) + '\n' for index in order]
    return ''.join(parts)


def _word(value: object, digits: int) -> str:
    return f'{value:.{digits}g}' if isinstance(value, float) else str(value)


def xyz(
    run: Salt,
    comment: str | Callable[[int], str],
    *,
    positions: np.ndarray | None = None,
    species: Sequence[object] | None = None,
    columns: Callable[[int, int], str] = lambda frame, atom: '',
    shuffled: bool = False,
) -> str:
    """Return an XYZ file.

    :param comment: second line of every frame, or a function of the frame; ``{lattice}`` is replaced.
    :param positions: (frames, atoms, 3) in Å, else the unwrapped positions.
    :param species: first word of every row.
    :param columns: further words of a row, by frame and atom.
    :param shuffled: write the atoms of each frame in random order.
    """
    positions = run.positions if positions is None else positions
    species = run.symbols if species is None else species
    parts = []
    for frame, order in enumerate(orders(len(positions), len(run.symbols), shuffled)):
        text = comment if isinstance(comment, str) else comment(frame)
        a, b, c = run.lengths[frame]
        lattice = f'Lattice="{a:.10g} 0 0 0 {b:.10g} 0 0 0 {c:.10g}"'
        parts.append(f'{len(order)}\n{text.replace("{lattice}", lattice)}\n')
        rows = positions[frame].tolist()
        for atom in order:
            x, y, z = rows[atom]
            parts.append(f'{species[atom]} {x:.8f} {y:.8f} {z:.8f}{columns(frame, atom)}\n')
    return ''.join(parts)


EXTXYZ = '{lattice} Properties=species:S:1:pos:R:3 pbc="T T T"'


def gpumd_xyz(run: Salt) -> str:
    """Return an extended XYZ with wrapped and unwrapped positions and the time in fs, as GPUMD writes it."""

    def unwrapped(frame: int, atom: int) -> str:
        return ' ' + ' '.join(f'{value:.8f}' for value in run.positions[frame, atom].tolist())

    def comment(frame: int) -> str:
        properties = 'Properties=species:S:1:pos:R:3:unwrapped_position:R:3'
        return f'Time={frame * run.dt_ps * 1000:.8f} pbc="T T T" {{lattice}} {properties}'

    return xyz(run, comment, positions=run.wrapped(), columns=unwrapped)


def cp2k_xyz(run: Salt) -> str:
    """Return plain XYZ with the step and the time in fs, as CP2K writes it."""
    return xyz(
        run, lambda frame: f' i = {frame * 100:8d}, time = {frame * run.dt_ps * 1000:12.3f}, E = {-518.25 - frame:.10f}'
    )


def ipi_xyz(run: Salt, units: str = 'angstrom') -> str:
    """Return plain XYZ with the cell and the units in the comment, as i-PI writes it."""
    factor = {'angstrom': 1.0, 'atomic_unit': 1 / Bohr}[units]

    def comment(frame: int) -> str:
        a, b, c = run.lengths[frame] * factor
        angles = '90.00000  90.00000  90.00000'
        return (
            f'# CELL(abcABC): {a:10.5f} {b:10.5f} {c:10.5f}  {angles}  Step: {100 * frame} Bead: 0 '
            f'positions{{{units}}}  cell{{{units}}}'
        )

    return xyz(run, comment, positions=run.positions * factor)


def xdatcar(
    run: Salt,
    *,
    numbers: Sequence[int | str] | None = None,
    wrapped: bool = True,
    species: str | None = 'Li Cl',
    headers: Sequence[int] = (0,),
    title: str = 'salt',
) -> str:
    """Return an XDATCAR.

    :param numbers: of the configurations, else 1, 2, 3, …
    :param species: line of the species; None for the headers of old versions.
    :param headers: frames before which the header is written, with the cell of that frame.
    """
    positions = (run.wrapped() if wrapped else run.positions) / run.lengths[:, None]
    parts = []
    for frame, fractional in enumerate(positions.tolist()):
        if frame in headers:
            a, b, c = run.lengths[frame]
            rows = f'{a:12.6f} 0.000000 0.000000\n 0.000000 {b:12.6f} 0.000000\n 0.000000 0.000000 {c:12.6f}\n'
            n_pairs = len(run.symbols) // 2
            names = f'   {species}\n' if species else ''
            parts.append(f'{title}\n           1\n{rows}{names}   {n_pairs}  {n_pairs}\n')
        number = frame + 1 if numbers is None else numbers[frame]
        parts.append(f'Direct configuration={number:>6}\n')
        parts += [f'  {x:.10f}  {y:.10f}  {z:.10f}\n' for x, y, z in fractional]
    return ''.join(parts)


def npz(run: Salt, **values: object) -> bytes:
    """Return arrays in an archive of NumPy; a value of None leaves an array out."""
    arrays = {
        'positions': run.positions,
        'symbols': np.array(list(run.symbols)),
        'cell': run.cell,
        'dt_ps': run.dt_ps,
        'temperature_K': run.temperature_K,
        **values,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value for name, value in arrays.items() if value is not None})
    return buffer.getvalue()


def lammps_data(run: Salt) -> str:
    """Return the first frame as a data file of LAMMPS, with the elements as comments on the masses."""
    bounds = ''.join(f'0 {edge:.10g} {axis}lo {axis}hi\n' for edge, axis in zip(run.lengths[0], 'xyz', strict=True))
    rows = ''.join(
        f'{index} {TYPES[symbol]} {x:.8f} {y:.8f} {z:.8f}\n'
        for index, (symbol, (x, y, z)) in enumerate(zip(run.symbols, run.wrapped()[0].tolist(), strict=True), 1)
    )
    head = f'LAMMPS data\n\n64 atoms\n2 atom types\n\n{bounds}\nMasses\n\n1 6.94 # Li\n2 35.45 # Cl\n'
    return f'{head}\nAtoms # atomic\n\n{rows}'


def atoms(run: Salt, frame: int = 0, *, wrapped: bool = True) -> Atoms:
    """Return a frame for ASE."""
    positions = run.wrapped() if wrapped else run.positions
    return Atoms(list(run.symbols), positions[frame], cell=np.diag(run.lengths[frame]), pbc=True)
