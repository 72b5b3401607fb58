"""Every installed card, alone and in small networks: the implementations agree, and the card's mistakes are found.

The cards are those of the registry, so one that is added is tested here without an edit. An example is a block of
cases on one network, because jax compiles for every network; it shrinks to a single case.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import event, given, settings, target
from hypothesis import strategies as st

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import ENOUGH, Cases, blocks, finding_of, smallest, try_mistake
from harness.campaign.records import as_float
from harness.errors import GradparityError
from harness.generate.cases import DTYPES
from harness.mutants import EXECUTOR_MUTANTS, Mutant, card_mutants, mutated_cards, mutated_executor
from property_tests.documented_divergences import explanation
from property_tests.verdicts import FINE, overflows
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
MUTANTS = card_mutants(CARDS)
HARMLESS = {"identity", "value"}
"""Cards of which nothing can be got wrong in one line: they return what they are given."""
PROGRAMS = [implementation(name) for name in ("numpy", "torch", "jax")]


@cache
def cases_of(card: str) -> Cases:
    return Cases(CARDS, card)


def planted(mutant: Mutant) -> NumpyImplementation:
    return NumpyImplementation(cards=mutated_cards(mutant, CARDS))


ACCUSED: dict[str, list] = {}
"""By card, who was wrong: while its case shrinks, nobody else is asked, as a compiler takes its time."""


def explained(found, case, one) -> bool:
    """Whether nothing is known of this case, or the library has a rule of its own, and says so."""
    return (found.verdict == "undecided" and overflows(case, one)) or explanation(case, one) is not None


@pytest.mark.parametrize("card", [*CARDS.operations, *CARDS.optimizers])
@settings(max_examples=max(2, settings().max_examples // 15))
@given(data=st.data())
def test_implementations_agree(card, data):
    block = data.draw(blocks(CARDS, card, (data.draw(st.sampled_from(DTYPES)),)))
    nearest = dict.fromkeys((one.name for one in PROGRAMS), 0.0)
    for case, one in itertools.product(block, ACCUSED.get(card, PROGRAMS)):
        found = finding_of(case, CARDS, one)
        event(one.name, found.verdict)
        if found.verdict == "rounding":
            nearest[one.name] = max(nearest[one.name], as_float(found.worst_ratio))
        if found.verdict not in FINE and not explained(found, case, one):
            ACCUSED[card] = [one]
            pytest.fail(f"{found.verdict}: {found.sentence} {found.detail}")
    for name, ratio in nearest.items():
        target(ratio, label=f"error / bound of {name}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_found_and_placed(mutant):
    found = try_mistake(mutant, planted(mutant), cases_of(mutant.target))
    assert found.after is not None, f"not in {ENOUGH} cases: {mutant.mistake}"
    assert found.finding.implementation == "numpy"
    assert found.finding.verdict == "crash" or mutant.target in found.finding.op.split(), found.finding.op


@pytest.mark.parametrize(
    "mutant", [one for one in EXECUTOR_MUTANTS if one.name.startswith("jax")], ids=lambda mutant: mutant.name
)
def test_a_mistake_of_the_training_loop_is_found(mutant):
    found = try_mistake(mutant, mutated_executor(mutant), cases_of("adam"))
    assert found.finding is not None
    assert found.finding.op.endswith("adam update")


def test_what_an_infinity_brings_about_later_is_not_what_is_named():
    """x / 0 in the dropout; the sigmoid of that is 1, and far from the exact value."""
    spec = TensorSpec([1])
    network = Network(
        {"x": spec},
        {"keep": TensorSpec([1], "int64")},
        nodes=[Node("h", "dropout", ["x", "keep"], {}, {"rate": 0.0}), Node("y", "sigmoid", ["h"])],
        loss=[Node("L", "value", ["y"])],
    )
    mutant = next(one for one in MUTANTS if one.name == "dropout_scaled_by_rate")
    found = finding_of(Case(network, {"x": [0.5], "keep": [1]}, "float64"), CARDS, planted(mutant))
    assert (found.verdict, found.op) == ("non-finite", "dropout forward")


def test_a_harmless_change_is_not_found():
    harmless = Mutant("harmless", "relu", "np.where(alive, dy, 0)", "np.where(~alive, 0, dy)", "none at all")
    assert try_mistake(harmless, planted(harmless), cases_of("relu"), most=16).after is None


def test_every_card_says_what_can_go_wrong_in_it():
    carried = {name: len(card.mistakes) for name, card in {**CARDS.operations, **CARDS.optimizers}.items()}
    assert {name for name, count in carried.items() if count < 2} - HARMLESS == set()
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.mistake and mutant.old != mutant.new for mutant in MUTANTS)


def test_a_mistake_does_not_leak():
    before = {name: card.numpy_backward for name, card in CARDS.operations.items()}
    for mutant in MUTANTS:
        mutated_cards(mutant, CARDS)
    assert {name: card.numpy_backward for name, card in installed_cards().operations.items()} == before


def test_a_mistake_that_no_longer_fits_the_source_is_an_error():
    stale = Mutant("stale", "relu", "no such text", "anything", "none")
    with pytest.raises(GradparityError, match="exactly once"):
        mutated_cards(stale, CARDS)
    with pytest.raises(GradparityError, match="no card 'nothing'"):
        mutated_cards(Mutant("lost", "nothing", "x", "y", "none"), CARDS)


@pytest.mark.parametrize("name", ["dense_rows_untransposed_weight", "sigmoid_slope_forgotten", "adam_eps_inside_root"])
def test_a_mistake_shrinks_to_next_to_nothing_and_stays_the_same(name):
    mutant = next(one for one in MUTANTS if one.name == name)
    first = try_mistake(mutant, planted(mutant), cases_of(mutant.target))
    case, finding = smallest(first.case, first.finding, planted(mutant), cases_of(mutant.target))
    assert finding.verdict == first.finding.verdict
    assert mutant.target in finding.op.split()
    assert len(case.network.nodes) <= 2
    assert all(max((1, *spec.shape)) <= 2 for spec in case.network.tensors().values())
    assert all(np.array_equal(array, np.rint(array)) for array in case.values.values())
