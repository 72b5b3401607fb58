"""The local judgement: blocks bound as single cases do, variants widen, ties are conventions, deep nets stay sharp."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness import Case, Network, Node, Quantity, TensorSpec, Trace, compare, implementation, installed_cards
from harness.arrays import BoundedArray, ErrorModel
from harness.arrays.blocks import BlockArray
from harness.judge.judge import judge, own_numbers
from harness.judge.local import Own, local_step
from harness.judge.walk import backward, forward
from harness.registry import installed_examples

CARDS = installed_cards()
FLIP = ("diagonal-flip", "float64")
IMPLEMENTATIONS = [implementation(name) for name in ("numpy", "torch", "jax")]


def a_chain(depth: int, width: int, activation: str = "tanh", batch: int = 3) -> Network:
    nodes, params, x = [], {}, "x"
    for layer in range(depth):
        params |= {f"W{layer}": TensorSpec([width, width]), f"b{layer}": TensorSpec([width])}
        nodes.append(Node(f"z{layer}", "dense", [x], {"W": f"W{layer}", "b": f"b{layer}"}))
        nodes.append(Node(x := f"a{layer}", activation, [f"z{layer}"]))
    return Network(
        inputs={"x": TensorSpec([batch, width])},
        constants={"t": TensorSpec([batch, width])},
        params=params,
        nodes=nodes,
        loss=[Node("L", "squared_error", [x, "t"], {}, {"reduction": "mean"})],
    )


def drawn(network: Network, seed: int, dtype: str) -> Case:
    draw = np.random.default_rng(seed)
    values = {name: draw.normal(size=spec.shape).astype(dtype) for name, spec in network.tensors().items()}
    return Case(network=network, values=values, dtype=dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "identity"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_block_has_the_bounds_of_its_cases(activation: str, dtype: str) -> None:
    network, model = a_chain(2, 4, activation), ErrorModel.of(dtype)
    cases = [drawn(network, seed, dtype) for seed in range(5)]
    stacked = {name: np.stack([case.values[name] for case in cases]) for name in network.tensors()}
    blocks = {name: BlockArray.block(array, model, extended=False) for name, array in stacked.items()}
    walk = forward(network, CARDS, blocks)
    grads = backward(network, CARDS, walk, BlockArray.block(np.ones(len(cases)), model, extended=False))
    for number, case in enumerate(cases):
        alone = forward(network, CARDS, {name: BoundedArray.given(a, model) for name, a in case.values.items()})
        own = backward(network, CARDS, alone, BoundedArray.given(np.array(1.0), model))
        for name, grad in {**own, "loss": alone.values["loss"]}.items():
            block = grads[name] if name in own else walk.values["loss"]
            # The same formulas on the same numbers: only BLAS may add up in another order.
            assert np.all(np.abs(block.radius[number] - grad.radius) <= 2.0**-40 * grad.radius), name
            assert np.all(np.abs(block.centre[number] - grad.centre) <= grad.radius), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_correct_implementations_pass_locally_in_every_operation(dtype: str) -> None:
    for activation in ("tanh", "sigmoid", "relu"):
        network = a_chain(3, 16, activation, batch=5)
        for one in IMPLEMENTATIONS:
            own = [own_numbers(one.run(case := drawn(network, seed, dtype)), 0, case.values) for seed in range(8)]
            block = Own(
                {name: np.concatenate([each.values[name] for each in own]) for name in own[0].values},
                {name: np.concatenate([each.grads[name] for each in own]) for name in own[0].grads},
            )
            judged = local_step(network, CARDS, block, ErrorModel.of(dtype))
            assert len(judged) == 3 * 3 * 2 + 3  # two values and four gradients a layer, and x, L and loss
            assert {found.comparison.verdict for found in judged.values()} <= {"exact", "rounding"}, (activation, one)


class Altered:
    name = "altered"

    def __init__(self, quantity: Quantity, factor: float) -> None:
        self.quantity, self.factor = quantity, factor

    def run(self, case: Case) -> Trace:
        trace = IMPLEMENTATIONS[0].run(case)
        array = np.array(trace.quantities[self.quantity])
        array[0, 0] = array[0, 0] * array.dtype.type(self.factor)
        return replace(trace, quantities={**trace.quantities, self.quantity: array})


@pytest.mark.parametrize(("dtype", "change"), [("float32", 1e-4), ("float64", 1e-13)])
def test_a_small_change_is_seen_and_placed_as_well_in_a_deep_net_as_in_a_shallow_one(dtype: str, change: float) -> None:
    for depth in (1, 8):
        case = drawn(a_chain(depth, 4), 1, dtype)
        for name in ("W0", "a0"):
            place = Quantity(0, "grad", name)
            judged = judge(case, CARDS, Altered(place, 1 + change).run(case))
            assert place in judged.faults
            assert judged.comparisons[place].verdict == "mismatch"


def test_what_a_mask_makes_of_two_constants_differs_between_cases():
    x = BlockArray.block(np.array([[1.0, -1.0], [-2.0, 2.0]]), ErrorModel.of("float32"))
    chosen = np.where(x > 0, np.full_like(x, 6.0), 0)
    assert chosen.shape == x.shape
    assert chosen.centre.tolist() == [[6, 0], [0, 6]]


def test_in_a_deep_net_the_global_judgement_alone_would_have_missed_it() -> None:
    """Why there are two: the same change is far inside the worst-case bound, which grows with depth."""
    case, place = drawn(a_chain(8, 4), 1, "float32"), Quantity(0, "grad", "W0")
    altered = Altered(place, 1 + 1e-4).run(case)
    judged = judge(case, CARDS, altered)
    exact = judge(case, CARDS, IMPLEMENTATIONS[0].run(case))
    off = np.abs(np.asarray(altered.quantities[place], np.float64) * 1e-4)[0, 0]
    assert off < exact.bounds[place][0, 0] - np.abs(exact.comparisons[place].errors[0, 0])
    assert judged.comparisons[place].verdict == "mismatch"


def test_what_follows_from_a_fault_inherits_it_but_is_not_blamed() -> None:
    case = drawn(a_chain(3, 4), 1, "float64")

    class Wrong(Altered):
        def run(self, case: Case) -> Trace:
            shifted = replace(case, values={**case.values, "W0": case.values["W0"] * 1.5})
            return IMPLEMENTATIONS[0].run(shifted)

    trace = Wrong(Quantity(0, "value", "z0"), 1.0).run(case)
    honest = {q: a for q, a in trace.quantities.items() if q != Quantity(0, "param", "W0")}
    judged = judge(case, CARDS, replace(trace, quantities=honest))
    assert judged.comparisons[Quantity(0, "value", "a1")].verdict == "mismatch"
    # Only what is computed from W0 itself disagrees with its own inputs.
    assert judged.faults == {Quantity(0, "value", "z0"), Quantity(0, "grad", "x")}


def test_a_variant_widens_the_bound_and_without_it_jax_would_be_accused() -> None:
    network = a_chain(2, 80, batch=8)
    case = drawn(network, 2026, "float32")
    scaled = replace(case, values={name: array / np.float32(7) for name, array in case.values.items()})
    own = own_numbers(IMPLEMENTATIONS[2].run(scaled), 0, scaled.values)
    tanh = CARDS.operation("tanh")
    without = CARDS.replacing(replace(tanh, variants=()))
    model = ErrorModel.of("float32")
    wide, narrow = (local_step(network, cards, own, model)["grad", "z0"] for cards in (CARDS, without))
    assert np.all(wide.radius >= narrow.radius)
    assert np.any(wide.radius > narrow.radius)
    assert wide.comparison.verdict == "rounding"
    assert narrow.comparison.worst_ratio > wide.comparison.worst_ratio


def at_zero(op: str, **hypers: Any) -> Case:
    network = Network(
        params={"w": TensorSpec([3])},
        loss=[Node("L", op, [], {"w": "w"}, hypers)],
    )
    return Case(network=network, values={"w": np.array([0.0, 1.0, -2.0])})


def test_a_subgradient_at_an_exact_tie_is_a_convention() -> None:
    """|w| at 0: NumPy and torch say 0, jax says 1, and all are subgradients."""
    record = compare(at_zero("l1_penalty", strength=0.5), IMPLEMENTATIONS)
    assert [finding.verdict for finding in record.findings] == ["exact", "exact", "convention"]
    assert record.verdict == "convention"


def two_ties() -> Case:
    """|x - max(x, 0)| at x = 0: the ReLU takes 0 there in all three, and jax's |d| takes 1, where -1 to 1 is right."""
    network = Network(
        inputs={"x": TensorSpec([1])},
        nodes=[Node("h", "relu", ["x"])],
        loss=[Node("L", "absolute_error", ["x", "h"])],
    )
    return Case(network=network, values={"x": np.zeros(1)})


