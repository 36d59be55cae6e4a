"""Relax a structure with the settings of a protocol: `verdi run docs/examples/relax.py --help`."""

import argparse

import yaml
from aiida.engine import submit

from aiida_ionconduct.cli.submit import load_structure
from aiida_ionconduct.workchains.inputs import load_codes
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.stage_inputs import relax_inputs

parser = argparse.ArgumentParser()
parser.add_argument('--structure', default='beta-Li3PO4', help='A file that ASE reads, a PK, or a shipped crystal.')
parser.add_argument('--protocol', default='balanced', help='Name of a protocol.')
parser.add_argument(
    '--overrides',
    default='{}',
    help="Keys that differ from the protocol, as YAML, such as '{dft: {kpoints_distance: 0.6}}'",
)
options = parser.parse_args()

structure = load_structure(options.structure)
p = protocol_inputs('conductivity', options.protocol, yaml.safe_load(options.overrides))
builder = RelaxWorkChain.get_builder()
builder._update({**relax_inputs(load_codes()['pw'], structure, p), 'structure': structure})
print(f'Submitted RelaxWorkChain<{submit(builder).pk}>: verdi process status, verdi process report')
