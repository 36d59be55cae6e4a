"""The result: a conductivity at one temperature, flat attributes for queries and curves as arrays."""

from __future__ import annotations

from aiida import orm

from aiida_ionconduct.data.display import card, interval, node_title, plot
from aiida_ionconduct.transport import TransportResult


class ConductivityData(orm.ArrayData):
    """Full and tracer conductivity at one temperature.

    The attributes are those of :meth:`aiida_ionconduct.transport.TransportResult.attributes` and the arrays those of
    :attr:`aiida_ionconduct.transport.TransportResult.curves`, so a query can filter on, say,
    ``attributes.sigma_full_S_per_cm``.
    """

    @classmethod
    def from_result(cls, result: TransportResult, **attributes) -> ConductivityData:
        """Build the node from an analysis.

        :param attributes: further flat attributes, such as ``composition``.
        """
        node = cls()
        for name, curve in result.curves.items():
            node.set_array(name, curve)
        node.base.attributes.set_many({**result.attributes(), **attributes})
        return node

    @property
    def temperature_K(self) -> float:
        """Temperature."""
        return self.base.attributes.get('temperature_K')

    def _repr_html_(self) -> str:
        """Return a table of the numbers and their warnings, and the mean-squared displacement, for notebooks."""
        a = self.base.attributes.all

        def numbers(name, unit, stem=None):
            return interval(a.get(name), a.get(f'{stem or name}_stderr'), a.get(f'{stem or name}_ci95'), unit)

        bound = a.get('sigma_full_upper_S_per_cm')
        unresolved = None if bound is None else f'no number, below {bound:.2g} S/cm'
        n_seeds, total = a.get('n_seeds'), a.get('total_time_ps')
        rows = [
            ('Temperature', f'{a["temperature_K"]:g} K' if 'temperature_K' in a else None),
            ('σ, full', numbers('sigma_full_S_per_cm', 'S/cm', 'sigma_full') or unresolved),
            ('σ, tracer', numbers('sigma_tracer_S_per_cm', 'S/cm', 'sigma_tracer')),
            ('Haven ratio', numbers('haven_ratio', '')),
            ('D, tracer', numbers('diffusivity_cm2_per_s', 'cm²/s', 'diffusivity')),
            ('MD', f'{n_seeds} seeds, {total:g} ps together' if n_seeds and total else None),
            ('Composition', a.get('composition')),
            *(('Warning', text) for text in a.get('warnings') or []),
        ]
        drawing = ''
        if 'msd_A2' in self.get_arraynames():
            arrays = (self.get_array(name) for name in ('lag_ps', 'msd_A2'))
            drawing = plot('Mean squared displacement (Å²) against lag (ps), log-log', *arrays, logarithmic=True)
        return card(node_title(self), rows, drawing)
