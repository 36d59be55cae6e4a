"""Parameters that users write: what is taken, what is refused in which words, and what the documentation says."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

from aiida_ionconduct.parameters import Key, ParameterError, Parameters, in_yaml, nearest_key


class Oven(Parameters):
    """A part of the parameters."""

    heat: float = Field(gt=0, description='temperature in K')
    ramps: list[Annotated[int, Field(ge=1)]] = Field([1, 2], min_length=1, description='ramps, one after the other')


class Shelf(Parameters):
    """An entry of a mapping with free keys."""

    width_cm: float = Field(30.0, description='width in cm')


class Kitchen(Parameters):
    """All parameters."""

    oven: Oven = Field(description='the oven')
    fuel: Literal['gas', 'wood'] = Field('gas', description='what burns')
    cooks: int | None = Field(None, ge=1, le=9, description='number of cooks; null for any')
    is_open: bool = Field(False, description='whether guests come')
    shelves: dict[str, Shelf] = Field({}, description='shelves by name')
    spices: dict[str, Shelf] = Field({}, json_schema_extra={'key': 'SPICE'})

    @field_validator('cooks')
    @classmethod
    def _not_thirteen(cls, cooks):
        if cooks == 7:
            raise ValueError('must not be seven')
        return cooks

    @model_validator(mode='after')
    def _wood_is_for_guests(self):
        if self.fuel == 'wood' and not self.is_open:
            raise ValueError('wood burns for guests only')
        return self


OVEN = {'heat': 450.0}


def test_defaults_are_filled_in():
    kitchen = Kitchen.check({'oven': OVEN})
    assert (kitchen.fuel, kitchen.cooks, kitchen.oven.ramps) == ('gas', None, [1, 2])


def test_given_values_are_told_from_defaults():
    values = {'oven': {'heat': 450.0}, 'fuel': 'gas'}
    assert Kitchen.check(values).given() == values


def test_any_mapping_is_taken():
    assert Kitchen.check(MappingProxyType({'oven': OVEN})).oven.heat == 450.0


def test_parameters_do_not_change():
    with pytest.raises(ValidationError, match='frozen'):
        Kitchen.check({'oven': OVEN}).fuel = 'wood'


def test_an_integer_is_a_float():
    """YAML writes 450 for 450.0."""
    assert Kitchen.check({'oven': {'heat': 450}}).oven.heat == 450.0


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        ({'feul': 'gas'}, 'unknown key `feul`: did you mean `fuel`?'),
        ({'oven': {**OVEN, 'ramp': []}}, 'unknown key `oven.ramp`: did you mean `oven.ramps`?'),
        ({'oven': {**OVEN, 'x': 1}}, 'unknown key `oven.x`: known are heat, ramps.'),
        (
            {'shelves': {'top': {'widht_cm': 20.0}}},
            'unknown key `shelves.top.widht_cm`: did you mean `shelves.top.width_cm`?',
        ),
        ({'oven': {}}, '`oven.heat` is missing: give it (temperature in K).'),
        ({'cooks': '3'}, "`cooks` is '3', but must be a valid integer (number of cooks; null for any)."),
        ({'cooks': True}, '`cooks` is True, but must be a valid integer (number of cooks; null for any).'),
        ({'is_open': 1}, '`is_open` is 1, but must be a valid boolean (whether guests come).'),
        ({'cooks': 12}, '`cooks` is 12, but must be less than or equal to 9 (number of cooks; null for any).'),
        ({'oven': {'heat': -1.0}}, '`oven.heat` is -1.0, but must be greater than 0'),
        ({'oven': {'heat': float('nan')}}, '`oven.heat` is nan, but must be a finite number'),
        ({'fuel': 'coal'}, "`fuel` is 'coal', but must be 'gas' or 'wood' (what burns)."),
        ({'oven': {**OVEN, 'ramps': [3, 0]}}, '`oven.ramps.1` is 0, but must be greater than or equal to 1'),
        ({'oven': {**OVEN, 'ramps': []}}, '`oven.ramps` is [], but must have at least 1 item'),
        ({'oven': {**OVEN, 'ramps': 3}}, '`oven.ramps` is 3, but must be a valid list'),
        ({'shelves': ['top']}, "`shelves` is ['top'], but must be a mapping of keys"),
        ({'shelves': {'top': 20}}, '`shelves.top` is 20, but must be a mapping of keys'),
        ({'shelves': {'top': {'width_cm': 'wide'}}}, "`shelves.top.width_cm` is 'wide', but must be a valid number"),
        ({'cooks': 7}, '`cooks` is 7, but must not be seven (number of cooks; null for any).'),
        ({'fuel': 'wood'}, 'wood burns for guests only.'),
    ],
)
def test_what_cannot_be_used_is_named_with_what_it_must_be(change, complaint):
    with pytest.raises(ParameterError) as raised:
        Kitchen.check({'oven': OVEN, **change})
    assert str(raised.value).startswith(complaint)
    assert '\n' not in str(raised.value)


def test_every_mistake_has_a_line():
    with pytest.raises(ParameterError) as raised:
        Kitchen.check({'oven': {}, 'feul': 'gas', 'cooks': 0})
    assert len(str(raised.value).splitlines()) == 3


def test_a_key_that_is_no_word_is_named():
    with pytest.raises(ParameterError, match=r'the key `1` is not a word: known are '):
        Kitchen.check({1: 2})


def test_stored_parameters_are_read_although_they_are_refused_now():
    """What an earlier version has accepted and run must not keep its results from being read."""
    with pytest.raises(ParameterError, match='heat'):
        Oven.check({'heat': -1})
    oven = Oven.stored({'heat': -1})
    assert (oven.heat, oven.ramps) == (-1, [1, 2])


def test_the_path_stands_before_every_key():
    with pytest.raises(ParameterError) as raised:
        Kitchen.check({'oven': {'heatt': 450.0}}, path='house.kitchen')
    missing, unknown = str(raised.value).splitlines()
    assert missing.startswith('`house.kitchen.oven.heat` is missing')
    assert unknown == ('unknown key `house.kitchen.oven.heatt`: did you mean `house.kitchen.oven.heat`?')


@pytest.mark.parametrize(
    ('path', 'complaint'),
    [('', 'the parameters must be a mapping of keys.'), ('kitchen', '`kitchen` is 5, but must be a mapping of keys.')],
)
def test_parameters_are_a_mapping(path, complaint):
    with pytest.raises(ParameterError) as raised:
        Kitchen.check(5, path)
    assert str(raised.value) == complaint


def test_a_mistake_of_several_keys_together_names_their_section():
    """The values of the whole section are not repeated."""

    class House(Parameters):
        kitchen: Kitchen

    with pytest.raises(ParameterError) as raised:
        House.check({'kitchen': {'oven': OVEN, 'fuel': 'wood'}})
    assert str(raised.value) == '`kitchen`: wood burns for guests only.'


def test_nearest_key():
    assert nearest_key('timestep', ['timestep_fs', 'seeds'], 'md.') == 'did you mean `md.timestep_fs`?'
    assert nearest_key('x', ['timestep_fs', 'seeds']) == 'known are timestep_fs, seeds.'


def test_keys_have_kind_default_and_description():
    """What the tables of the documentation show."""
    keys = {key.path: key for key in Kitchen.keys(path='')}
    assert keys['oven.heat'] == Key('oven.heat', 'float, > 0', '', 'temperature in K')
    assert keys['fuel'] == Key('fuel', 'gas or wood', 'gas', 'what burns')
    assert keys['cooks'] == Key('cooks', 'int or null, ≥ 1, ≤ 9', 'null', 'number of cooks; null for any')
    assert keys['is_open'].default == 'false'


def test_limits_of_the_entries_of_a_list_are_told():
    (key,) = (key for key in Kitchen.keys(path='') if key.path == 'oven.ramps')
    assert (key.kind, key.default) == ('list of int (≥ 1), length ≥ 1', '[1, 2]')


def test_free_keys_of_a_mapping_are_shown_by_a_name():
    """`NAME`, or what the field of the mapping says."""
    assert {'shelves.NAME.width_cm', 'spices.SPICE.width_cm'} <= {key.path for key in Kitchen.keys(path='')}


def test_keys_start_with_the_path():
    assert all(key.path.startswith('kitchen.') for key in Kitchen.keys('kitchen'))


@pytest.mark.parametrize(
    ('value', 'text'), [(None, 'null'), (True, 'true'), (1e-9, '1.0e-09'), ([600, 900], '[600, 900]'), ('cpu', 'cpu')]
)
def test_values_as_they_stand_in_yaml(value, text):
    assert in_yaml(value) == text
