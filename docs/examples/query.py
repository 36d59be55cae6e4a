"""Print all conductivities of a profile, cold to hot. Run as `verdi run docs/examples/query.py`."""

from aiida import orm
from tabulate import tabulate

from aiida_ionconduct.data import ConductivityData

COLUMNS = {
    'reduced_composition': 'composition',
    'temperature_K': 'T (K)',
    'n_atoms': 'atoms',
    'n_seeds': 'seeds',
    'total_time_ps': 'MD (ps)',
    'haven_ratio': 'Haven ratio',
    'sigma_full_S_per_cm': 'σ (S/cm)',
    'sigma_full_ci95': '95 % from',
}

query = orm.QueryBuilder().append(ConductivityData, project=['id', *(f'attributes.{name}' for name in COLUMNS)])
rows = sorted(query.all(), key=lambda row: row[1:3] + row[:1])  # by composition, temperature and PK
table = [[*row[:-1], *(row[-1] or (None, None))] for row in rows]  # no interval where nothing diffused
print(tabulate(table, headers=['PK', *COLUMNS.values(), 'to'], missingval='–', floatfmt='.3g'))