def test_operations_that_meet_ties_may_take_different_sides() -> None:
    case, place = two_ties(), Quantity(0, "grad", "x")
    trace = IMPLEMENTATIONS[2].run(case)
    assert trace.quantities[place].tolist() == [1.0]
    assert judge(case, CARDS, trace).comparisons[place].verdict == "convention"
    beyond = replace(trace, quantities={**trace.quantities, place: np.array([1.0 + 2.0**-40])})
    assert judge(case, CARDS, beyond).comparisons[place].verdict == "mismatch"


def test_what_cancels_on_the_other_side_of_a_tie_may_round_there() -> None:
    """|x - x| has the slope 1 - 1 in jax, beside which another gradient loses its last digits; 0 here."""
    network = Network(
        inputs={"x": TensorSpec([2])},
        constants={"t": TensorSpec([2])},
        loss=[Node("A", "absolute_error", ["x", "x"]), Node("B", "squared_error", ["x", "t"])],
    )
    case = Case(network=network, values={"x": np.array([1e-3, 0.1]), "t": np.array([0.7e-3, 0.3])})
    for one in IMPLEMENTATIONS:
        judged = judge(case, CARDS, one.run(case)).comparisons[Quantity(0, "grad", "x")]
        assert judged.verdict in ("exact", "rounding", "convention")
        assert (judged.verdict == "convention") == (one.name == "jax")


