"""The decision after each round of molecular dynamics: what is run next, until the conductivity is known."""

from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.studies.error_target import Known, PrecisionTarget, decide


@calcfunction
def decide_next(settings: orm.Dict, **nodes: ConductivityData | orm.Dict) -> orm.Dict:
    """Return what :func:`aiida_ionconduct.studies.error_target.decide` decides for every temperature.

    :param settings: as :func:`decision_settings` makes them.
    :param nodes: conductivities by label of the temperature, and the decisions of the rounds before by label of the
        round, such as ``round_01``.
    """
    values = settings.get_dict()
    lost_ns = values.pop('lost_ns', 0.0)
    target = PrecisionTarget.check({'target_relative_error': values.pop('target'), **values})
    known = {label: _known_from(node) for label, node in sorted(nodes.items()) if isinstance(node, ConductivityData)}
    earlier = [node.get_dict() for _, node in sorted(nodes.items()) if isinstance(node, orm.Dict)]
    return orm.Dict(decide(known, target, earlier=earlier, lost_ns=lost_ns))


def decision_settings(target: PrecisionTarget, lost_ns: float = 0.0) -> orm.Dict:
    """Return the settings of :func:`decide_next`, under the names that are stored.

    :param lost_ns: MD spent on runs that failed.
    """
    values = target.model_dump()
    return orm.Dict({'target': values.pop('target_relative_error'), **values, 'lost_ns': lost_ns})


def _known_from(node: ConductivityData) -> Known:
    """Return what the decision needs of a conductivity.

    More MD lowers the error from the seeds alone. What the scatter between orderings adds is no part of the decision.
    """
    a = node.base.attributes.all
    return Known(
        n_seeds=a['n_seeds'],
        length_ps=a['total_time_ps'] / a['n_seeds'],
        value=a['sigma_full_S_per_cm'],
        stderr=a.get('sigma_full_seeds_stderr', a['sigma_full_stderr']),
        dof=a.get('sigma_full_seeds_dof', a['sigma_full_dof']),
        upper=a['sigma_full_upper_S_per_cm'],
        plateau=a['plateau'],
        excess_share=a.get('sigma_full_excess_share') or 0.0,
    )
