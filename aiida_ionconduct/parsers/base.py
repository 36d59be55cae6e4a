"""What the parsers share: why a job died, and the exit code of a job that has left all its results."""

from __future__ import annotations

from aiida import orm
from aiida.common import NotExistent
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_ionconduct.engines.causes import Cause, find_cause

EXIT_CODE_BY_KIND = {
    'memory': 'ERROR_OUT_OF_MEMORY',
    'installation': 'ERROR_CANNOT_RUN',
    'crash': 'ERROR_CRASHED',
}
"""The labels of the exit codes of a job by the kind of a cause."""


def ran_out_of_memory(parser: Parser) -> bool:
    """Return whether the scheduler reports that it killed the job for its memory."""
    return bool(parser.node.exit_status == parser.exit_codes.ERROR_SCHEDULER_OUT_OF_MEMORY.status)


def messages(node: orm.CalcJobNode) -> str:
    """Return all that a job and its scheduler wrote to standard error and standard output, in this order."""
    try:
        repository = node.outputs.retrieved.base.repository
    except (AttributeError, NotExistent):
        return ''
    present, names = repository.list_object_names(), []
    for stream in ('stderr', 'stdout'):
        name = node.get_option(f'scheduler_{stream}')
        if name in present and name not in names:
            names.append(str(name))
    return '\n'.join(repository.get_object_content(name, 'rb').decode(errors='replace') for name in names)


def cause_of_failure(node: orm.CalcJobNode, *errors: str) -> Cause | None:
    """Return why a job died, as far as the job, its program or its scheduler says so.

    :param errors: lines of the program that stand elsewhere.
    """
    return find_cause('\n'.join([*errors, messages(node)]))


def exit_code_of(parser: Parser, cause: Cause) -> ExitCode:
    """Return the exit code of a job that died for a known cause."""
    return parser.exit_codes[EXIT_CODE_BY_KIND[cause.kind]].format(detail=cause.sentence)


def exit_code_without(parser: Parser, missing: ExitCode) -> ExitCode:
    """Return the exit code of a job without its result: for its cause, or for the result with the cause, if any.

    :param missing: the exit code for the missing result.
    """
    cause = cause_of_failure(parser.node)
    if cause is None:
        return missing
    if EXIT_CODE_BY_KIND[cause.kind] in parser.exit_codes:
        return exit_code_of(parser, cause)
    return ExitCode(missing.status, f'{missing.message} {cause.sentence}', missing.invalidates_cache)


def success(parser: Parser) -> ExitCode:
    """Return the exit code of a job that has left all its results.

    AiiDA keeps the exit code of the scheduler if a parser returns None. A job that hangs at its exit until its time is
    up, or whose node fails then, has done its work; the exit message tells about the scheduler.
    """
    if not parser.node.exit_status:
        return ExitCode(0)
    return ExitCode(0, f'All results are there, although the scheduler says: {parser.node.exit_message}')
