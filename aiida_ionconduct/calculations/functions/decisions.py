"""After each round of molecular dynamics: is the conductivity known well enough, and what is run next."""

from aiida import orm
from aiida.engine import calcfunction

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.studies.error_target import Known, Settings, decide


@calcfunction
def decide_next(settings: orm.Dict, **nodes) -> orm.Dict:
    """Return the decision of :func:`aiida_ionconduct.studies.error_target.decide` for every temperature.

    :param settings: of :class:`aiida_ionconduct.studies.error_target.Settings`, and ``lost_ns``, the MD
        spent on runs that failed.
    :param nodes: :class:`ConductivityData` by label of the temperature, and the decisions of the rounds before,
        labelled ``round_01`` and so on.
    """
    values = settings.get_dict()
    lost_ns = values.pop('lost_ns', 0.0)
    known = {label: known_from(node) for label, node in sorted(nodes.items()) if isinstance(node, ConductivityData)}
    earlier = [node.get_dict() for _, node in sorted(nodes.items()) if isinstance(node, orm.Dict)]
    return orm.Dict(decide(known, Settings(**values), earlier, lost_ns))


def known_from(node: ConductivityData) -> Known:
    """Return what the decision needs of a conductivity."""
    a = node.base.attributes.all
    return Known(
        n_seeds=a['n_seeds'],
        length_ps=a['total_time_ps'] / a['n_seeds'],
        value=a['sigma_full_S_per_cm'],
        stderr=a['sigma_full_stderr'],
        dof=a['sigma_full_dof'],
        upper=a['sigma_full_upper_S_per_cm'],
        plateau=a['plateau'],
        beta=a['beta'],
        beta_stderr=a['beta_stderr'],
    )
