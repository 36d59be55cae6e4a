"""The result: a conductivity at one temperature, with flat attributes for queries and curves as arrays."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_ionconduct.data.display import card, interval, node_title, plot
from aiida_ionconduct.transport import TransportResult


class ConductivityData(orm.ArrayData):
    """Full and tracer conductivity at one temperature.

    The arrays are those of :attr:`aiida_ionconduct.transport.TransportResult.curves`: displacements, running
    conductivities and ``beta`` against ``lag_ps``, ``plateau_…`` of the estimator, and the conductivity against
    frequency, ``spectrum_sigma_full_S_per_cm`` with the ends ``…_low…`` and ``…_high…`` of its 95 % interval at
    ``spectrum_full_frequency_THz``, and the same for ``tracer``. The attributes are flat, so that
    a query can filter on, say, ``attributes.sigma_full_S_per_cm``; :mod:`aiida_ionconduct.queries` has the usual
    queries. A number that the runs do not give is None. Attributes:

    - of the material: ``composition`` of the cell of the MD, ``reduced_composition``, ``species`` (the order of the
      matrices), ``mobile``, ``n_atoms``, ``n_mobile``, ``volume_A3``, ``temperature_K``;
    - the temperature: ``temperature_K`` is that on the label, ``measured_temperature_K`` with
      ``measured_temperature_stderr`` the mean of the runs, with which the conductivity is computed;
      ``seed_temperatures_K``, ``seed_temperatures_stderr``, ``seed_temperature_drifts_K_per_ps`` and
      ``seed_temperature_drifts_stderr`` are lists in the order of ``seeds``. All but the first are missing where the
      runs have stored no temperature;
    - the results, each with its standard error and its 95 % interval (a list of two): ``sigma_full_S_per_cm``,
      ``sigma_full_stderr``, ``sigma_full_ci95``; ``sigma_tracer_S_per_cm``, ``sigma_tracer_stderr``,
      ``sigma_tracer_ci95``; ``haven_ratio``, ``haven_ratio_stderr``, ``haven_ratio_ci95``; ``diffusivity_cm2_per_s``,
      ``diffusivity_stderr``, ``diffusivity_ci95``. ``sigma_full_dof`` are the degrees of freedom of the error,
      ``sigma_full_excess_share`` the share of its square that is scatter of the runs beyond what each says of itself,
      and ``sigma_full_upper_S_per_cm`` is the upper bound (97.5 %), also where there is no number;
    - of runs that start from several orderings of a disordered crystal: ``n_orderings``, ``orderings`` (the seeds of
      each). The errors and intervals above have the scatter between orderings in them; for each stem (``sigma_full``,
      ``sigma_tracer``, ``haven_ratio``, ``diffusivity``), ``…_seeds_stderr`` and ``…_orderings_stderr`` are its two
      parts, ``…_scatter_orderings`` and ``…_scatter_seeds`` the standard deviations of single runs with ``…_dof``,
      and ``…_orderings_p_value`` the probability of such a scatter if the orderings did not matter;
      ``sigma_full_seeds_dof``;
    - matrices, of the spectral estimator: ``sigma_full_tensor_S_per_cm`` and ``sigma_tracer_tensor_S_per_cm`` (3, 3),
      ``onsager_S_per_cm`` (species, species), with ``sigma_full_tensor_stderr``, ``sigma_tracer_tensor_stderr``,
      ``onsager_stderr`` and ``onsager_ci95`` (species, species, 2);
    - what the results rest on: ``n_seeds``, ``seeds``, ``n_frames`` and ``total_time_ps`` of all seeds, ``dt_ps``
      between frames, ``estimator``, ``frame`` of reference, ``lag_ps`` and ``lag_tracer_ps`` that were chosen;
    - the order of the mobile ions: ``filled_share`` of the cell, and ``filled_share_stderr`` over seeds;
    - whether the results can be used: ``caged`` (True where most of the displacement is motion within cages and the
      number rests on the growth beyond it, else absent), ``diffusive``, ``converged`` (95 % half-width of σ below 20 %,
      slopes on a plateau), ``plateau`` of both and ``plateau_tracer``, ``beta`` and ``beta_stderr`` (exponent of the
      MSD at long lags), ``warnings`` (a list of sentences); ``labelled_by`` where no DFT was done: the pretrained
      potentials whose energies and forces the potential has learnt.
    """

    @classmethod
    def from_result(cls, result: TransportResult, **attributes: Any) -> ConductivityData:
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
        """Temperature in K."""
        return self.base.attributes.get('temperature_K')

    def _repr_html_(self) -> str:
        """Return the table of the numbers and warnings, and the mean-squared displacement, for notebooks."""
        a = self.base.attributes.all

        def numbers(name: str, unit: str, stem: str = '') -> str | None:
            """Return a number with its error and interval, which are stored under its own name or another stem."""
            return interval(a.get(name), a.get(f'{stem or name}_stderr'), a.get(f'{stem or name}_ci95'), unit)

        bound = a.get('sigma_full_upper_S_per_cm')
        unresolved = None if bound is None else f'no number, below {bound:.2g} S/cm'
        n_seeds, total = a.get('n_seeds'), a.get('total_time_ps')
        measured = interval(a.get('measured_temperature_K'), a.get('measured_temperature_stderr'), None, 'K')
        rows = [
            ('Temperature', f'{a["temperature_K"]:g} K' if 'temperature_K' in a else None),
            ('Temperature, measured', measured),
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
            label = 'Mean squared displacement (Å²) against lag (ps), log-log'
            drawing = plot(label, self.get_array('lag_ps'), self.get_array('msd_A2'), logarithmic=True)
        return card(node_title(self), rows, drawing)
