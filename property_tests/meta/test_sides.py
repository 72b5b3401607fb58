"""Which side of a kink is right: where an operation rounds before it compares, and for NaN. And gradients in parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import harness.judge.local
from harness import Case, Network, Node, Quantity, TensorSpec, Trace, compare, implementation, installed_cards
from harness.campaign.card_check import finding_of
from harness.judge.judge import judge
from harness.registry import Cards
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
THREE = [implementation(name) for name in ("numpy", "torch", "jax")]
DX = Quantity(0, "grad", "x")


def weighted(op: str, x: Any, dtype: Any, **hypers: Any) -> Case:
    """The sum of t op(x): each element's upstream gradient is its t."""
    given = np.asarray(x, dtype=dtype)
    spec = TensorSpec(list(given.shape))
    network = Network(
        inputs={"x": spec},
        constants={"t": spec},
        nodes=[Node("h", op, ["x"], {}, hypers), Node("m", "multiply", ["h", "t"])],
        loss=[Node("L", "value", ["m"])],
    )
    return Case(network, {"x": given, "t": np.linspace(0.7, 1.3, given.size).astype(dtype)}, dtype)


def verdicts(case: Case) -> list[str]:
    return [finding.verdict for finding in compare(case, THREE).findings]


def changed(case: Case, place: int, value: float) -> str:
    """The verdict on NumPy's trace with another number in the gradient of x."""
    trace = NumpyImplementation().run(case)
    dx = trace.quantities[DX].copy()
    dx[place] = value
    return judge(case, CARDS, Trace({**trace.quantities, DX: dx}, trace.losses)).comparisons[DX].verdict


BELOW_3 = {dtype: np.nextafter(np.dtype(dtype).type(3), 0) for dtype in ("float32", "float64")}
"""3 less one unit in the last place; plus 3 it rounds to 6."""
ROUNDED_FIRST = {
    "x + 3 < 6, float32": weighted("hard_sigmoid", [BELOW_3["float32"]], "float32"),
    "x + 3 < 6, float64": weighted("hard_swish", [BELOW_3["float64"]], "float64"),
    "a limit that float32 does not hold": weighted("softshrink", [np.float32(0.1)], "float32", lambd=0.1),
    "a product before the comparison": weighted("softplus", [1 / 0.3 * 5], "float64", beta=0.3, threshold=5.0),
}


@pytest.mark.parametrize("case", ROUNDED_FIRST.values(), ids=ROUNDED_FIRST)
def test_what_is_rounded_before_it_is_compared_may_be_on_either_side(case: Case) -> None:
    found = verdicts(case)
    assert "undetermined branch" in found
    assert set(found) <= {"undetermined branch", "rounding", "exact"}


@pytest.mark.parametrize("case", ROUNDED_FIRST.values(), ids=ROUNDED_FIRST)
def test_without_that_allowance_correct_programs_are_accused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = harness.judge.local._sides
    monkeypatch.setattr(harness.judge.local, "_sides", lambda made, rounding: [] if rounding else sides(made, rounding))
    assert "mismatch" in verdicts(case)


def test_what_is_right_on_neither_side_is_a_mismatch_there_too() -> None:
    case = weighted("hard_sigmoid", [BELOW_3["float64"]], "float64")
    assert changed(case, 0, 0.0) == "undetermined branch"
    assert changed(case, 0, 0.7 / 5) == "mismatch"


def test_where_rounding_does_not_reach_the_kink_there_is_one_side() -> None:
    case = weighted("hard_sigmoid", [3 - 2.0**-49], "float64")
    assert changed(case, 0, 0.7 / 6) != "mismatch"
    assert changed(case, 0, 0.0) == "mismatch"


def two_uses(op: str, x: float) -> Case:
    """op(x) t + x s: the parts of op's gradient and s meet in one sum."""
    one = TensorSpec([1])
    network = Network(
        inputs={"x": one},
        constants={"t": one, "s": one},
        nodes=[Node("h", op, ["x"]), Node("m", "multiply", ["h", "t"]), Node("n", "multiply", ["x", "s"])],
        loss=[Node("L", "value", ["m"]), Node("K", "value", ["n"])],
    )
    numbers = {"x": [x], "t": [-0.15876615047454834], "s": [-0.4999999701976776]}
    return Case(network, {name: np.array(given, np.float32) for name, given in numbers.items()}, "float32")


def in_one_part(cards: Cards, op: str) -> Cards:
    """The card whose variants add the parts up themselves."""
    card = cards.operation(op)

    def whole(rule: Any) -> Any:
        def run(p: Any, saved: Any, dy: Any) -> Any:
            ((first, second),), dparams = rule(p, saved, dy)
            return (first + second,), dparams

        return run

    variants = tuple(replace(one, numpy_backward=whole(one.numpy_backward)) for one in card.variants)
    return cards.replacing(replace(card, variants=variants))


def test_the_parts_of_a_gradient_are_added_to_other_uses_one_by_one() -> None:
    """torch and jax add t and then -t (1 - tanh²) to s; at 0 they cancel, and leave the rounding of the sum between."""
    case = two_uses("tanhshrink", 0.0)
    assert set(verdicts(case)) <= {"exact", "rounding"}
    strict = in_one_part(CARDS, "tanhshrink")
    assert "mismatch" in [finding_of(case, strict, one).verdict for one in THREE]


def test_parts_cost_nothing_where_there_is_no_other_use() -> None:
    case = weighted("tanhshrink", [0.125], "float32")
    trace = NumpyImplementation().run(case)
    strict = in_one_part(CARDS, "tanhshrink")
    in_parts, whole = (judge(case, cards, trace).sharpness[DX] for cards in (CARDS, strict))
    assert in_parts <= whole * (1 + 2.0**-20)


def test_a_slope_at_nan_is_undecided() -> None:
    """torch says dy, NumPy and jax 0."""
    case = weighted("relu", [1.0, np.nan, -1.0], "float64")
    dx = [one.run(case).quantities[DX] for one in THREE]
    assert [float(array[1]) for array in dx] == [0.0, 1.0, 0.0]
    assert verdicts(case) == ["undecided"] * 3


def test_beside_nan_everything_is_held_to_its_bound() -> None:
    case = weighted("relu", [1.0, np.nan, -1.0], "float64")
    assert changed(case, 1, 17.0) == "undecided"
    assert changed(case, 0, 0.7 * (1 + 2.0**-40)) == "mismatch"
    assert changed(case, 2, 1e-300) == "mismatch"


def test_a_forward_pass_that_hides_nan_is_at_fault() -> None:
    card = CARDS.operation("relu")

    def hiding(p: Any, x: Any) -> Any:
        return np.where(x > 0, x, 0), x > 0

    planted = NumpyImplementation(cards=CARDS.replacing(replace(card, numpy_forward=hiding)))
    found = finding_of(weighted("relu", [1.0, np.nan, -1.0], "float64"), CARDS, planted)
    assert (found.verdict, found.op) == ("non-finite", "relu forward")
