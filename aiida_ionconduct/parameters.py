"""Parameters that users write, checked in one way everywhere: protocol, training, molecular dynamics, target, site.

A set of parameters is a subclass of :class:`Parameters`, whose fields carry type, range, default and description. A
misspelt key, a wrong type and a value out of range give the same kind of message, and the documentation of all keys
is made from the same fields.
"""

from __future__ import annotations

import difflib
import math
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from typing_extensions import Self

LIMITS = {'gt': '>', 'ge': '≥', 'lt': '<', 'le': '≤', 'min_length': 'length ≥', 'max_length': 'length ≤'}


class ParameterError(ValueError):
    """Parameters that cannot be used; the message has a line for each of them, with what it must be."""


class Key(NamedTuple):
    """What the documentation says of one key: its path, kind, default and description."""

    path: str
    kind: str
    default: str
    description: str


class Parameters(BaseModel):
    """Parameters in which an unknown key is an error, and a value is never converted to another type in silence."""

    model_config = ConfigDict(extra='forbid', strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def check(cls, values: Any, path: str = '') -> Self:
        """Return the parameters with the defaults filled in.

        :param values: a mapping, nested as the fields are.
        :param path: what stands before the keys in messages, such as ``training``.
        :raises ParameterError: naming every key that is unknown or missing and every value that cannot be used.
        """
        try:
            return cls.model_validate(dict(values) if isinstance(values, Mapping) else values)
        except ValidationError as error:
            lines = [_complaint(cls, details, path) for details in error.errors(include_url=False)]
            raise ParameterError('\n'.join(lines)) from None

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the parameters of something that has run, with the defaults filled in and nothing refused.

        An earlier version of this package may have accepted a value that is refused now; its results are still read.

        :param values: of the node, checked when it was made.
        """
        return cls.model_construct(**values)

    def given(self) -> dict[str, Any]:
        """Return the values that were stated, without the defaults, as plain data."""
        return self.model_dump(exclude_unset=True)

    @classmethod
    def keys(cls, path: str = '') -> Iterator[Key]:
        """Yield every key with what the documentation says of it, nested keys by their whole path.

        In the path of a key below a mapping whose keys are free, such as ``computers.NAME.hostname``, NAME stands for
        these keys, unless the field of the mapping names them: ``json_schema_extra={'key': 'NAME@COMPUTER'}``.
        """
        for name, field in cls.model_fields.items():
            here = f'{path}.{name}' if path else name
            nested = _nested(field.annotation)
            if nested is not None:
                is_mapping = typing.get_origin(field.annotation) is dict
                yield from nested.keys(f'{here}.{_free_key(field)}' if is_mapping else here)
            else:
                yield Key(here, _kind(field), _default(field), field.description or '')


def nearest_key(key: str, known: Sequence[str], path: str = '') -> str:
    """Return what to say of an unknown key: the nearest known one, or all of them.

    :param path: what stands before the keys, such as ``training.``.
    """
    close = difflib.get_close_matches(key, known, n=1)
    return f'did you mean `{path}{close[0]}`?' if close else f'known are {", ".join(known)}.'


def in_yaml(value: Any) -> str:
    """Return a value as it stands in a YAML file, on one line: ``null``, ``1.0e-09``, ``[600, 900]``."""
    dumped: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True)
    return dumped.removesuffix('...\n').strip()


def _complaint(model: type[BaseModel], details: ErrorDetails, path: str) -> str:
    """Return one line about one key: where it is, what is wrong, what is right."""
    location = [str(part) for part in details['loc']]
    name = '.'.join([path, *location] if path else location)
    if details['type'] == 'extra_forbidden':
        owner = model_at(model, location[:-1])
        before = name[: len(name) - len(location[-1])]
        return f'unknown key `{name}`: {nearest_key(location[-1], list(owner.model_fields), before)}'
    if details['type'] == 'invalid_key':
        return f'the key `{name}` is not a word: known are {", ".join(model_at(model, location[:-1]).model_fields)}.'
    problem = _problem(details)
    if not name:
        return f'the parameters {problem}.' if problem.startswith('must ') else f'{problem}.'
    if details['type'] == 'value_error' and isinstance(details['input'], Mapping):  # of several keys together
        return f'`{name}`: {problem}.'
    field = _field_at(model, location)
    meaning = f' ({field.description})' if field is not None and field.description else ''
    if details['type'] == 'missing':
        return f'`{name}` is missing: give it{meaning}.'
    return f'`{name}` is {details["input"]!r}, but {problem}{meaning}.'


def _problem(details: ErrorDetails) -> str:
    """Return what a value must be, in the words of pydantic turned into a phrase."""
    if details['type'] in ('dict_type', 'model_type'):
        return 'must be a mapping of keys'
    message = details['msg'].removeprefix('Value error, ').replace(' after validation', '').rstrip('.')
    return re.sub(r'^\w+ should ', 'must ', message)


def model_at(model: type[BaseModel], location: Sequence[str]) -> type[BaseModel]:
    """Return the nested model at a place; entries of lists and mappings are passed over."""
    for part in location:
        if part in model.model_fields:
            model = _nested(model.model_fields[part].annotation) or model
    return model


def _field_at(model: type[BaseModel], location: Sequence[str]) -> FieldInfo | None:
    """Return the field at a place, of an entry of a list the field of the list."""
    field = None
    for part in location:
        if part in model.model_fields:
            field = model.model_fields[part]
            model = _nested(field.annotation) or model
    return field


def _nested(annotation: Any) -> type[Parameters] | None:
    """Return the set of parameters that a field holds, also as the values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Parameters):
        return annotation
    return next((nested for nested in map(_nested, typing.get_args(annotation)) if nested), None)


def _free_key(field: FieldInfo) -> str:
    """Return what stands for the keys of a mapping whose keys are free."""
    extra = field.json_schema_extra
    return str(extra.get('key', 'NAME')) if isinstance(extra, dict) else 'NAME'


def _kind(field: FieldInfo) -> str:
    """Return the kind of a value in words: ``float, > 0``; ``cpu or cuda``; ``list of int``."""
    return ', '.join([_words(field.annotation), *_bounds(field.metadata)])


def _words(annotation: Any) -> str:
    """Return a type in words."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        bounds = ', '.join(_bounds(parts[1:]))
        return f'{_words(parts[0])} ({bounds})' if bounds else _words(parts[0])
    if origin is typing.Literal:
        return ' or '.join(map(str, parts))
    if origin in (list, tuple, dict):
        return f'{origin.__name__} of {_words(parts[-1])}' if parts else origin.__name__
    if parts:
        return ' or '.join(map(_words, parts))
    return 'null' if annotation in (None, type(None)) else getattr(annotation, '__name__', str(annotation))


def _bounds(constraints: Sequence[Any]) -> Iterator[str]:
    """Yield the limits of a value in words: ``> 0``."""
    for constraint in constraints:
        if isinstance(constraint, FieldInfo):
            yield from _bounds(constraint.metadata)
        else:
            yield from (
                f'{sign} {getattr(constraint, name)}' for name, sign in LIMITS.items() if hasattr(constraint, name)
            )


def _default(field: FieldInfo) -> str:
    """Return the default as it stands in YAML; empty for a key that must be given."""
    value = field.get_default(call_default_factory=True)
    return '' if value is PydanticUndefined else in_yaml(value)
