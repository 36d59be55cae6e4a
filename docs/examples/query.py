"""Print all conductivities of a profile, cold to hot. Run as `verdi run docs/examples/query.py`."""

from aiida import orm
from tabulate import tabulate

from aiida_ionconduct.data import ConductivityData

COLUMNS = {
    'reduced_composition': 'composition',
    'n_atoms': 'atoms',
    'temperature_K': 'T (K)',
    'sigma_full_S_per_cm': 'σ (S/cm)',
    'sigma_full_ci95': '95 % interval',
    'haven_ratio': 'Haven ratio',
    'n_seeds': 'seeds',
    'total_time_ps': 'MD (ps)',
    'diffusive': 'diffusive',
}

query = orm.QueryBuilder()
query.append(ConductivityData, project=['id', *(f'attributes.{name}' for name in COLUMNS)])
query.order_by({ConductivityData: ['attributes.reduced_composition', 'attributes.temperature_K']})
print(tabulate(query.all(), headers=['PK', *COLUMNS.values()], missingval='–', floatfmt='.3g'))
