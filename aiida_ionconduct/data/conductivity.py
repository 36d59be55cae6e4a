"""The result: a conductivity at one temperature, flat attributes for queries and curves as arrays."""

from __future__ import annotations

from aiida import orm

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
