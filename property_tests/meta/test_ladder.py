"""The ladder: rounding shrinks from float32 to float64, planted mistakes do not, lost digits are told apart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from harness import Case, Network, Node, Quantity, TensorSpec, Trace, implementation, installed_cards
from harness.judge import ladder as module
from harness.judge.ladder import THRESHOLD, Rung, at_precision, ladder
from harness.judge.oracle import Undecided
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
NUMPY = implementation("numpy")
W0 = Quantity(0, "grad", "W0")


def net(seed: int, depth: int, spread: float = 1.0) -> Case:
    """A chain of dense layers with mixed activations, a squared error and a penalty; large weights saturate."""
    random = np.random.default_rng([seed, depth])
    sizes, rows = random.integers(1, 7, depth + 1).tolist(), int(random.integers(1, 6))
    nodes, values, x = [], {}, "x"
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        values |= {f"W{k}": random.normal(0, spread / fan_in**0.5, (fan_in, fan_out))}
        values |= {f"b{k}": random.normal(0, 0.3, fan_out)}
        nodes += [Node(f"z{k}", "dense", [x], {"W": f"W{k}", "b": f"b{k}"})]
        nodes += [Node(f"a{k}", str(random.choice(["tanh", "sigmoid", "relu"])), [f"z{k}"])]
        x = f"a{k}"
    loss = [Node("L", "squared_error", [x, "t"]), Node("P", "l2_penalty", [], {"w": "W0"}, {"strength": 0.1})]
    params = {name: TensorSpec(list(array.shape)) for name, array in values.items()}
    first, last = TensorSpec([rows, sizes[0]]), TensorSpec([rows, sizes[-1]])
    given = {"x": random.normal(size=first.shape), "t": random.normal(size=last.shape)}
    return Case(Network({"x": first}, {"t": last}, params, nodes, loss), {**values, **given})


class Altered:
    """NumPy with the gradient of W0 changed, in both precisions alike."""

    name = "altered"

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change

    def run(self, case: Case) -> Trace:
        trace = NUMPY.run(case)
        changed = np.asarray(self.change(trace.quantities[W0])).astype(case.dtype)
        return replace(trace, quantities={**trace.quantities, W0: changed})


def verdicts(case: Case, tried: Any) -> set[str]:
    return {rung.verdict for rung in ladder(case, tried, CARDS).values()}


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("depth", [1, 3, 8])
def test_rounding_shrinks(name: str, depth: int) -> None:
    for seed in range(8):
        rungs = ladder(net(seed, depth), implementation(name), CARDS)
        assert {rung.verdict for rung in rungs.values()} == {"shrinks"}
        assert max(rung.ratio for rung in rungs.values()) < THRESHOLD / 100
        assert W0 in rungs
        assert max(rung.err32 for rung in rungs.values()) > 0


def test_rounding_shrinks_in_compiled_code() -> None:
    assert verdicts(net(0, 3), implementation("jax")) == {"shrinks"}


def saturated() -> list[Rung]:
    """The rungs of correct code on nets with units far out; a tanh beyond 5000 has no exact value within limits."""
    seen: list[Rung] = []
    for seed in range(10):
        for depth, spread in ((8, 5.0), (5, 20.0)):
            with suppress(Undecided):
                seen += ladder(net(seed, depth, spread), NUMPY, CARDS).values()
    return seen


def test_saturated_layers_lose_digits_and_are_not_blamed() -> None:
    seen = saturated()
    assert {rung.verdict for rung in seen} == {"shrinks", "no digits left"}


@pytest.mark.parametrize(("z", "verdict"), [(3, "shrinks"), (15, "no digits left"), (30, "no digits left")])
def test_one_tanh_loses_its_digits_step_by_step(z: float, verdict: str) -> None:
    """1 - tanh(z)**2 is right; wrong from the fourth digit on in float64, and 0 in float32; and 0 in both."""
    one = TensorSpec([1])
    network = Network(
        {"x": one}, {"t": one}, {}, [Node("y", "tanh", ["x"])], [Node("L", "squared_error", ["y", "t"])]
    )
    case = Case(network, {"x": np.array([z]), "t": np.array([0])})
    rung = ladder(case, NUMPY, CARDS)[Quantity(0, "grad", "x")]
    assert rung.verdict == verdict
    if z == 15:  # an error far below |g|, and a ratio that a mistake might have: only the bound tells
        assert rung.err64 < rung.magnitude / 1000
        assert rung.ratio > THRESHOLD


def test_without_the_bound_correct_code_would_be_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    true = module.step_bounds

    def narrow(network: Any, cards: Any, given: Any, model: Any, choices: Any = None) -> Any:
        bounds = true(network, cards, given, model, choices)
        return replace(bounds, grads={name: np.zeros_like(array) for name, array in bounds.grads.items()})

    monkeypatch.setattr(module, "step_bounds", narrow)
    assert "does not shrink" in {rung.verdict for rung in saturated()}


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 + 1e-10, 0.5, 2.0, -1.0, 0.0])
@pytest.mark.parametrize("depth", [1, 3, 8])
def test_a_wrong_factor_does_not_shrink(factor: float, depth: int) -> None:
    for seed in range(3):
        rungs = ladder(net(seed, depth), Altered(lambda g: g * factor), CARDS)
        assert [str(quantity) for quantity, rung in rungs.items() if rung.verdict == "does not shrink"] == [str(W0)]


def test_below_the_threshold_nothing_is_seen() -> None:
    """The smallest mistake that is seen is 2**14.5 times the rounding; 2**-50 is 8 units of it."""
    assert verdicts(net(0, 3), Altered(lambda g: g * (1 + 2.0**-50))) == {"shrinks"}


def test_nan_in_float64_alone_does_not_shrink() -> None:
    rungs = ladder(net(0, 1), Altered(lambda g: g if g.dtype == np.float32 else np.full_like(g, np.nan)), CARDS)
    assert (rungs[W0].verdict, rungs[W0].err64) == ("does not shrink", np.inf)


def test_a_float32_constant_in_a_float64_path_does_not_shrink() -> None:
    true = CARDS.operation("l2_penalty")

    def narrowed(function: Any) -> Any:
        return lambda *numbers, strength: function(*numbers, strength=float(np.float32(strength)))

    card = replace(
        true, numpy_forward=narrowed(true.numpy_forward), numpy_backward=narrowed(true.numpy_backward)
    )
    rungs = ladder(net(0, 1), NumpyImplementation(cards=CARDS.replacing(card)), CARDS)
    caught = {str(quantity) for quantity, rung in rungs.items() if rung.verdict == "does not shrink"}
    assert {"value P at step 0", str(W0)} <= caught
    assert {rung.verdict for quantity, rung in rungs.items() if str(quantity) not in caught} == {"shrinks"}


def open_kink() -> Case:
    """relu(a + b - c) at 2**-60 exactly, and at 0 in any float: its slope is 1 there, or 0."""
    one = TensorSpec([1])
    network = Network(
        {"a": one, "b": one, "c": one},
        {"t": one},
        {},
        [Node("s", "add", ["a", "b"]), Node("d", "subtract", ["s", "c"]), Node("h", "relu", ["d"])],
        [Node("L", "squared_error", ["h", "t"])],
    )
    return Case(network, {name: np.array([x]) for name, x in (("a", 1), ("b", 2.0**-60), ("c", 1), ("t", -1))})


def test_a_kink_is_judged_on_the_branch_that_was_taken() -> None:
    rungs = ladder(open_kink(), NUMPY, CARDS)
    assert rungs[Quantity(0, "grad", "a")] == Rung(0.0, 0.0, 0.0, 0.0, "shrinks")
    assert rungs[Quantity(0, "value", "d")].verdict == "no digits left"


def test_a_hidden_branch_is_no_mistake() -> None:
    class Hiding:
        name = "hiding"

        def run(self, case: Case) -> Trace:
            trace = NUMPY.run(case)
            shown = {q: array for q, array in trace.quantities.items() if q.kind == "grad" or q.name == "loss"}
            return replace(trace, quantities=shown)

    rung = ladder(open_kink(), Hiding(), CARDS)[Quantity(0, "grad", "a")]
    assert rung.verdict == "no digits left"
    assert rung.ratio > THRESHOLD
    assert rung.err64 > rung.magnitude / 2


def test_both_rungs_stand_on_the_same_numbers() -> None:
    low, high = (at_precision(net(3, 2), dtype) for dtype in ("float32", "float64"))
    for name, array in low.values.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array.astype(np.float64), high.values[name], strict=True)
    assert at_precision(low, "float64").id == high.id
