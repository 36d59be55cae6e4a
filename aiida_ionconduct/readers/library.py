"""Formats that ASE or MDAnalysis read, and the positions of cp.x."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import Bohr

from aiida_ionconduct.readers.frames import CUT, Clock, Frames
from aiida_ionconduct.readers.packed import SUFFIXES, available_bytes, first_bytes, open_text
from aiida_ionconduct.readers.trajectory import Assumption

ASE_FORMATS = {'.pwo': 'espresso-out', '.out': 'espresso-out'}
"""Formats that ASE does not recognise by the content."""
START = 1 << 18
"""Bytes at the beginning of an output in which it states its time step."""
TIME_STEPS = {
    'POTIM': (re.compile(rb'<i name="POTIM">\s*([\d.Ee+-]+)'), 1e-3),
    'time step of pw.x': (re.compile(rb'Time step\s*=\s*[\d.]+ a\.u\.,\s*([\d.]+) femto'), 1e-3),
}
"""Where outputs of VASP and Quantum ESPRESSO state the MD step, and its unit in ps; they write every step."""
INFO_CLOCKS = {'time_ps': 1.0, 'time_fs': 1e-3, 'time': None, 'step': None, 'md_step': None, 'timestep': None}
"""What frames of ASE may state about time (`Atoms.info`), and its unit in ps; None for steps and unknown units."""
CPX_HEAD = re.compile(rb'^\s*(\d+)\s+([-+.\dEeDd]+)\s*$')


def _stack(frames: Iterator[np.ndarray], path: str | Path) -> np.ndarray:
    """Return the positions of all frames, (frames, atoms, 3), Å.

    :raises ValueError: if there is no frame, the atoms change, or the memory does not suffice.
    """
    stacked: list[np.ndarray] = []
    free = available_bytes()
    for frame in frames:
        if stacked and frame.shape != stacked[0].shape:
            raise ValueError(f'frame {len(stacked)} has other atoms than the first')
        stacked.append(np.asarray(frame, dtype=float))
        if 2 * len(stacked) * stacked[0].nbytes > free:
            raise ValueError(f'it does not fit into the {free / 1e9:.1f} GB of memory that are free')
    if not stacked or not stacked[0].size:
        raise ValueError('it holds no frame')
    return np.array(stacked)


def _cells(cells: list[np.ndarray]) -> np.ndarray | None:
    """Return the cells, (3, 3) or (frames, 3, 3) in Å; None if a frame has none."""
    if any(not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6 for cell in cells):
        return None
    return cells[0] if all(np.array_equal(cell, cells[0]) for cell in cells) else np.array(cells)


def read_with_ase(path: str | Path) -> Frames:
    """Read a file with ASE.

    :raises ValueError: if ASE cannot read it, with what ASE says.
    """
    import ase
    import ase.io

    path = Path(path)
    cells: list[np.ndarray] = []
    symbols: list[list[str]] = []
    stated: list[dict[str, Any]] = []

    def frames() -> Iterator[np.ndarray]:
        read = 0
        try:
            for atoms in ase.io.iread(path, ':', format=_ase_format(path)):
                cells.append(atoms.cell.array.copy())
                stated.append({name: atoms.info.get(name) for name in INFO_CLOCKS})
                if not symbols or list(atoms.symbols) != symbols[-1]:
                    symbols.append(list(atoms.symbols))
                read += 1
                yield atoms.positions.copy()
        except GeneratorExit:
            raise
        except Exception as exception:  # a reader of the library may raise anything
            if read < 2:
                raise ValueError(str(exception) or type(exception).__name__) from exception
            notes.append(f'the file is cut or damaged after frame {read - 1}: what comes before was read.')

    notes = [f'read by ASE {ase.__version__}.']
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            positions = _stack(frames(), path)
    except (ValueError, MemoryError) as exception:
        raise ValueError(
            f'`{path}` cannot be read by ASE ({exception}): choose --file-format, or write it as extended XYZ.'
        ) from exception
    if len(symbols) > 1:
        raise ValueError(f'the frames of `{path}` differ in the elements of their atoms.')
    result = Frames(
        path=path,
        positions=positions,
        cells=_cells(cells),
        words=symbols[0],
        words_source='file',
        clocks=_info_clocks(stated),
        notes=notes,
    )
    start = first_bytes(path, START)
    for source, (pattern, unit) in TIME_STEPS.items():
        if (match := pattern.search(start)) and float(match.group(1)) > 0:
            result.dt_ps, result.dt_source = float(match.group(1)) * unit, source
    return result


def _info_clocks(stated: list[dict[str, Any]]) -> list[Clock]:
    """Return the steps and times that all frames state as different numbers.

    :param stated: by name, for each frame.
    """
    clocks = []
    for name, unit_ps in INFO_CLOCKS.items():
        numbers = [frame[name] for frame in stated if isinstance(frame[name], int | float | np.number)]
        if len(numbers) < len(stated) or len(set(numbers)) < len(numbers):
            continue
        is_step = 'step' in name
        if not is_step or all(float(number).is_integer() for number in numbers):
            values = np.array(numbers, dtype=np.int64 if is_step else float)
            clocks.append(Clock(name=f'{name} of the frames', values=values, unit_ps=unit_ps, is_step=is_step))
    return clocks


def _ase_format(path: Path) -> str | None:
    """Return the name that ASE gives to a format, None where ASE recognises it."""
    suffix = Path(path.name.removesuffix(path.suffix)).suffix if path.suffix in SUFFIXES else path.suffix
    if b'Program PWSCF' in first_bytes(path):
        return 'espresso-out'
    return ASE_FORMATS.get(suffix)


def read_with_mdanalysis(path: str | Path) -> Frames:
    """Read DCD, XTC, TRR or H5MD with MDAnalysis; they name no elements, and DCD no time that can be relied on.

    :raises ValueError: if MDAnalysis is missing or cannot read the file.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            import MDAnalysis
            from MDAnalysis.coordinates.core import get_reader_for
            from MDAnalysis.lib.mdamath import triclinic_vectors
    except ImportError as exception:
        raise ValueError(
            f'`{path}` is read by MDAnalysis, which is missing ({exception}): pip install "aiida-ionconduct[formats]".'
        ) from exception
    cells: list[np.ndarray] = []
    times: list[float] = []
    steps: list[Any] = []

    def frames(reader: Any) -> Iterator[np.ndarray]:
        for frame in reader:
            cells.append(np.zeros((3, 3)) if frame.dimensions is None else triclinic_vectors(frame.dimensions))
            times.append(float(frame.time))
            steps.append(frame.data.get('step'))
            yield frame.positions.astype(float)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            reader, units_known = _open(get_reader_for(str(path)), path)
            positions = _stack(frames(reader), path)
    except Exception as exception:  # a reader of the library may raise anything
        raise ValueError(
            f'`{path}` cannot be read by MDAnalysis: {exception or type(exception).__name__}.'
        ) from exception
    clocks = []
    if path.suffix.lower() != '.dcd':
        clocks.append(Clock(name='time of the file', values=np.array(times), unit_ps=1.0 if units_known else None))
        if None not in steps and len(set(steps)) == len(steps):
            clocks.append(Clock(name='steps of the file', values=np.array(steps, dtype=np.int64), is_step=True))
    return Frames(
        path=path,
        positions=positions,
        cells=_cells([np.asarray(cell, dtype=float) for cell in cells]),
        clocks=clocks,
        notes=[f'read by MDAnalysis {MDAnalysis.__version__}.'],
        assumptions=[] if units_known else [Assumption('unit of length', 'Å', 'the file states none')],
    )


