"""Relax a shipped crystal as a protocol does, and nothing else: `verdi run docs/examples/relax.py --help`."""

import argparse

import yaml
from aiida import orm
from aiida.engine import submit
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain

from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.builder import load_codes, relax_inputs
from aiida_ionconduct.workchains.protocols import protocol_inputs

parser = argparse.ArgumentParser()
parser.add_argument('--crystal', default='beta-Li3PO4')
parser.add_argument('--protocol', default='balanced')
parser.add_argument('--overrides', default='{}', help="YAML, such as '{dft: {kpoints_distance: 0.6}}'")
options = parser.parse_args()

structure = orm.StructureData(ase=crystal(options.crystal))
p = protocol_inputs('conductivity', options.protocol, yaml.safe_load(options.overrides))
builder = PwRelaxWorkChain.get_builder()
builder._update({**relax_inputs(load_codes()['pw'], structure, p), 'structure': structure})
print(f'Submitted PwRelaxWorkChain<{submit(builder).pk}>: verdi process status, verdi process report')
