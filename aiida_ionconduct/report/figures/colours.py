"""The colours of figures and pages, each in its light and its dark form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# Name -> (light, dark). Figures are drawn in the light colours; inline, each becomes a CSS variable.
# All of full/tracer and the elements differ in lightness as well as in hue.
PALETTE = {
    'ink': ('#1b2430', '#e4e8ee'),
    'muted': ('#5b6675', '#9ba6b5'),
    'rule': ('#d4dae2', '#3a4350'),
    'full': ('#0b6670', '#4fc3c9'),
    'tracer': ('#b35a00', '#f0a04b'),
    'guide': ('#8791a0', '#77828f'),
}
INK, MUTED, RULE, FULL, TRACER, GUIDE = (
    PALETTE[name][0] for name in ('ink', 'muted', 'rule', 'full', 'tracer', 'guide')
)
TEMPERATURE_ANCHORS = (('#243a9c', '#8e2490', '#dd4a62'), ('#8fa6ff', '#cf8be8', '#ff9f92'))
"""Cold to hot, light and dark: lightness rises along both."""
CAMPAIGN_COLOURS = (
    ('#0b6670', '#4fc3c9'),
    ('#b35a00', '#f0a04b'),
    ('#5b3fa8', '#b3a1f2'),
    ('#a12a5e', '#f08ab8'),
    ('#4b6b12', '#a9cc5c'),
    ('#1b4f9c', '#7fb2f5'),
    ('#8a3b12', '#e59a78'),
    ('#56606e', '#aeb8c6'),
    ('#7a6a00', '#d6c64a'),
    ('#7d2a9b', '#d59af0'),
)
"""Light and dark; each campaign has a marker of its own as well."""
ELEMENT_COLOURS = ('#3d6fb6', '#d1773a', '#4a9a6f', '#b0508e', '#8d8a2d', '#6b6f78')
"""In the middle of the lightness scale, since the dots of a parity plot are pixels and cannot follow the page."""

Variables = dict[str, tuple[str, str]]
"""The light and the dark form of a colour, by the name of its CSS variable."""


def temperature_colours(temperatures_K: Iterable[float]) -> dict[float, str]:
    """Return the light colour of every temperature, cold to hot."""
    return {temperature: light for temperature, (light, _) in _temperature_pairs(temperatures_K).items()}


def colour_variables(temperatures_K: Iterable[float]) -> Variables:
    """Return all colours of the page of a campaign."""
    pairs = _temperature_pairs(temperatures_K).values()
    return {**PALETTE, **{f'temperature-{index}': pair for index, pair in enumerate(pairs)}}


def _temperature_pairs(temperatures_K: Iterable[float]) -> dict[float, tuple[str, str]]:
    ordered = sorted(set(temperatures_K))
    positions = np.linspace(0, 1, len(ordered)) if len(ordered) != 1 else np.array([0.5])
    light, dark = (_gradient(anchors, positions) for anchors in TEMPERATURE_ANCHORS)
    return dict(zip(ordered, zip(light, dark, strict=True), strict=True))


def _gradient(anchors: Sequence[str], positions: np.ndarray) -> list[str]:
    channels = np.array([[int(anchor[start : start + 2], 16) for start in (1, 3, 5)] for anchor in anchors])
    knots = np.linspace(0, 1, len(anchors))
    mixed = np.stack([np.interp(positions, knots, channel) for channel in channels.T], axis=1)
    return ['#' + ''.join(f'{round(value):02x}' for value in row) for row in mixed]
