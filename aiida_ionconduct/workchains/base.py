"""The base of all work chains: children are submitted once, and a failure names the child."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import BaseRestartWorkChain, ExitCode, Process, ProcessHandlerReport, ToContext, append_
from aiida.engine.processes.workchains.workchain import WorkChainSpec

from aiida_ionconduct.farm.once import SubmitOnce


class ParentWorkChain(SubmitOnce):
    """A work chain that starts other processes."""

    def child(
        self, label: str, process: type[Process], inputs: dict[str, Any], *, name: str = '', append: bool = False
    ) -> ToContext:
        """Submit a child and return what the context waits for.

        :param label: of the call link: unique among the children of this work chain.
        :param inputs: of the child, by name; they get the label.
        :param name: of the child in the context; the label, if not given.
        :param append: make the child the last of a list of that name.
        """
        inputs['metadata'] = {**inputs.get('metadata', {}), 'call_link_label': label}
        node = self.submit(process, **inputs)
        self.report(f'launched {node.process_label}<{node.pk}> ({label})')
        return ToContext(**{name or label: append_(node) if append else node})

    def failure(self, stage: str, node: orm.ProcessNode) -> ExitCode:
        """Report a child that failed and return the exit code of its stage.

        :param stage: the last part of the label of the exit code, such as ``TRAINING``.
        """
        self.report(f'{node.process_label}<{node.pk}> failed: {node.exit_message or node.process_state}')
        return self.exit_codes[f'ERROR_SUB_PROCESS_FAILED_{stage}']


class RestartWorkChain(ParentWorkChain, BaseRestartWorkChain):
    """A work chain that runs a job again where this helps; after a failure that no handler knows, once."""

    on_unhandled_failure = 'restart_once'
    """The default of the input of this name."""

    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        """Define the process specification."""
        super().define(spec)
        port: Any = spec.inputs['on_unhandled_failure']
        port.default = lambda: orm.Str(cls.on_unhandled_failure)

    def give_up(self, node: orm.CalcJobNode, why: str) -> ProcessHandlerReport:
        """Return the report of a handler that ends the work chain, with a sentence that names the job.

        :param why: what goes before the message of the job: ``has failed twice in a row``.
        """
        message = f'{node.process_label}<{node.pk}> {why}: {node.exit_message}'
        return ProcessHandlerReport(True, self.exit_codes.ERROR_UNHANDLED_FAILURE._replace(message=message))
