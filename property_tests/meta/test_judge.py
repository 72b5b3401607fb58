"""The judge: right is called right, wrong is called wrong with its place, and a kink is neither."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness import (
    Case,
    Network,
    Node,
    NotSupportedError,
    Quantity,
    TensorSpec,
    Trace,
    compare,
    implementation,
    installed_cards,
)
from harness.arrays import BallArray, precision
from harness.campaign.records import CaseRecord
from harness.judge.compare import compare as compare_arrays
from harness.judge.oracle import exact_step
from harness.registry import installed_examples
from harness.worked_example import WorkedCase

NUMPY, TORCH, JAX = (implementation(name) for name in ("numpy", "torch", "jax"))


def worked(key: str) -> WorkedCase:
    example, _, name = key.partition("/")
    return next(case for one in installed_examples() if one.key == example for case in one.cases if case.key == name)


class Altered:
    """NumPy with some of its quantities changed, or left out, or with an exception of its own."""

    name = "altered"

    def __init__(self, change: Any) -> None:
        self.change = change

    def run(self, case: Case) -> Trace:
        trace = NUMPY.run(case)
        quantities = dict(trace.quantities)
        self.change(quantities)
        return replace(trace, quantities=quantities)


def judged(key: str, change: Any) -> CaseRecord:
    return compare(worked(key).case, [NUMPY, Altered(change)])


def by(quantity: Quantity, factor: float, index: tuple[int, ...] | None = None) -> Any:
    def change(quantities: dict[Quantity, np.ndarray[Any, Any]]) -> None:
        array = np.array(quantities[quantity])
        if index is None:
            array = array * factor
        else:
            array[index] *= factor
        quantities[quantity] = array.astype(quantities[quantity].dtype)

    return change


def finding(record: CaseRecord, name: str) -> Any:
    return next(one for one in record.findings if one.implementation == name)


def test_an_unaltered_copy_passes() -> None:
    record = judged("hand-by-hand/hidden-deltas", lambda quantities: None)
    assert {one.verdict for one in record.findings} <= {"exact", "rounding"}
    assert "numpy and altered agree with the exact value everywhere" in record.headline


@pytest.mark.parametrize(
    ("quantity", "op", "says"),
    [
        (Quantity(0, "value", "z1"), "dense forward", "Everything before it agrees"),
        (Quantity(0, "value", "a2"), "sigmoid forward", "Everything before it agrees"),
        (Quantity(0, "grad", "z2"), "sigmoid backward", "Its forward pass agrees"),
        (Quantity(0, "grad", "W1"), "dense backward", "Its forward pass agrees"),
        (Quantity(0, "grad", "x"), "dense backward", "Its forward pass agrees"),
        (Quantity(1, "param", "W2"), "sgd update", "all its gradients agree"),
    ],
)
def test_a_change_of_one_part_in_a_million_million_is_seen_and_placed(quantity: Quantity, op: str, says: str) -> None:
    record = judged("hand-by-hand/hidden-deltas", by(quantity, 1 + 1e-12))
    found = finding(record, "altered")
    assert (found.verdict, found.place, found.op) == ("mismatch", str(quantity), op)
    assert says in record.headline
    assert "numpy agrees with the exact value." in record.headline


def test_a_change_below_the_bound_is_rounding() -> None:
    record = judged("hand-by-hand/hidden-deltas", by(Quantity(0, "value", "z1"), 1 + 2**-52, (3, 1)))
    assert finding(record, "altered").verdict == "rounding"


def test_all_wrong_alike_points_at_the_card() -> None:
    class Twice(Altered):
        name = "twice"

    change = by(Quantity(0, "grad", "W1"), 2.0)
    record = compare(worked("hand-by-hand/hidden-deltas").case, [Altered(change), Twice(change)])
    assert record.headline.startswith("All implementations lie outside the bound in `grad W1 at step 0`")


def test_nan_is_judged_apart_and_hides_nothing() -> None:
    def change(quantities: dict[Quantity, np.ndarray[Any, Any]]) -> None:
        by(Quantity(0, "grad", "W1"), np.nan, (0, 0))(quantities)
        by(Quantity(0, "grad", "W1"), 1.5, (1, 1))(quantities)

    record = judged("hand-by-hand/hidden-deltas", change)
    assert finding(record, "altered").verdict == "mismatch"
    alone = judged("hand-by-hand/hidden-deltas", by(Quantity(0, "grad", "W1"), np.nan, (0, 0)))
    assert finding(alone, "altered").verdict == "non-finite"


def test_the_diagonal_flip_is_an_undetermined_branch() -> None:
    record = compare(worked("diagonal-flip/float64").case, [NUMPY, TORCH, JAX])
    assert record.verdict == "undetermined branch"
    assert record.headline.startswith("An undetermined branch, not a bug.")
    assert "torch and jax land above it, numpy at or below it" in record.headline
    (kink,) = record.kinks
    assert (kink.node, kink.gap) == ("h", "0")
    assert {side.implementation: side.branch for side in kink.sides} == {
        "numpy": "at or below",
        "torch": "above",
        "jax": "above",
    }


def test_a_gradient_of_the_other_side_than_it_took_is_a_mismatch() -> None:
    """NumPy's own pre-activation is on the dead side; the living side's gradient is not open to it."""

    def change(quantities: dict[Quantity, np.ndarray[Any, Any]]) -> None:
        alive = TORCH.run(worked("diagonal-flip/float64").case).quantities
        for name in ("z1", "W1", "b1", "x"):
            quantities[Quantity(0, "grad", name)] = alive[Quantity(0, "grad", name)]

    record = judged("diagonal-flip/float64", change)
    assert (finding(record, "altered").verdict, finding(record, "altered").place) == ("mismatch", "grad z1 at step 0")


def test_a_gradient_that_is_right_on_neither_side_is_a_mismatch() -> None:
    def change(quantities: dict[Quantity, np.ndarray[Any, Any]]) -> None:
        array = np.array(quantities[Quantity(0, "grad", "z1")])
        array[0, 0] = -0.0975 / 2
        quantities[Quantity(0, "grad", "z1")] = array

    assert finding(judged("diagonal-flip/float64", change), "altered").verdict == "mismatch"


def only_required(source: Any) -> Any:
    class BlackBox:
        name = "black box"

        def run(self, case: Case) -> Trace:
            trace = source.run(case)
            keep = {
                quantity: array
                for quantity, array in trace.quantities.items()
                if quantity.name == "loss" or (quantity.kind == "grad" and quantity.name in case.params)
            }
            return Trace(keep)

    return BlackBox()


@pytest.mark.parametrize(("source", "verdict"), [(NUMPY, "rounding"), (TORCH, "undetermined branch")])
def test_a_black_box_may_be_on_either_side(source: Any, verdict: str) -> None:
    record = compare(worked("diagonal-flip/float64").case, [only_required(source)])
    assert record.verdict == verdict


def test_a_black_box_beyond_the_likely_rounding_is_suspicious_and_within_it_passes() -> None:
    """In a net of eight layers the worst case is 100 times what rounding does."""
    draw = np.random.default_rng(3)
    nodes, params, x = [], {}, "x"
    for layer in range(8):
        params[f"W{layer}"] = TensorSpec([4, 4])
        nodes += [Node(f"z{layer}", "dense", [x], {"W": f"W{layer}"}), Node(f"a{layer}", "tanh", [f"z{layer}"])]
        x = f"a{layer}"
    network = Network(inputs={"x": TensorSpec([3, 4])}, params=params, nodes=nodes, loss=[Node("L", "value", [x])])
    case = Case(network, {name: draw.normal(size=spec.shape) for name, spec in network.tensors().items()})
    assert compare(case, [only_required(NUMPY)]).verdict == "rounding"
    wrong = only_required(Altered(by(Quantity(0, "grad", "W0"), 1 + 1e-12)))
    found = compare(case, [wrong])
    assert found.verdict == "suspicious"
    assert "Record its intermediates" in found.headline


def test_a_wrong_black_box_is_a_mismatch() -> None:
    wrong = only_required(Altered(by(Quantity(0, "grad", "W1"), 1 + 1e-9)))
    assert compare(worked("diagonal-flip/float64").case, [wrong]).verdict == "mismatch"


def test_an_error_in_an_early_step_is_not_blamed_on_later_ones() -> None:
    record = judged("hand-by-hand/bias-sums", by(Quantity(1, "param", "W1"), 1 + 1e-6))
    found = finding(record, "altered")
    assert (found.verdict, found.place) == ("mismatch", "param W1 at step 1")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda q: q.pop(Quantity(0, "value", "loss")), "lacks value loss at step 0, which is required"),
        (lambda q: q.pop(Quantity(1, "param", "W1")), "lacks param W1 at step 1, which is required"),
        (lambda q: q.update({Quantity(0, "grad", "W9"): np.zeros(1)}), "the case has no 'W9'"),
        (lambda q: q.update({Quantity(0, "grad", "W1"): np.zeros((2, 3))}), "needs shape .2, 2., got .2, 3."),
        (lambda q: q.update({Quantity(0, "grad", "W1"): np.zeros((2, 2), np.float32)}), "of float64, got float32"),
        (lambda q: q.update({Quantity(0, "grad", "W1"): [[1, 2], [3, 4]]}), "array of float64, got list"),
        (lambda q: q.update({"dW1": np.zeros((2, 2))}), "needs Quantity keys"),
    ],
)
def test_a_broken_contract_is_a_crash_that_says_what_is_wrong(change: Any, says: str) -> None:
    record = judged("hand-by-hand/hidden-deltas", change)
    found = finding(record, "altered")
    assert found.verdict == "crash"
    assert re.search(says, found.sentence)


def test_an_exception_is_a_crash_and_a_refusal_is_not_implemented() -> None:
    class Raises:
        name = "raises"

        def run(self, case: Case) -> Trace:
            raise ZeroDivisionError("by hand")

    class Refuses:
        name = "refuses"

        def run(self, case: Case) -> Trace:
            raise NotSupportedError("no sigmoid here")

    record = compare(worked("hand-by-hand/hidden-deltas").case, [NUMPY, Raises(), Refuses()])
    assert finding(record, "raises").verdict == "crash"
    assert "by hand" in finding(record, "raises").sentence
    assert finding(record, "refuses").verdict == "not implemented"
    assert finding(record, "numpy").verdict == "rounding"


def test_nan_in_the_weights_is_undecided_and_not_a_pass() -> None:
    case = worked("diagonal-flip/float64").case
    values = {**case.values, "b1": np.array([np.nan, 0.0, 0.0])}
    assert compare(replace(case, values=values), [NUMPY]).verdict == "undecided"


def test_units_in_the_last_place_and_ratios() -> None:
    with precision(128):
        third = BallArray.exact(1.0) / BallArray.exact([3.0])
    nearest = third.float(np.float64)
    same = compare_arrays(nearest, third, np.array([1e-16]))
    assert same.verdict == "exact"
    above = compare_arrays(np.nextafter(nearest, 1), third, np.array([1e-15]))
    assert above.verdict == "rounding"
    assert 0.5 <= above.ulps[0] <= 1.5
    assert 0.99 < above.ratios[0] / (abs(above.errors[0]) / 1e-15) <= 1
    assert compare_arrays(np.nextafter(nearest, 1), third, np.array([1e-17])).verdict == "mismatch"
    assert compare_arrays(np.array([np.inf]), third, np.array([1e-17])).verdict == "non-finite"
    assert compare_arrays(nearest + 1, third, np.array([np.inf])).verdict == "ill-conditioned"


def test_an_exact_zero_is_told_from_a_zero_bound() -> None:
    zero = BallArray.exact([0.0])
    assert compare_arrays(np.array([0.0]), zero, np.array([0.0])).verdict == "exact"
    off = compare_arrays(np.array([5e-324]), zero, np.array([0.0]))
    assert off.verdict == "mismatch"
    assert np.isinf(off.ratios[0])
    assert np.isnan(off.ulps[0])


def test_a_node_that_is_its_input_and_one_that_is_constant_have_gradients_of_their_own() -> None:
    """An identity returns its argument itself, x ** 1 too, and x ** 0 does not depend on x."""
    network = Network(
        inputs={"x": TensorSpec([2])},
        nodes=[
            Node("same", "identity", ["x"]),
            Node("first", "power", ["x"], {}, {"exponent": 1}),
            Node("zeroth", "power", ["x"], {}, {"exponent": 0}),
            Node("unused", "identity", ["x"]),
            Node("y", "multiply", ["same", "zeroth"]),
        ],
        loss=[Node("L", "value", ["y"]), Node("M", "value", ["x"]), Node("N", "value", ["first"])],
    )
    case = Case(network, {"x": np.array([3.0, -2.0])})
    exact = exact_step(network, installed_cards(), case.values).grads
    assert {name: exact[name].mid().tolist() for name in ("x", "same", "first", "zeroth", "unused")} == {
        "x": [3.0, 3.0],
        "same": [1.0, 1.0],
        "first": [1.0, 1.0],
        "zeroth": [3.0, -2.0],
        "unused": [0.0, 0.0],
    }
    assert compare(case, [NUMPY, TORCH, JAX]).verdict == "exact"


def test_values_too_small_for_any_float_are_no_reason_to_be_undecided() -> None:
    network = Network(
        inputs={"x": TensorSpec([1])},
        nodes=[Node("q", "sigmoid", ["x"])],
        loss=[Node("L", "value", ["q"])],
    )
    record = compare(Case(network, {"x": np.array([-5000.0])}), [NUMPY, TORCH, JAX])
    assert {finding.verdict for finding in record.findings} <= {"exact", "rounding"}


def test_a_subnormal_may_be_flushed_even_by_an_identity() -> None:
    """XLA flushes what passes through an addition, such as that of a probe."""
    network = Network(
        inputs={"x": TensorSpec([1])}, nodes=[Node("h", "identity", ["x"])], loss=[Node("L", "value", ["h"])]
    )
    record = compare(Case(network, {"x": np.array([5e-324])}), [NUMPY, TORCH, JAX])
    assert {finding.verdict for finding in record.findings} <= {"exact", "rounding"}


def test_the_digits_of_a_number_that_no_fraction_holds_come_at_once() -> None:
    with precision(128):
        far = BallArray.exact(2.0) ** 100_000
        assert far.digits(5).tolist().startswith("9.990")