def test_a_tie_beyond_which_there_is_no_value_has_one_side() -> None:
    network = Network(
        inputs={"q": TensorSpec([1, 2])},
        constants={"t": TensorSpec([1, 2])},
        loss=[Node("L", "kl_divergence", ["q", "t"])],
    )
    case = Case(network=network, values={"q": np.array([[-1.0, -2.0]]), "t": np.array([[0.0, 0.5]])})
    for one in IMPLEMENTATIONS:
        trace = one.run(case)
        judged = judge(case, CARDS, trace)
        assert {comparison.verdict for comparison in judged.comparisons.values()} <= {"exact", "rounding"}
        place = Quantity(0, "value", "L")
        off = replace(trace, quantities={**trace.quantities, place: trace.quantities[place] + 1e-9})
        assert judge(case, CARDS, off).comparisons[place].verdict == "mismatch"


def test_what_is_no_subgradient_is_a_mismatch() -> None:
    class Steep:
        name = "steep"

        def run(self, case: Case) -> Trace:
            trace = IMPLEMENTATIONS[0].run(case)
            grad = np.array(trace.quantities[Quantity(0, "grad", "w")])
            grad[0] = 0.75
            return replace(trace, quantities={**trace.quantities, Quantity(0, "grad", "w"): grad})

    assert compare(at_zero("l1_penalty", strength=0.5), [Steep()]).verdict == "mismatch"


def test_a_fault_in_the_program_that_nobody_watches_is_seen() -> None:
    class Two:
        name = "two programs"

        def run(self, case: Case) -> Trace:
            trace = IMPLEMENTATIONS[0].run(case)
            place = Quantity(0, "grad", "W0")
            return replace(trace, unwatched={place: trace.quantities[place] * 2})

    assert compare(drawn(a_chain(1, 2), 1, "float64"), [Two()]).verdict == "mismatch"


def test_the_program_that_nobody_watches_may_be_on_the_other_side_of_a_kink_but_on_no_third() -> None:
    case = next(
        worked.case for one in installed_examples() for worked in one.cases if (one.key, worked.key) == FLIP
    )
    on_the_living_side = IMPLEMENTATIONS[1].run(case).quantities

    class TwoSides:
        name = "two sides"

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def run(self, case: Case) -> Trace:
            place = Quantity(0, "grad", "W1")
            return replace(IMPLEMENTATIONS[0].run(case), unwatched={place: on_the_living_side[place] * self.factor})

    assert compare(case, [TwoSides(1.0)]).verdict == "undetermined branch"
    assert compare(case, [TwoSides(0.5)]).verdict == "mismatch"


def test_a_dead_end_that_rounds_nothing_is_no_obstacle() -> None:
    """The allowance for recomputation looks behind an identity, and there may be nothing."""
    network = Network(
        inputs={"x": TensorSpec([1])},
        nodes=[Node("h", "relu", ["x"]), Node("dead", "identity", ["x"])],
        loss=[Node("L", "value", ["h"])],
    )
    case = Case(network, {"x": np.array([2.0])})
    wrong = IMPLEMENTATIONS[0].run(case)
    place = Quantity(0, "grad", "x")
    doubled = replace(wrong, quantities={**wrong.quantities, place: wrong.quantities[place] * 2})
    assert place in judge(case, CARDS, doubled).faults


def test_sharpness_and_vacuous_passes() -> None:
    case = drawn(a_chain(2, 4), 1, "float32")
    judged = judge(case, CARDS, IMPLEMENTATIONS[0].run(case))
    grad = Quantity(0, "grad", "W0")
    assert np.median(judged.sharpness[grad]) < 1e-5
    assert not judged.vacuous(grad).any()
    judged.sharpness[grad] = np.full_like(judged.sharpness[grad], 2.0)
    assert judged.vacuous(grad).all()
