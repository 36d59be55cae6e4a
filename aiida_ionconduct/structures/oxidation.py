"""Oxidation states of the elements of a crystal: from the user, a table, the file, or the statistics of pymatgen.

A state is one number for each element. Where an element has several states in one crystal (mixed valence), or shares a
charge within a molecular ion, the number is its average, which follows from the balance of charges.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from ase.data import atomic_numbers

from aiida_ionconduct.structures.checks import OXIDATION_STATES

if TYPE_CHECKING:
    from pymatgen.core import Structure

BALANCE = 1e-3
"""A charge of this share of the positive charge is a rounding error of the occupancies."""
MENDABLE = 0.04
"""A charge up to this share of the positive charge may be an error of measured occupancies, for the mobile ion to mend.
A wrong oxidation state of an element that is more than a dopant leaves more."""
NEARLY_WHOLE = 0.02  # an average so near to a whole state is that state, with errors of the occupancies
N_COMBINATIONS = 100_000
N_BOND_VALENCE = 200  # sites up to which bond valences are tried
FIXED = {'H', 'O', 'F', 'Cl', 'Br', 'I'}
"""Anions, and hydrogen, whose average state is not used to balance a charge: peroxides are stated by the user."""
NONMETALS = ('Si', 'B', 'P', 'H', 'C', 'Se', 'S', 'I', 'Br', 'N', 'Cl', 'O', 'F')
"""By electronegativity (Pauling): of two of them that have opposite signs, the later one is negative."""
MIXED_VALENCE = {'V', 'Cr', 'Mn', 'Fe', 'Co', 'Ni'}
"""Elements of which crystals of mixed valence are common: their average state explains a charge better than an error of
the occupancies."""


ONLY_TRACER = (
    'Only the tracer conductivity is certain, as it does not depend on this charge; in the full conductivity every '
    '{symbol} atom carries the average.'
)


class States(NamedTuple):
    """Oxidation states by chemical symbol, and sentences that say what was assumed beyond the table."""

    charges: dict[str, float]
    notes: tuple[str, ...] = ()


def oxidation_states(
    amounts: Mapping[str, float],
    *,
    user: Mapping[str, float] | None = None,
    stated: Mapping[str, float] | None = None,
    structure: Structure | None = None,
) -> States:
    """Return oxidation states of all elements of a crystal that balance; averages balance exactly.

    A state of the user that is not whole is an average, rounded as it was typed.

    :param amounts: of the elements in a cell.
    :param user: states that the user gives; they always hold.
    :param stated: states that the file gives.
    :param structure: the crystal, for bond valences.
    :raises ValueError: if no choice balances, with the sum and what to type.
    """
    states = _first_that_balances(amounts, user=dict(user or {}), stated=stated, structure=structure)
    typed = next((symbol for symbol, state in (user or {}).items() if state % 1), None)
    if typed is None:
        return states
    rest = total_charge({symbol: amount for symbol, amount in amounts.items() if symbol != typed}, states.charges)
    charges = {**states.charges, typed: -rest / amounts[typed]}
    note = f'{typed} has the average charge {charges[typed]:+.4g}. {ONLY_TRACER.format(symbol=typed)}'
    return States(charges, (*states.notes, note))


def _first_that_balances(
    amounts: Mapping[str, float],
    *,
    user: dict[str, float],
    stated: Mapping[str, float] | None,
    structure: Structure | None,
) -> States:
    """Return the oxidation states of the first source that balances.

    The states come from the first of these sources that balances: the table :data:`OXIDATION_STATES`, the file, the
    table with a small charge left that measured occupancies may have, the bond valences of an ordered crystal, the
    likeliest states in the ICSD (pymatgen) that balance, the average state of an element of :data:`MIXED_VALENCE`, the
    likeliest states with a small charge left, the average state of any element.

    :raises ValueError: if no choice balances, with the sum and what to type.
    """
    rest = {symbol: amount for symbol, amount in amounts.items() if symbol not in user}
    table = {symbol: OXIDATION_STATES[symbol] for symbol in rest if symbol in OXIDATION_STATES}
    tabulated = {**table, **user} if len(table) == len(rest) else None
    if tabulated and _imbalance(amounts, tabulated) <= BALANCE:
        return States(tabulated)
    if stated and set(rest) <= set(stated):
        by_file = {**{symbol: stated[symbol] for symbol in rest}, **user}
        if _imbalance(amounts, by_file) <= BALANCE:
            return States(by_file, (f'Oxidation states of the file: {states_text(by_file)}.',))
    is_average = any(state % 1 for state in user.values())  # whatever charge is left, it would take
    is_measured = (structure is None or not structure.is_ordered) and not is_average
    if tabulated and is_measured and _imbalance(amounts, tabulated) <= MENDABLE:
        return States(tabulated)
    by_bonds = _bond_valences(structure, user) if rest else None
    if by_bonds and _imbalance(amounts, by_bonds) <= BALANCE:
        return States(by_bonds, (f'Oxidation states assumed by bond valences: {states_text(by_bonds)}.',))
    if single := _single_unknown(amounts, user):
        return single
    if likeliest := _likeliest(amounts, user, BALANCE):
        return likeliest
    averaged = _balanced_by_average(amounts, user)
    if averaged and any(averaged.charges[symbol] % 1 for symbol in MIXED_VALENCE & set(amounts)):
        return averaged
    likeliest = _likeliest(amounts, user, MENDABLE) if is_measured else None
    if likeliest or averaged:
        return cast('States', likeliest or averaged)
    raise ValueError(_cannot_balance(amounts, user))


def states_text(states: Mapping[str, float]) -> str:
    """Return oxidation states as text, such as ``Li +1, V +3.5``."""
    return ', '.join(f'{symbol} {_signed(states[symbol])}' for symbol in states)


def charges_option(states: Mapping[str, float]) -> str:
    """Return oxidation states as the user types them."""
    return '--charges ' + ','.join(f'{symbol}={state:g}' for symbol, state in states.items())


def total_charge(amounts: Mapping[str, float], states: Mapping[str, float]) -> float:
    """Return the charge of a cell."""
    return sum(amount * states[symbol] for symbol, amount in amounts.items())


# Sources --------------------------------------------------------------------------------------------------------------


def common_states(symbol: str) -> list[int]:
    """Return the states that an element has in the ICSD, the most frequent first."""
    from pymatgen.core import Element  # slow to import, needed here alone

    element = Element(symbol)
    states = {*element.common_oxidation_states, *element.icsd_oxidation_states} or set(element.oxidation_states)
    return sorted(states, key=lambda state: (-_frequency(symbol, state), abs(state)))


def _bond_valences(structure: Structure | None, user: Mapping[str, float]) -> dict[str, float] | None:
    """Return the mean bond-valence state of each element of an ordered crystal; None if there are none."""
    from pymatgen.analysis.bond_valence import BVAnalyzer

    if structure is None or not structure.is_ordered or len(structure) > N_BOND_VALENCE:
        return None
    try:
        valences = BVAnalyzer(max_permutations=10_000).get_valences(structure)
    except (ValueError, KeyError, RuntimeError):  # what pymatgen raises where it has no parameters or no balance
        return None
    values: dict[str, list[float]] = {}
    for site, valence in zip(structure, valences, strict=True):
        values.setdefault(site.specie.symbol, []).append(float(valence))
    states = {symbol: _whole(sum(numbers) / len(numbers)) for symbol, numbers in values.items()}
    if any(symbol in OXIDATION_STATES and symbol in FIXED and OXIDATION_STATES[symbol] * state < 0
           for symbol, state in states.items() if symbol != 'H'):  # fmt: skip
        return None
    return {**states, **user}


def _single_unknown(amounts: Mapping[str, float], user: Mapping[str, float]) -> States | None:
    """Return the state of the only element without a usual state, by the balance of the others; None if it has none.

    The state is whole and known of the element, or, of an element of :data:`MIXED_VALENCE`, between two known states.
    """
    known = {
        symbol: float({**OXIDATION_STATES, **user}[symbol])
        for symbol in amounts
        if symbol in OXIDATION_STATES or symbol in user
    }
    unknown = [symbol for symbol in amounts if symbol not in known]
    if len(unknown) != 1:
        return None
    (symbol,) = unknown
    state = _whole(-total_charge({other: amounts[other] for other in known}, known) / amounts[symbol])
    states = common_states(symbol)
    whole = {other: known.get(other, float(round(state))) for other in amounts}
    if round(state) in states and _imbalance(amounts, whole) <= BALANCE:
        text = states_text(whole)
        return States(whole, (f'Oxidation states assumed, the only state of {symbol} that balances: {text}.',))
    if symbol in MIXED_VALENCE and min(states) < state < max(states) and abs(state - round(state)) > NEARLY_WHOLE:
        return _averaged(symbol, {other: known.get(other, state) for other in amounts})
    return None


def _averaged(symbol: str, states: dict[str, float]) -> States:
    """Return states of which one is an average, and the note that says so."""
    rest = states_text({other: state for other, state in states.items() if other != symbol})
    note = (
        f'No whole oxidation states balance: {symbol} has the average {states[symbol]:+.3g} (mixed valence, or the '
        f'charge of a group), with {rest}. {ONLY_TRACER.format(symbol=symbol)}'
    )
    return States(states, (note,))


def _likeliest(amounts: Mapping[str, float], user: Mapping[str, float], limit: float) -> States | None:
    """Return the likeliest combination of states, one for each element, that balances; None if there is none.

    :param limit: largest charge, as a share of the positive charge.
    """
    choices = {symbol: [user[symbol]] if symbol in user else common_states(symbol) for symbol in amounts}
    if any(not states for states in choices.values()):
        return None
    if math.prod(map(len, choices.values())) > N_COMBINATIONS:
        choices = {symbol: states[:3] for symbol, states in choices.items()}
    best, best_score = None, -math.inf
    n_atoms = sum(amounts.values())
    for combination in itertools.islice(itertools.product(*choices.values()), N_COMBINATIONS):
        states = dict(zip(choices, combination, strict=True))
        if not any(state > 0 for state in combination) or _imbalance(amounts, states) > limit:
            continue
        if not _follows_electronegativity(states, user):
            continue
        score = sum(
            amounts[symbol] / n_atoms * math.log(_frequency(symbol, state))
            for symbol, state in states.items()
            if symbol not in user
        )
        if score > best_score:
            best, best_score = states, score
    if best is None:
        return None
    rigid = (FIXED - {'H'} - set(user)) & set(best)
    if any(best[symbol] != OXIDATION_STATES[symbol] for symbol in rigid):
        return None
    likeliest = {symbol: float(state) for symbol, state in best.items()}
    text = states_text(likeliest)
    return States(likeliest, (f'Oxidation states assumed, the likeliest that balance: {text}.',))


def _follows_electronegativity(states: Mapping[str, float], user: Mapping[str, float]) -> bool:
    """Return whether no nonmetal is positive beside a less electronegative nonmetal that is negative.

    States that the user gives are not questioned.
    """
    signs = [states[symbol] for symbol in NONMETALS if symbol in states and symbol not in user]
    return not any(first < 0 < second for first, second in itertools.combinations(signs, 2))


def _balanced_by_average(amounts: Mapping[str, float], user: Mapping[str, float]) -> States | None:
    """Return states in which the average of one element balances the others; None if no element can do so.

    Elements of the d and f blocks are tried first, the most abundant first; then the elements of molecular ions; last
    hydrogen, which is positive in amide and negative in borohydride groups.
    """
    from pymatgen.core import Element

    usual = {}
    for symbol in amounts:
        states = common_states(symbol)
        usual[symbol] = float(user.get(symbol, OXIDATION_STATES.get(symbol, states[0] if states else 0)))
    trials = [usual]
    if 'H' in amounts and 'H' not in user and amounts.keys() & {'B', 'Al'}:
        trials.insert(0, {**usual, 'H': -1.0})  # hydrides of boron and aluminium
    free = [symbol for symbol in amounts if symbol not in user and symbol not in FIXED]
    free.sort(key=lambda symbol: (Element(symbol).block not in 'df', -amounts[symbol]))
    for trial in trials:
        for symbol in free:
            known = {*Element(symbol).oxidation_states, *common_states(symbol)}
            others = sum(amount * trial[other] for other, amount in amounts.items() if other != symbol)
            average = -others / amounts[symbol]
            has_sign = symbol == 'C' or average * trial[symbol] > 0
            if len(known) > 1 and min(known) <= average <= max(known) and has_sign:
                balanced = {**trial, symbol: _whole(average)}
                if _follows_electronegativity(balanced, user):
                    return _averaged(symbol, balanced)
    if len(trials) > 1:
        average = -total_charge({**amounts, 'H': 0.0}, usual) / amounts['H']
        if abs(average) <= 1:
            return _averaged('H', {**usual, 'H': _whole(average)})
    return None


def _cannot_balance(amounts: Mapping[str, float], user: Mapping[str, float]) -> str:
    """Return the sentence that no states balance, with what to type for the elements of this crystal."""
    from pymatgen.core import Composition

    used, unknown = {}, []
    for symbol in sorted(amounts, key=lambda symbol: atomic_numbers[symbol]):
        states = common_states(symbol)
        used[symbol] = user.get(symbol, OXIDATION_STATES.get(symbol, states[0] if states else 0))
        if symbol not in user and symbol not in OXIDATION_STATES and not states:
            unknown.append(symbol)
    formula = Composition(dict(amounts)).reduced_formula
    if unknown:
        return (
            f'no oxidation state is known for {", ".join(unknown)} in {formula}: give it, for instance '
            f'--charges {unknown[0]}=3.'
        )
    used = _closest(amounts, used, user)
    charge = total_charge(amounts, used)
    return (
        f'the charges of {formula} sum to {charge:+.3g} a cell instead of zero ({states_text(used)}), and no usual '
        f'oxidation states balance: {_likely_error(amounts, used)}. Correct the file, or give its oxidation states, '
        f'{balancing_option(amounts, used)}.'
    )


def _closest(amounts: Mapping[str, float], states: dict[str, float], user: Mapping[str, float]) -> dict[str, float]:
    """Return states in which sulfur, nitrogen and the like, beside oxygen or fluorine, fit best."""
    if not amounts.keys() & {'O', 'F'}:
        return states
    for symbol in sorted(set(amounts) & {'C', 'N', 'S', 'Se', 'Te'} - set(user)):
        trials = [{**states, symbol: float(state)} for state in common_states(symbol)]
        states = min([states, *trials], key=lambda trial: abs(total_charge(amounts, trial)))
    return states


def _likely_error(amounts: Mapping[str, float], states: Mapping[str, float]) -> str:
    """Return what may be wrong with a file whose charges do not balance."""
    charge = total_charge(amounts, states)
    negative = sum(amount * states[symbol] for symbol, amount in amounts.items() if states[symbol] < 0)
    if 0.5 * negative <= charge < 0:
        light = ' or '.join(sorted({'H', 'Li'} - (amounts.keys() & {'H'})))
        return (
            f'atoms are missing or occupancies are wrong in the file ({-charge:.3g} {light} would balance; X-ray '
            'diffraction often misses such light atoms)'
        )
    if charge < 0:
        return 'atoms are missing from the file, or its occupancies are wrong'
    for symbol in ('Li', 'Na', 'K', 'Ag', 'Cu'):
        left = amounts.get(symbol, 0) - charge / states.get(symbol, 1)
        if left > 0:
            return (
                f'the file has {amounts[symbol]:.3g} {symbol} a cell where {left:.3g} would balance, so that '
                'occupancies or multiplicities are wrong, or anions are missing'
            )
    return 'occupancies are wrong, or anions are missing from the file'


def balancing_option(amounts: Mapping[str, float], states: Mapping[str, float]) -> str:
    """Return what to type for oxidation states that balance: one changed state, if it is whole, or all of them."""
    from pymatgen.core import Element

    charge = total_charge(amounts, states)
    for symbol in sorted(amounts, key=lambda symbol: (len(common_states(symbol)) < 2, -amounts[symbol])):
        state = states[symbol] - charge / amounts[symbol]
        if abs(state - round(state)) < 1e-6 and round(state) in Element(symbol).oxidation_states:
            return f'for instance --charges {symbol}={round(state)}'
    return f'all of them as in {charges_option(states)}, changed so that they balance'


# Numbers --------------------------------------------------------------------------------------------------------------


def _imbalance(amounts: Mapping[str, float], states: Mapping[str, float]) -> float:
    """Return the charge of a cell as a share of its positive charge."""
    positive = sum(amount * states[symbol] for symbol, amount in amounts.items() if states[symbol] > 0)
    negative = sum(amount * states[symbol] for symbol, amount in amounts.items() if states[symbol] < 0)
    return abs(positive + negative) / max(positive, -negative, 1e-12)


def _frequency(symbol: str, state: float) -> float:
    """Return how often an element has a state in the ICSD; the table's states count as the most frequent."""
    from pymatgen.core import Composition, Species

    if Composition.oxi_prob is None:
        Composition('LiCl').oxi_state_guesses()  # loads the frequencies
    frequencies = Composition.oxi_prob or {}
    frequency = float(frequencies.get(Species(symbol, int(state)), 0)) if state == int(state) else 0.0
    return max(frequency, 1.0 if state == OXIDATION_STATES.get(symbol) else 1e-4)


def _signed(state: float) -> str:
    """Return a state with its sign, whole numbers without decimals."""
    return f'{state:+.0f}' if state == round(state) else f'{state:+.3g}'


def _whole(number: float) -> float:
    """Return a number, the nearest whole number if it is close."""
    return float(round(number)) if abs(number - round(number)) < 1e-3 else number
