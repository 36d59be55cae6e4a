"""Print all conductivities of a profile and the activation energies. Run as `verdi run docs/examples/query.py`."""

from aiida import load_profile

from aiida_ionconduct.queries import arrhenius_series, conductivities

load_profile()
columns = ['pk', 'composition', 'temperature_K', 'sigma_full_S_per_cm', 'sigma_full_ci95_low', 'sigma_full_ci95_high']
print(conductivities()[columns].to_string(index=False))

for campaign, fit in arrhenius_series().attrs['fits'].items():
    print(f'campaign {campaign}: {fit["activation_energy_eV"]:.2f} ± {fit["activation_energy_stderr"]:.2f} eV')
