"""Labels of temperatures, seeds, runs, rounds and stages in the provenance graph: every label is made and read here.

Labels are stored: output namespaces and call links carry them. A change of their grammar would hide old results.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

PRERELAX = 'prerelax'
RELAX = 'relax'
AIMD = 'aimd'
LABEL_RATTLED = 'label_rattled'
LABEL_LEVELS = 'label_levels'
SAMPLE = 'sample'
LABEL_SAMPLED = 'label_sampled'
TEACH = 'teach'
TRAIN = 'train'
ACTIVE_LEARNING = 'active_learning'
EXPLORE = 'explore'
EVALUATE = 'evaluate'
LABEL = 'label'
COMPILE = 'compile'
VALIDATE = 'validate'
EXPAND = 'expand'
MD = 'md'
STAGES = (
    PRERELAX,
    RELAX,
    AIMD,
    LABEL_RATTLED,
    LABEL_LEVELS,
    SAMPLE,
    LABEL_SAMPLED,
    TEACH,
    TRAIN,
    ACTIVE_LEARNING,
    EXPLORE,
    EVALUATE,
    LABEL,
    COMPILE,
    VALIDATE,
    EXPAND,
    MD,
)
"""The stages of a campaign, as the call links of the work chains name them; rounds add a number: ``train_0``."""

_RUN = re.compile(r'(?P<temperature>T(?P<kelvin>\d+(_\d+)?))(_seed(?P<seed>\d+))?')
_NUMBERED = re.compile(r'(?P<name>.+?)(_(?P<number>\d+))?')

_UNPRINTABLE = ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')
"""Unicode categories: control and formatting characters, surrogates, separators of lines and paragraphs."""
_FORMULA = tuple('=+-@＝＋－＠')
"""What the formula of a spreadsheet begins with."""

Value = TypeVar('Value')


def temperature_label(temperature_K: float) -> str:
    """Return the label of a temperature: ``T1200`` for 1200 K, ``T1200_5`` for 1200.5 K."""
    return f'T{temperature_K:g}'.replace('.', '_')


def seed_label(seed: int) -> str:
    """Return the label of a seed: ``seed1``."""
    return f'seed{seed}'


def ordering_label(number: int) -> str:
    """Return the label of an ordering of a disordered crystal, counted from 1: ``ordering_01``."""
    return f'ordering_{number:02d}'


def ordering_of_seed(seed: int, n_orderings: int) -> str:
    """Return the label of the ordering that a velocity seed starts from.

    Seeds go round the orderings: a seed keeps its ordering when seeds are added, fail or run again.
    """
    return ordering_label((seed - 1) % n_orderings + 1)


def seeds_of_orderings(seeds: Iterable[int], n_orderings: int) -> dict[str, list[int]]:
    """Return the seeds of each ordering by its label; an ordering without a seed has an empty list."""
    groups: dict[str, list[int]] = {ordering_label(number): [] for number in range(1, n_orderings + 1)}
    for seed in seeds:
        groups[ordering_of_seed(seed, n_orderings)].append(seed)
    return groups


def cell_label(temperature_K: float, ordering: str = '') -> str:
    """Return the label of the mean cell at a temperature: ``T1200``; of an ordering ``T1200_ordering_01``.

    :param ordering: label of the ordering of a disordered crystal, if there are several.
    """
    return '_'.join(filter(None, (temperature_label(temperature_K), ordering)))


def run_label(temperature_K: float, seed: int) -> str:
    """Return the label of the run of a seed at a temperature: ``T1200_seed1``."""
    return f'{temperature_label(temperature_K)}_{seed_label(seed)}'


def shared_run_label(temperature_K: float, seeds: Sequence[int]) -> str:
    """Return the label of a run that several seeds share: ``T1200_seed1_and_2_more``; of one seed, its own label."""
    first = run_label(temperature_K, seeds[0])
    return first if len(seeds) == 1 else f'{first}_and_{len(seeds) - 1}_more'


def read_temperature(label: str) -> float:
    """Return the temperature in K of the label of a temperature or of a run.

    :raises ValueError: if the label is of neither kind.
    """
    return float(_read_run(label)['kelvin'].replace('_', '.'))


def read_seed(label: str) -> int:
    """Return the seed of the label of a run.

    :raises ValueError: if the label is not of a run.
    """
    seed = _read_run(label)['seed']
    if seed is None:
        raise ValueError(f'`{label}` is the label of a temperature, without a seed.')
    return int(seed)


def at_temperature(label: str, runs: Mapping[str, Value]) -> dict[str, Value]:
    """Return what belongs to a temperature.

    :param label: of the temperature, such as ``T1200``.
    :param runs: anything by the labels of runs.
    """
    return {run: value for run, value in runs.items() if _read_run(run)['temperature'] == label}


def in_namespace(namespace: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return what is in a namespace of links, by the labels inside it: ``T1200`` for ``conductivities__T1200``.

    :param values: anything by the labels of links.
    """
    prefix = f'{namespace}__'
    return {label.removeprefix(prefix): value for label, value in values.items() if label.startswith(prefix)}


def numbered(name: str, number: int) -> str:
    """Return the label of one of several stages or rounds of a name: ``train_0``."""
    return f'{name}_{number}'


def read_numbered(label: str) -> tuple[str, int | None]:
    """Return the name and the number of a label; None without a number: ``('train', 0)``, ``('md', None)``."""
    match = _NUMBERED.fullmatch(label)
    if match is None:
        return label, None
    return match['name'], None if match['number'] is None else int(match['number'])


def round_label(number: int, temperature: str = '') -> str:
    """Return the label of a round of a campaign with a target, and of its runs at a temperature: ``round_01_T1200``."""
    return f'round_{number:02d}' + (f'_{temperature}' if temperature else '')


def segment_label(number: int) -> str:
    """Return the label of a segment of a run: ``segment_000``."""
    return f'segment_{number:03d}'


def planned_label(label: str, planned: Iterable[str]) -> str:
    """Return the label under which a stage was planned: all rounds of ``validate_0`` were planned as ``validate``.

    :param label: of the call.
    :param planned: the labels of the plan.
    """
    planned = list(planned)
    shared = [name for name in planned if label.startswith(f'{name}_')]
    return label if label in planned or not shared else max(shared, key=len)


def _read_run(label: str) -> re.Match[str]:
    match = _RUN.fullmatch(label)
    if match is None:
        raise ValueError(f'`{label}` is not the label of a temperature or a run, such as T1200 or T1200_seed1.')
    return match


def printable(text: str) -> str:
    """Return a text without control characters, which a terminal would obey and XML forbids; they become spaces."""
    return ''.join(' ' if _is_unprintable(character) else character for character in text)


def terminal_text(text: str) -> str:
    """Return lines that a terminal only shows: control characters other than line feeds and tabs become ``\\u001b``.

    JSON and quoted YAML keep their meaning.
    """
    return ''.join(
        f'\\u{ord(character):04x}' if _is_unprintable(character) and character not in '\n\t' else character
        for character in text
    )


def csv_cell(value: Any) -> Any:
    """Return a cell of a CSV file that no spreadsheet takes for a formula; values that are not text stay as they are.

    A text that begins like a formula gets an apostrophe in front, by which spreadsheets know texts.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or value[:1] in ('\t', '\r', '\n') else text


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in '\ufffe\uffff'
