"""float16, in every card: eleven digits, and 65,504 the largest number, so that much overflows and little is left over.

The judge is the same; nothing in it knows this dtype but its unit roundoff and its range.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness import Case, CaseError, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import Cases, finding_of, try_mistake
from harness.judge.local import _Watched
from harness.mutants import card_mutants, mutated_cards
from property_tests.verdicts import FINE, overflows
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
PROGRAMS = [implementation(name) for name in ("numpy", "torch", "jax")]
HALF = ("float16",)


MISTAKEN = ("dense", "sigmoid", "softmax", "layer_norm", "conv2d", "lstm_cell", "squared_error", "cross_entropy")
MUTANTS = [next(one for one in card_mutants(CARDS) if one.target == card) for card in MISTAKEN]
"""Mistakes larger than this dtype's rounding: not a constant's fourth digit, nor an epsilon, which is 0 here."""


ALL = [*CARDS.operations, *CARDS.optimizers]
COMPILED = ALL[::4]
"""A compiler takes its time, and the other dtypes have it compile every card."""


@pytest.mark.parametrize("card", ALL)
def test_implementations_agree(card):
    programs = PROGRAMS if card in COMPILED else PROGRAMS[:2]
    for case, one in itertools.product(Cases(CARDS, card, seed=16, dtypes=HALF).first(2), programs):
        found = finding_of(case, CARDS, one)
        lost = found.verdict in ("undecided", "non-finite", "crash") and overflows(case, one)
        assert found.verdict in FINE or lost, f"{found.verdict}: {found.sentence} {found.detail}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_found(mutant):
    planted = NumpyImplementation(cards=mutated_cards(mutant, CARDS))
    assert try_mistake(mutant, planted, Cases(CARDS, mutant.target, dtypes=HALF)).after is not None


def one_number():
    spec = TensorSpec([1])
    network = Network({"x": spec}, nodes=[Node("y", "square", ["x"])], loss=[Node("L", "value", ["y"])])
    return Case(network, {"x": np.array([3.0], np.float16)}, "float16")


def test_a_change_in_the_last_place_is_found():
    case = one_number()

    class Off(NumpyImplementation):
        def run(self, case):
            trace = super().run(case)
            for quantity, array in trace.quantities.items():
                if quantity.kind == "grad" and quantity.name == "x":
                    trace.quantities[quantity] = np.nextafter(array, np.float16(9))
            return trace

    assert finding_of(case, CARDS, NumpyImplementation()).verdict == "exact"
    assert finding_of(case, CARDS, Off()).verdict == "mismatch"


@pytest.mark.parametrize("one", PROGRAMS, ids=lambda one: one.name)
def test_a_clip_that_the_dtype_does_not_hold_may_do_nothing(one, monkeypatch):
    """1 - 1e-6 is 1 here: so q = 1 may be clipped or not, and where it is not, its gradient is infinite."""
    spec = TensorSpec([1])
    loss = [Node("L", "binary_cross_entropy", ["q", "t"], {}, {"clip": 1e-6})]
    case = Case(Network({"q": spec}, {"t": spec}, loss=loss), {"q": [1.0], "t": [0.0]}, "float16")
    assert finding_of(case, CARDS, one).verdict == "ill-conditioned"
    monkeypatch.setattr(_Watched, "_either", lambda self, number, near: self._expected(number, near))
    assert finding_of(case, CARDS, one).verdict == "non-finite"


def test_what_no_side_computes_in_is_refused_by_name():
    text = one_number().to_json().replace(b"float16", b"bfloat16")
    with pytest.raises(CaseError, match=r"\$\.dtype: needs float16, float32 or float64, got 'bfloat16'"):
        Case.from_json(text)
