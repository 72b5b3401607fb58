"""Constants in the middle of a card, over every kind of number: the value stays, derivatives and branches go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.arrays import (
    BallArray,
    BlockArray,
    BoundedArray,
    DualArray,
    ErrorModel,
    NumberArray,
    SampledArray,
    Sampling,
    Tape,
    TapeArray,
    recording,
)
from harness.case import Case, Network, Node, TensorSpec
from harness.judge.differences import exact_differences, is_cut
from harness.judge.oracle import exact_step
from harness.registry import implementation, installed_cards
from harness.stop_gradient import largest, stop_gradient
from harness.trace import Quantity

X = np.array([[0.5, 3.0, 3.0], [-1.0, -2.5, -1.0]])
"""Ties in both rows."""
MODEL = ErrorModel.of("float64")
KINDS: dict[str, Callable[[Any], Any]] = {
    "plain": np.asarray,
    "ball": BallArray.exact,
    "bounded": lambda x: BoundedArray.given(x, MODEL),
    "block": lambda x: BlockArray.block(np.stack([x, 2 * x]), MODEL),
    "sampled": lambda x: SampledArray.given(x, Sampling(MODEL, 8, 9.0, np.random.default_rng(0))),
    "dual": lambda x: DualArray.along(x, np.ones(x.shape)),
    "tape": lambda x: Tape().variable(BallArray.exact(x)),
    "tape of bounded": lambda x: Tape().variable(BoundedArray.given(x, MODEL)),
}


def centre(y: Any) -> Any:
    """The float64 value, of the first case of a block."""
    if isinstance(y, BlockArray):
        return np.asarray(y.centre[0] if y.hidden else y.centre, np.float64)
    if isinstance(y, BoundedArray | SampledArray):
        return y.centre
    if isinstance(y, BallArray):
        return y.mid()
    return centre(y.value) if isinstance(y, DualArray | TapeArray) else y


def softmax(x: Any, shift: Callable[[Any, int], Any]) -> Any:
    e = np.exp(x - shift(x, -1))
    return e / np.sum(e, axis=-1, keepdims=True)


def branches(kind: str, shift: Callable[[Any, int], Any]) -> int:
    """How many comparisons a softmax makes."""
    with recording() as made:
        softmax(KINDS[kind](X), shift)
    return len(made)


def slope_of(program: Callable[[Any], Any], kind: str) -> Any:
    """The derivative of the sum of a program's results along (1, 1, ...), by tape or by duals."""
    x = KINDS[kind](X)
    y = np.sum(program(x))
    if isinstance(x, DualArray):
        return float(y.tangent.mid())
    return float(np.sum(centre(x.tape.gradients(y, [x])[0])))


DERIVING = ("dual", "tape", "tape of bounded")


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_is_kept_exact_and_no_branch(kind: str, axis: int) -> None:
    with recording() as made:
        m = largest(KINDS[kind](X), axis)
    expected = np.max(X, axis=axis, keepdims=True)
    assert m.shape == expected.shape
    assert np.array_equal(centre(m), expected)
    assert made == []
    if isinstance(m, BoundedArray | BlockArray):
        assert not m.radius.any()
    if isinstance(m, BallArray):
        assert not m.radius().any()
    if isinstance(m, SampledArray):
        assert not m.spread().any()


def test_the_largest_of_every_case_of_a_block() -> None:
    m = largest(KINDS["block"](X), 1)
    assert m.centre.tolist() == [[[3.0], [-1.0]], [[6.0], [-2.0]]]


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "plain"])
def test_a_shift_by_the_largest_has_no_kink_and_one_by_the_maximum_has(kind: str) -> None:
    assert branches(kind, largest) == 0
    assert branches(kind, lambda x, axis: np.max(x, axis=axis, keepdims=True)) == 2


@pytest.mark.parametrize("kind", DERIVING)
def test_nothing_flows_through(kind: str) -> None:
    assert slope_of(lambda x: stop_gradient(x) * 3, kind) == 0
    assert slope_of(lambda x: largest(x, 0), kind) == 0
    assert slope_of(lambda x: x + stop_gradient(x * x), kind) == X.size
    assert slope_of(lambda x: x * 3, kind) == 3 * X.size


