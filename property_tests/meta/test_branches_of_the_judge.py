"""The judge's rarer turns: what is empty, hidden, unused, or left alone is judged for what it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness import (
    Case,
    Network,
    Node,
    OptimizerSpec,
    Quantity,
    TensorSpec,
    Trace,
    compare,
    implementation,
    installed_cards,
)
from harness.arrays import BallArray, ErrorModel
from harness.arrays import Comparison as Branching
from harness.campaign.records import Finding, gravest
from harness.judge.compare import compare as compare_arrays
from harness.judge.findings import find, headline
from harness.judge.judge import judge
from harness.judge.kinks import all_sides, same_side
from harness.judge.screen import screen
from harness.judge.update_judge import sides_taken

CARDS, NUMPY = installed_cards(), implementation("numpy")
Change = Callable[[dict[Quantity, Any]], Any]


class Altered:
    """NumPy with its quantities changed or left out."""

    name = "altered"

    def __init__(self, change: Change) -> None:
        self.change = change

    def run(self, case: Case) -> Trace:
        quantities = dict(NUMPY.run(case).quantities)
        self.change(quantities)
        return Trace(quantities)


def verdicts(case: Case, change: Change) -> dict[str, str]:
    """By quantity, what the judge says of a trace that was altered so."""
    found = judge(case, CARDS, Altered(change).run(case)).comparisons
    return {str(quantity): comparison.verdict for quantity, comparison in found.items()}


def without(*hidden: Quantity) -> Change:
    return lambda quantities: [quantities.pop(quantity) for quantity in hidden]


def learning(record: tuple[int, ...] = ()) -> Case:
    """Four steps of a sum of x W."""
    network = Network(
        inputs={"x": TensorSpec([1, 2])},
        params={"W": TensorSpec([2, 1])},
        nodes=[Node("y", "dense", ["x"], {"W": "W"})],
        loss=[Node("L", "value", ["y"])],
    )
    values = {"x": np.array([[1.0, -2.0]]), "W": np.array([[0.5], [0.25]])}
    return Case(network, values, "float64", OptimizerSpec("sgd", {"lr": 0.125}), 4, record)


def test_what_is_no_trace_is_a_crash_that_says_so() -> None:
    class Returns:
        name = "returns"

        def run(self, case: Case) -> Any:
            return {"dW": np.zeros(2)}

    (found,) = compare(learning(), [Returns()]).findings
    assert found.verdict == "crash"
    assert "run(case) needs to return a Trace, got dict" in found.sentence


def test_a_step_whose_parameters_are_hidden_is_not_judged_and_the_others_are() -> None:
    hidden = without(Quantity(2, "param", "W"))
    shown, found = (verdicts(learning(record=(0, 2)), change) for change in (lambda _: None, hidden))
    assert {name[-1] for name in shown} == {"0", "1", "2", "3"}
    assert found == {name: verdict for name, verdict in shown.items() if name[-1] in "01"}
    assert set(found.values()) == {"exact"}


def test_where_nothing_is_judged_nothing_is_claimed() -> None:
    """Asked for step 2 alone, it hides what that step starts from."""
    record = compare(learning(record=(2,)), [Altered(without(Quantity(2, "param", "W")))])
    (found,) = record.findings
    assert (found.verdict, found.sentence) == ("undecided", "altered recorded nothing to judge.")
    assert (found.place, found.numbers, record.verdict) == ("", 0, "undecided")


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_a_record_that_begins_later_is_judged_from_there(name: str) -> None:
    case = learning(record=(2,))
    found = judge(case, CARDS, implementation(name).run(case)).comparisons
    assert Quantity(2, "grad", "W") in found
    assert {one.verdict for one in found.values()} <= {"exact", "rounding"}
    (lacking,) = compare(case, [Altered(without(Quantity(2, "grad", "W")))]).findings
    assert "the trace lacks grad W at step 2, which is required" in lacking.sentence


@pytest.mark.parametrize(("verdict", "says"), [("exact", "to the last bit"), ("rounding", "to within 0 times the")])
def test_only_what_is_exact_agrees_to_the_last_bit(verdict: Any, says: str) -> None:
    found = Finding(implementation="one", verdict=verdict, sentence="", worst_ratio=0.0)
    assert says in headline(learning(), [found])[1]


def test_what_somebody_else_said_ends_before_the_next_sentence_begins() -> None:
    refused = Finding(implementation="one", verdict="not implemented", sentence="one has no such thing")
    right = Finding(implementation="two", verdict="exact", sentence="")
    assert headline(learning(), [refused, right])[1] == "one has no such thing. two agrees with the exact value."


def test_nothing_is_exact_and_has_no_worst_element() -> None:
    for shape in ((0,), (2, 0)):
        none = np.zeros(shape)
        found = compare_arrays(none, BallArray.exact(none), none)
        assert (found.verdict, found.worst, found.worst_ratio) == ("exact", -1, 0.0)


def test_a_case_with_nothing_in_it_is_exact() -> None:
    network = Network(inputs={"x": TensorSpec([0])}, nodes=[Node("h", "tanh", ["x"])], loss=[Node("L", "value", ["h"])])
    (found,) = compare(Case(network, {"x": np.zeros(0)}), [NUMPY]).findings
    assert (found.verdict, found.numbers) == ("exact", 2)  # the loss, and its one term


def cancelling(second: float) -> tuple[Case, Trace]:
    """x a + x b + x c, whose gradient is 2^100 and 2^100 + 5 2^-29 - 2^100; a trace that has `second` for the other."""
    given = {"a": [2.0**100, 2.0**100], "b": [0.0, 5 * 2.0**-29], "c": [0.0, -(2.0**100)]}
    network = Network(
        inputs={"x": TensorSpec([2])},
        constants={name: TensorSpec([2]) for name in given},
        nodes=[Node(f"x{name}", "multiply", ["x", name]) for name in given],
        loss=[Node(f"L{name}", "value", [f"x{name}"]) for name in given],
    )
    case = Case(network, {"x": np.zeros(2), **{name: np.array(numbers) for name, numbers in given.items()}})
    grad = np.array([2.0**100, second])
    return case, Trace({Quantity(0, "value", "loss"): np.array(0.0), Quantity(0, "grad", "x"): grad})


def test_an_error_within_what_the_exact_value_is_unsure_of_is_0_times_the_bound() -> None:
    """In 128 bits 5 2^-29 is lost beside 2^100, and beside an element of 2^100 it is not worth more of them."""
    case, trace = cancelling(5 * 2.0**-29)
    found = find(case, "one", judge(case, CARDS, trace))
    assert (found.verdict, found.worst_ratio) == ("rounding", 0.0)
    assert found.sentence.startswith("one: 2 of 3 numbers are the floats nearest to the exact values; the rest lie ")
    assert "within the rounding bound, at most 0 times the rounding bound" in found.sentence
    case, trace = cancelling(2.0**60)
    assert find(case, "one", judge(case, CARDS, trace)).verdict == "mismatch"


def branching(name: str, taken: list[bool], near: list[bool], tie: list[bool] | None = None) -> Branching:
    """A comparison that rounding may turn round where it is near."""
    gap = np.where(taken, 1.0, -1.0)
    return Branching(name, gap, np.where(near, 2.0, 0.5), np.array(taken), np.array(tie or [False] * len(taken)))


ALL, LAST = np.array([True, True]), np.array([False, True])


@pytest.mark.parametrize(
    ("name", "choice", "same"),
    [
        ("greater", None, True),
        ("greater", (ALL, np.array([True, False])), True),
        ("greater", (ALL, np.array([False, False])), False),
        ("greater", (LAST, np.array([False, False])), True),
        ("greater", (ALL, np.array([True, False]), ALL), True),
        ("sign", (ALL, np.array([True, False]), ~ALL), True),
        ("sign", (ALL, np.array([True, False]), LAST), False),
    ],
)
def test_a_choice_is_what_was_decided_where_it_forces_the_same_or_nothing(name: str, choice: Any, same: bool) -> None:
    one = branching(name, [True, False], [True, True])
    assert same_side({"h": [choice]}, {"h": [one]}) is same
    # Every comparison of every node has to agree.
    other = (ALL, np.array([False, True]))
    assert not same_side({"g": [None, other], "h": [choice]}, {"g": [one, one], "h": [one]})


def test_all_sides_of_two_nodes_are_tried_and_what_is_decided_stays() -> None:
    undetermined = {
        "h": [branching("greater", [True, False, True], [False, True, False])],
        "k": [branching("greater", [True, False], [True, True])],
    }
    tried = [tuple(tuple(taken.tolist()) for ((_, taken),) in choices.values()) for choices in all_sides(undetermined)]
    bools = (True, False)
    assert sorted(tried) == sorted(((True, a, True), (b, c)) for a in bools for b in bools for c in bools)


def two_kinks(slopes: tuple[float, ...]) -> str:
    """The verdict on relu(x A) + relu(-x B), where x A = x B = 0.1 + 0.2 - 0.3, of which rounding leaves no digit.

    The trace has the loss and the parameters' gradients alone: what these are where the two slopes are so.
    """
    network = Network(
        inputs={"x": TensorSpec([1, 3]), "y": TensorSpec([1, 3])},
        params={"A": TensorSpec([3, 1]), "B": TensorSpec([3, 1])},
        nodes=[
            Node("a", "dense", ["x"], {"W": "A"}),
            Node("h", "relu", ["a"]),
            Node("b", "dense", ["y"], {"W": "B"}),
            Node("k", "relu", ["b"]),
            Node("s", "add", ["h", "k"]),
        ],
        loss=[Node("L", "value", ["s"])],
    )
    x, column = np.array([[1.0, 1.0, -1.0]]), np.array([[0.1], [0.2], [0.3]])
    case = Case(network, {"x": x, "y": -x, "A": column, "B": column})
    shown = {Quantity(0, "value", "loss"): np.array(0.0)}
    shown |= {Quantity(0, "grad", name): slope * by.T for name, slope, by in zip("AB", slopes, (x, -x), strict=True)}
    found = judge(case, CARDS, Trace(shown)).comparisons.values()
    return gravest([comparison.verdict for comparison in found])


def test_a_black_box_may_be_on_either_side_of_each_of_two_kinks() -> None:
    """0.1 + 0.2 - 0.3 is 2^-55 as the doubles are, so the slopes are 1 and 0; no other slope than these is right."""
    found = {slopes: two_kinks(slopes) for slopes in itertools.product((0.0, 0.5, 1.0), repeat=2)}
    assert found == {
        slopes: "mismatch" if 0.5 in slopes else "rounding" if slopes == (1.0, 0.0) else "undetermined branch"
        for slopes in found
    }


UNUSED = Case(
    Network(
        inputs={"x": TensorSpec([2, 2])},
        params={"W": TensorSpec([2, 2]), "b": TensorSpec([2]), "v": TensorSpec([2])},
        nodes=[Node("dead", "dense", ["x"], {"W": "W", "b": "b"}), Node("y", "identity", ["x"])],
        loss=[Node("L", "value", ["y"])],
    ),
    {"x": np.ones((2, 2)), "W": np.ones((2, 2)), "b": np.ones(2), "v": np.ones(2)},
)
"""A layer whose result nobody uses, and a parameter that nobody uses."""


@pytest.mark.parametrize("hidden", [(), (Quantity(0, "value", "dead"),)])
@pytest.mark.parametrize("name", ["W", "b", "v", "dead"])
def test_the_gradient_of_what_the_loss_does_not_depend_on_is_zero(name: str, hidden: tuple[Quantity, ...]) -> None:
    place = Quantity(0, "grad", name)

    def change(quantities: dict[Quantity, Any]) -> None:
        without(*hidden)(quantities)
        quantities[place] = quantities[place] + 2.0**-40

    right, wrong = verdicts(UNUSED, without(*hidden)), verdicts(UNUSED, change)
    assert set(right.values()) == {"exact"}
    assert wrong == {**right, str(place): "mismatch"}


def test_cases_with_other_labels_are_not_screened_together() -> None:
    network = Network(
        inputs={"x": TensorSpec([3])},
        constants={"t": TensorSpec([3], "int64")},
        loss=[Node("L", "hinge", ["x", "t"])],
    )
    case = Case(network, {"x": np.array([0.3, -0.4, 2.0]), "t": np.array([1, -1, -1])})
    alike, other = (replace(case, values={**case.values, "t": np.array(t)}) for t in ([1, -1, -1], [1, 1, -1]))
    assert screen([case, alike], CARDS, [NUMPY.run(one) for one in (case, alike)]).suspicious() == []
    with pytest.raises(ValueError, match="needs cases with the same whole numbers in 't'"):
        screen([case, other], CARDS, [NUMPY.run(one) for one in (case, other)])


LION = Case(
    Network(
        inputs={"x": TensorSpec([1])},
        params={"w": TensorSpec([3]), "v": TensorSpec([1])},
        loss=[Node(f"L{name}", "l2_penalty", [], {"w": name}, {"strength": 0.5}) for name in ("w", "v")],
    ),
    {"x": np.zeros(1), "w": np.zeros(3), "v": np.ones(1)},
    "float32",
    OptimizerSpec("lion", {"lr": 0.125, "beta2": 0.5}),
    2,
)


def second_update(after: list[float]) -> dict[Quantity, Any]:
    """At step 1 Lion's c = 0.9 m + 0.1 g is 0 but for rounding, for w; what it led to is given."""
    m = np.full(3, 0.1, np.float32)
    g = -9 * m * np.float32(1 + 2.0**-23)
    return {
        Quantity(1, "param", "w"): np.zeros(3, np.float32),
        Quantity(1, "param", "v"): np.ones(1, np.float32),
        Quantity(1, "grad", "w"): g,
        Quantity(1, "grad", "v"): np.ones(1, np.float32),
        Quantity(1, "state", "w", "m"): m,
        Quantity(1, "state", "v", "m"): np.ones(1, np.float32),
        Quantity(2, "param", "w"): np.array(after, np.float32),
        Quantity(2, "state", "w", "m"): (m + g) / np.float32(2),
    }


def taken(quantities: Mapping[Quantity, Any], name: str) -> dict[str, list[float]]:
    found = sides_taken(LION, CARDS, Trace(dict(quantities)), 1, name, ErrorModel.of("float32"))
    return {str(quantity): ball.mid().tolist() for quantity, ball in found.items()}


def test_each_element_of_an_update_has_the_exact_value_of_the_side_that_it_took() -> None:
    for after in ([0.125, -0.125, 0.0], [-0.125, -0.125, 0.125]):
        assert taken(second_update(after), "w")["param w at step 2"] == after


@pytest.mark.parametrize(
    "hidden",
    [
        [Quantity(1, "grad", "w")],
        [Quantity(1, "state", "w", "m")],
        [Quantity(1, "grad", "w"), Quantity(1, "grad", "v")],
        [Quantity(1, "state", "w", "m"), Quantity(1, "state", "v", "m")],
    ],
)
def test_of_an_update_from_what_was_not_recorded_no_side_is_known(hidden: list[Quantity]) -> None:
    known = {quantity: array for quantity, array in second_update([0.0] * 3).items() if quantity not in hidden}
    assert taken(known, "w") == {}
