"""A salt whose cations walk and whose anions vibrate, and files of it as programs write them."""

import numpy as np

SYMBOLS = ['Li'] * 8 + ['Cl'] * 8
LENGTH = 12.0
CELL = LENGTH * np.eye(3)
TYPES = ['Li', 'Cl']
HEADER = f'salt\n 1.0\n {LENGTH} 0 0\n 0 {LENGTH} 0\n 0 0 {LENGTH}\n'


def walk(n_frames=60, step=0.1, seed=3):
    """Return unwrapped positions, (frames, 16, 3), Å: ions begin on a lattice of 4 Å."""
    rng = np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing='ij'), -1).reshape(-1, 3)[:16] * 4.0 + 1.0
    cations = np.cumsum(rng.normal(scale=step, size=(n_frames, 8, 3)), axis=0)
    anions = rng.normal(scale=0.3 * step, size=(n_frames, 8, 3))
    return lattice + np.concatenate([cations, anions], axis=1)


def folded(x, low=0.0):
    """Return positions folded into the cell that begins at ``low``."""
    return (x - low) % LENGTH + low


def dump(x, columns='id type xu yu zu', *, steps=None, order=None, times=None, head='', length=LENGTH, changed=None):
    """Return a text dump of LAMMPS.

    :param steps: numbers of the frames, every hundredth by default.
    :param order: seed of the order of rows, another one in each frame; None for the order of the ids.
    :param times: of ``ITEM: TIME``, if it is written.
    :param changed: (frame, atom) from which on the atom has the other type.
    """
    steps = range(0, 100 * len(x), 100) if steps is None else steps
    rng, lines = np.random.default_rng(order), [head] if head else []
    for frame, (step, positions) in enumerate(zip(steps, x, strict=True)):
        lines += ['ITEM: TIME', repr(float(times[frame]))] if times is not None else []
        lines += ['ITEM: TIMESTEP', str(step), 'ITEM: NUMBER OF ATOMS', str(len(positions))]
        lines += ['ITEM: BOX BOUNDS pp pp pp', *[f'0 {length}'] * 3, f'ITEM: ATOMS {columns}']
        for atom in range(len(positions)) if order is None else rng.permutation(len(positions)):
            kind = 1 if SYMBOLS[atom] == 'Li' else 2
            if changed and changed[1] == atom and frame >= changed[0]:
                kind = 3 - kind
            words = {'id': atom + 1, 'type': kind, 'element': TYPES[kind - 1], 'typelabel': TYPES[kind - 1]}
            words |= dict(zip(('xu', 'yu', 'zu'), positions[atom], strict=True))
            words |= dict(zip(('x', 'y', 'z'), folded(positions[atom]), strict=True))
            words['q'] = 0.8 if kind == 1 else -0.8
            lines.append(' '.join(str(words[name]) for name in columns.split()))
    return '\n'.join(lines) + '\n'


def xyz(x, comment='Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3', symbols=SYMBOLS, rows=None):
    """Return an XYZ file.

    :param comment: of the frames, with ``{frame}`` for the number of the frame.
    :param rows: text behind the coordinates, by frame and atom.
    """
    lines = []
    for frame, positions in enumerate(x):
        lines += [str(len(positions)), comment.replace('{frame}', str(frame)).replace('{fs}', str(100.0 * frame))]
        for atom, (symbol, (a, b, c)) in enumerate(zip(symbols, positions, strict=True)):
            lines.append(f'{symbol} {a:.8f} {b:.8f} {c:.8f}{rows(frame, atom) if rows else ""}')
    return '\n'.join(lines) + '\n'


def xdatcar(x, numbers=None, header=HEADER + ' Li Cl\n 8 8\n'):
    """Return an XDATCAR; by default its frames are numbered 1, 2, 3, …."""
    numbers = range(1, len(x) + 1) if numbers is None else numbers
    text = header
    for number, positions in zip(numbers, folded(x) / LENGTH, strict=True):
        text += f'Direct configuration={number:>6}\n'
        text += ''.join(f' {a:.8f} {b:.8f} {c:.8f}\n' for a, b, c in positions)
    return text


def data_file(masses=True, comments=True):
    """Return a LAMMPS data file of the first frame, its atoms in reverse order."""
    text = 'salt\n\n16 atoms\n2 atom types\n\n0 12 xlo xhi\n0 12 ylo yhi\n0 12 zlo zhi\n'
    if masses:
        notes = (' # Li', ' # Cl') if comments else ('', '')
        text += f'\nMasses\n\n1 6.94{notes[0]}\n2 35.45{notes[1]}\n'
    text += '\nAtoms # atomic\n\n'
    for atom, (a, b, c) in reversed(list(enumerate(walk(1)[0]))):
        text += f'{atom + 1} {1 if SYMBOLS[atom] == "Li" else 2} {a} {b} {c}\n'
    return text
