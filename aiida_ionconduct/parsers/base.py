"""What the parsers share."""

from __future__ import annotations

from aiida.parsers import Parser


def ran_out_of_memory(parser: Parser) -> bool:
    """Return whether the scheduler reports that it killed the job for its memory."""
    return bool(parser.node.exit_status == parser.exit_codes.ERROR_SCHEDULER_OUT_OF_MEMORY.status)
