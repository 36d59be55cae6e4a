"""The programs that a campaign runs, and the schedulers that start them: tables, read by all who need them."""

from aiida_ionconduct.engines.programs import ENGINES, Engine, Trial
from aiida_ionconduct.engines.schedulers import SCHEDULERS, Scheduler

__all__ = ['ENGINES', 'SCHEDULERS', 'Engine', 'Scheduler', 'Trial']