@pytest.mark.parametrize("kind", DERIVING)
def test_the_value_passes(kind: str) -> None:
    assert np.array_equal(centre(stop_gradient(KINDS[kind](X)) * 2), 2 * X)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_keeps_its_shape_and_its_rounding(kind: str) -> None:
    x = KINDS[kind](X) * 0.1
    same = stop_gradient(x)
    assert np.array_equal(centre(same), centre(x))
    assert same.shape == x.shape
    if isinstance(same, BoundedArray | BlockArray):
        assert np.array_equal(same.radius, x.radius)
        assert same.radius.any()
    if isinstance(same, SampledArray):
        assert np.array_equal(same.tangents, x.tangents)


@pytest.mark.parametrize("kind", DERIVING)
def test_a_kind_that_lets_the_gradient_through_is_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for deriving in (DualArray, TapeArray):
        monkeypatch.setattr(deriving, "_constant", NumberArray._constant)
        monkeypatch.setattr(deriving, "_largest", lambda x, axis: x.max(axis, keepdims=True))
    assert slope_of(lambda x: stop_gradient(x) * 3, kind) != 0
    assert slope_of(lambda x: largest(x, 0), kind) != 0
    assert branches(kind, largest) > 0


@pytest.mark.parametrize("kind", ["ball", "bounded", "sampled", "block"])
def test_a_largest_beside_the_axis_is_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of_kind = type(KINDS[kind](X))
    right = of_kind._largest
    monkeypatch.setattr(of_kind, "_largest", lambda x, axis: right(x, -1 - axis))
    assert not np.array_equal(centre(largest(KINDS[kind](X), -1)), np.max(X, axis=-1, keepdims=True))


def test_a_shift_changes_no_derivative() -> None:
    x = Tape().variable(BallArray.exact(X))
    shifted, bare = softmax(x, largest), np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)
    weights = BallArray.exact(np.random.default_rng(0).normal(size=X.shape))
    one, other = (x.tape.gradients(np.sum(y * weights), [x])[0] for y in (shifted, bare))
    assert all(a.overlaps(b) for a, b in zip(one.data.ravel(), other.data.ravel(), strict=True))
    with_slope = np.exp(x - x[:, :1]) / np.sum(np.exp(x - largest(x, -1)), axis=-1, keepdims=True)
    wrong = x.tape.gradients(np.sum(with_slope * weights), [x])[0]
    assert not all(a.overlaps(b) for a, b in zip(wrong.data.ravel(), other.data.ravel(), strict=True))


# In a network


def squares(op: str) -> Case:
    """The sum of w y, where y is w or a constant that equals w."""
    network = Network(
        inputs={"x": TensorSpec([2, 2])},
        params={"W": TensorSpec([2, 2])},
        nodes=[
            Node("z", "dense", ["x"], {"W": "W"}), Node("y", op, ["z"]), Node("product", "multiply", ["z", "y"])
        ],
        loss=[Node("L", "value", ["product"])],
    )  # fmt: skip
    return Case(network, {"x": np.array([[1.0, 2.0], [-1.0, 0.5]]), "W": np.array([[0.5, -1.0], [2.0, 0.25]])})


def test_differences_have_nothing_to_say_of_a_stopped_gradient() -> None:
    cards = installed_cards()
    gradients, differences = (
        {op: find(squares(op)) for op in ("identity", "stop_gradient")}
        for find in (
            lambda case: exact_step(case.network, cards, case.values).grads["W"].mid(),
            lambda case: exact_differences(case, cards, "W").mid(),
        )
    )
    assert np.array_equal(gradients["identity"], 2 * gradients["stop_gradient"])
    assert np.array_equal(gradients["identity"], differences["identity"])
    assert np.array_equal(gradients["identity"], differences["stop_gradient"])
    assert [is_cut(squares(op), cards) for op in ("identity", "stop_gradient", "softmax")] == [False, True, False]


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_all_three_stop_it(name: str) -> None:
    case = squares("stop_gradient")
    trace = implementation(name).run(case)
    wanted = exact_step(case.network, installed_cards(), case.values).grads
    for node in ("z", "y", "W"):
        assert np.array_equal(trace.quantities[Quantity(0, "grad", node)], wanted[node].mid())
