"""Ordered cells relaxed by the real pw.x, as a campaign begins: `verdi run candidate_relaxations.py` prints JSON."""

import json

from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching
from ase import units
from ase.build import bulk

from aiida_ionconduct.calculations.functions.aimd import output_of
from aiida_ionconduct.structures import alloy
from aiida_ionconduct.workchains.conductivity import ConductivityWorkChain
from aiida_ionconduct.workchains.inputs import load_codes

OVERRIDES = {
    'n_candidates': 2,
    'dft': {'ecutwfc': 20.0, 'conv_thr_per_atom': 1e-7},
    'relax': {'forc_conv_thr': 0.02, 'etot_conv_thr_per_atom': 1e-3},
}


class RelaxationWorkChain(ConductivityWorkChain):
    """The first stage of a campaign, and no other."""

    @classmethod
    def define(cls, spec):
        """Define the process specification."""
        super().define(spec)
        spec.outline(cls.setup, cls.run_relax, cls.inspect_relax, cls.hand_on)
        for port in spec.outputs.values():
            port.required = False

    def hand_on(self):
        """Attach what the next stage would begin with."""
        self.out('structure', self.ctx.structure)


def energies_eV(node: orm.WorkChainNode) -> list[float]:
    """Return the energies of all steps of a relaxation, as pw.x has written them."""
    (job,) = (process for process in node.called_descendants if isinstance(process, orm.CalcJobNode))
    lines = output_of(job.outputs.retrieved).splitlines()
    return [float(line.split()[-2]) * units.Rydberg for line in lines if line.startswith('!')]


def main() -> None:
    """Run it."""
    arrangements = alloy(bulk('OLi2', 'fluorite', a=4.62, cubic=True), {'Li': 'Mg'}, 1 / 8, n_best=3)
    cells = [orm.StructureData(ase=arrangement.atoms) for arrangement in arrangements]
    builder = ConductivityWorkChain.get_builder_from_protocol(
        load_codes(), cells[0], 'quickstart', overrides=OVERRIDES, candidates=cells
    )
    with disable_caching():
        _, node = run_get_node(RelaxationWorkChain, **builder._inputs(prune=True))
    relaxations = {link.link_label: link.node for link in node.base.links.get_outgoing(orm.WorkChainNode).all()}
    relaxed = {label: relaxation.outputs.output_structure for label, relaxation in relaxations.items()}
    answer = {
        'exit_status': node.exit_status,
        'ranking': node.outputs.candidates.get_dict(),
        'energies_eV': {label: energies_eV(relaxation) for label, relaxation in relaxations.items()},
        'cells': {label: cells.index(relaxation.inputs.structure) for label, relaxation in relaxations.items()},
        'handed_on': [label for label, cell in relaxed.items() if cell.uuid == node.outputs.structure.uuid],
        'formulas': [cell.get_formula() for cell in (*cells, *relaxed.values())],
    }
    print(json.dumps(answer))


if __name__ == '__main__':
    main()
