"""Constants and the units of the package: Å, ps, e, K, eV, S/cm, cm²/s (exact values of the SI of 2019)."""

ELEMENTARY_CHARGE_C = 1.602176634e-19
BOLTZMANN_J_PER_K = 1.380649e-23
BOLTZMANN_EV_PER_K = BOLTZMANN_J_PER_K / ELEMENTARY_CHARGE_C

#: e² Å² ps⁻¹ / (Å³ kB K) in S/cm: sigma = SIEMENS_PER_CM * slope / (2 d V T).
SIEMENS_PER_CM = 1e-2 * ELEMENTARY_CHARGE_C**2 * 1e-20 / 1e-12 / (1e-30 * BOLTZMANN_J_PER_K)

#: Å²/ps in cm²/s.
CM2_PER_S = 1e-4
