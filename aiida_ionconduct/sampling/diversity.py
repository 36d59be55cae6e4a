"""The choice of frames that are worth a DFT calculation: from every kind of sampling, and far from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from aiida_ionconduct.allegro.committee import farthest_points, fingerprint


def shares(sizes: Sequence[int], n_frames: int) -> list[int]:
    """Return how many frames each group gives: in proportion to its size, at least one as far as they suffice.

    :param sizes: of the groups.
    :param n_frames: frames in all; all frames are taken if there are fewer.
    """
    total = sum(sizes)
    if n_frames >= total:
        return list(sizes)
    counts = [0] * len(sizes)
    for _ in range(n_frames):  # the next frame goes to an empty group, then to the group that lacks most of its share
        open_groups = [index for index, size in enumerate(sizes) if counts[index] < size]
        lacking = {index: sizes[index] * n_frames / total - counts[index] for index in open_groups}
        counts[max(open_groups, key=lambda index: (not counts[index], lacking[index]))] += 1
    return counts


def diverse_frames(frames: Sequence[Atoms], n_frames: int) -> list[int]:
    """Return the indices of frames that differ from each other as much as possible, in ascending order.

    Every source (``info['source']``) and, of molecular dynamics, every run gives its share. Within a group, each frame
    is the farthest from those chosen before, by the pair distribution functions; equal frames are taken once.

    :param frames: of one composition.
    :param n_frames: frames to choose, at most.
    """
    groups: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        groups.setdefault(str(frame.info.get('run', frame.info.get('source', ''))), []).append(index)
    points = np.array([fingerprint(frame.positions, list(frame.symbols), frame.cell.array) for frame in frames])
    chosen: list[int] = []
    for members, count in zip(
        groups.values(), shares([len(group) for group in groups.values()], n_frames), strict=True
    ):
        if count:
            own = points[members]
            central = int(np.linalg.norm(own - own.mean(axis=0), axis=1).argmin())
            picked = farthest_points(own, points[chosen], central, count)
            chosen += [members[index] for index in picked]
    return sorted(chosen)
