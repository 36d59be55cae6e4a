"""AIMD of (Li4SiO4)0.25(Li3PO4)0.75 from its formula: `verdi run docs/examples/aimd.py --help`.

The defaults run a few steps of the 132 atoms, to show how it works and what a step costs. Their cutoff is far too low
for meaningful forces.
"""

import argparse

from aiida import orm
from aiida.engine import submit

from aiida_ionconduct.calculations.functions.structures import alloy_structures
from aiida_ionconduct.structures import read_disordered
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.inputs import load_codes
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.stage_inputs import aimd_inputs

parser = argparse.ArgumentParser()
parser.add_argument('--cutoff', type=float, default=20.0, help='Cutoff of the wave functions in Ry.')
parser.add_argument('--steps', type=int, default=4, help='Number of steps of 2 fs.')
parser.add_argument('--temperature', type=float, default=900.0, help='Temperature in K.')
parser.add_argument('--processes', type=int, default=1, help='Number of MPI processes.')
options = parser.parse_args()

parent = orm.StructureData(pymatgen=read_disordered('gamma-Li3PO4'))
parameters = {'substitute': {'P': 'Si'}, 'fraction': 0.25, 'formula_units': 16, 'n_best': 1}
cell = alloy_structures(parent, orm.Dict(parameters))['candidate_00']
overrides = {
    'dft': {'ecutwfc': options.cutoff, 'conv_thr_per_atom': 1e-8},
    'aimd': {
        'temperatures_K': [options.temperature],
        'timestep_fs': 2.0,
        'equilibration_ps': 0.0,
        'equilibration_thermostat': 'none',
        'sampling_ps': 2e-3 * options.steps,
    },
    'resources': {'pw': {'num_mpiprocs_per_machine': options.processes}},
}
p = protocol_inputs('conductivity', 'talk', overrides)
builder = AimdWorkChain.get_builder()
builder._update({**aimd_inputs(load_codes()['pw'], cell, p), 'structure': cell})
print(f'Submitted AimdWorkChain<{submit(builder).pk}>: verdi process status, verdi process report')