def _open(reader: type, path: Path) -> tuple[Any, bool]:
    """Return the reader of a file, and whether its units are known: H5MD of LAMMPS states none.

    :raises ValueError: if the file states some of its units only.
    """
    try:
        return reader(str(path)), True
    except ValueError as exception:
        if 'convert_units' not in str(exception):
            raise
        opened = reader(str(path), convert_units=False)
        if any(opened.units.get(quantity) for quantity in ('length', 'time')):
            raise ValueError('it states a unit for lengths or for times, but not for both') from exception
        return opened, False


def read_cpx(path: str | Path) -> Frames:
    """Read the positions that cp.x writes (``prefix.pos``), with the cells in ``prefix.cel`` where that file is there.

    :raises ValueError: if the file is no such file.
    """
    path = Path(path)
    heads, blocks, cut = _cpx_blocks(path)
    frames = Frames(
        path=path,
        positions=np.array(blocks) * Bohr,
        clocks=[
            Clock(name='steps of cp.x', values=np.array([step for step, _ in heads], dtype=np.int64), is_step=True),
            Clock(name='times of cp.x', values=np.array([time for _, time in heads]), unit_ps=1.0),
        ],
        wrapping='unwrapped',
        wrapping_source='cp.x',
        notes=[CUT] if cut else [],
    )
    beside = path.with_suffix('.cel')
    if beside.exists():
        cell_heads, cells, _ = _cpx_blocks(beside)
        known = {step: np.array(cell).T * Bohr for (step, _), cell in zip(cell_heads, cells, strict=True)}
        missing = next((step for step, _ in heads if step not in known), None)
        if missing is not None:
            raise ValueError(f'`{beside}` has no cell for step {missing} of `{path}`.')
        frames.cells = _cells([known[step] for step, _ in heads])
    return frames


def _cpx_blocks(path: Path) -> tuple[list[tuple[int, float]], list[list[list[float]]], bool]:
    """Return the step and time in ps of each block, its rows of numbers, and whether the last block was cut.

    :raises ValueError: if the file has no such blocks, or one of them is damaged.
    """
    heads: list[tuple[int, float]] = []
    blocks: list[list[list[float]]] = []
    content, _ = open_text(path)
    whole = bytes(content[: content.rfind(b'\n') + 1])  # the number at an end without a line feed may be cut
    for number, line in enumerate(whole.splitlines(), 1):
        words = line.replace(b'D', b'E').split()
        try:
            if CPX_HEAD.match(line):
                heads.append((int(words[0]), float(words[1])))
                blocks.append([])
            elif words:
                blocks[-1].append([float(word) for word in words[:3]])
        except (ValueError, IndexError) as exception:
            raise ValueError(
                f'line {number} of `{path}` is not as cp.x writes it: step and time, then rows of three numbers.'
            ) from exception
    cut = len(blocks) > 1 and len(blocks[-1]) != len(blocks[0])
    if cut:
        heads, blocks = heads[:-1], blocks[:-1]
    if not blocks or not blocks[0] or any(len(row) != 3 for block in blocks for row in block):
        raise ValueError(f'`{path}` holds no positions of cp.x.')
    other = next((k for k, block in enumerate(blocks) if len(block) != len(blocks[0])), None)
    if other is not None:
        raise ValueError(f'frame {other} of `{path}` has other atoms than the first.')
    return heads, blocks, cut
