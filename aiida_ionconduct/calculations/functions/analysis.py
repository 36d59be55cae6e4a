"""From stored trajectories to conductivities: the transport kernels as calculation functions."""

from aiida import orm
from aiida.engine import calcfunction
from ase.formula import Formula

from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.studies.temperatures import haven_ratios, prefactor, transition
from aiida_ionconduct.transport import analyse, arrhenius


@calcfunction
def analyse_trajectories(parameters: orm.Dict, **trajectories: IonTrajectoryData) -> ConductivityData:
    """Return the full and tracer conductivity from all seeds at one temperature.

    :param parameters: ``charges`` by chemical symbol, ``mobile``, and any other argument of
        :func:`aiida_ionconduct.transport.analyse`; ``discard_ps`` is left out of the beginning of every run.
    """
    runs = [trajectories[label] for label in sorted(trajectories)]
    first, settings = runs[0], parameters.get_dict()
    n_discarded = round(settings.pop('discard_ps', 0.0) / first.frame_interval_ps)
    result = analyse(
        [run.positions[n_discarded:] for run in runs],
        first.symbols,
        cell=first.cell,
        temperature_K=first.temperature_K,
        dt_ps=first.frame_interval_ps,
        **settings,
    )
    formula = Formula.from_list(first.symbols)
    return ConductivityData.from_result(
        result,
        composition=f'{formula:metal}',
        reduced_composition=f'{formula.reduce()[0]:metal}',
        seeds=[run.base.attributes.get('seed') for run in runs],
        plateau=bool(result.sigma_full.diagnostics['plateau'] and result.sigma_tracer.diagnostics['plateau']),
        sigma_full_upper_S_per_cm=result.sigma_full.interval(0.95)[1],
    )


@calcfunction
def fit_arrhenius(**conductivities: ConductivityData) -> orm.Dict:
    """Fit ln(sigma T) against 1/T, each temperature weighted by its error, and test whether one line is enough.

    :return: of :func:`aiida_ionconduct.transport.arrhenius`, with the prefactor's interval, ``transition`` and
        ``haven_ratio`` of :mod:`aiida_ionconduct.studies.temperatures`.
    """
    results = sorted((node.base.attributes.all for node in conductivities.values()), key=lambda a: a['temperature_K'])
    columns = ('temperature_K', 'sigma_full_S_per_cm', 'sigma_full_stderr', 'sigma_full_dof')
    points = [[result[column] for result in results] for column in columns]
    haven = [[result[column] for result in results] for column in ('haven_ratio', 'haven_ratio_stderr')]
    fit, change = arrhenius(*points), transition(*points)
    warnings = [*fit['warnings'], *([change['warning']] if change['warning'] else [])]
    further = {'transition': change, 'haven_ratio': haven_ratios(points[0], *haven)}
    return orm.Dict({**fit, **prefactor(fit), **further, 'warnings': warnings})
