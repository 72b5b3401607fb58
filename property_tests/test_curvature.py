"""Hessian-vector products of smooth cards: by duals in NumPy, double backward in torch, jvp of grad in jax."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import blocks
from harness.errors import NotSupportedError
from harness.generate.cases import DTYPES
from harness.judge.curvature import (
    Curved,
    curvature_bounds,
    directions_for,
    exact_curvature,
    judge_curvature,
    leaves,
    numpy_curvature,
    smooth,
)
from harness.judge.walk import forward
from harness.registry import Cards
from harness.trace import LOSS
from reference_impls.jax_impl import JaxImplementation

ALL = installed_cards()
SMOOTH = Cards({name: card for name, card in ALL.operations.items() if not card.kinks + card.bends}, {})
FINE = {"exact", "rounding", "suspicious", "ill-conditioned"}
TORCH, JAX = implementation("torch"), implementation("jax")


def by_duals(case, directions):
    return numpy_curvature(case, ALL, directions)


RUNS = {"numpy": by_duals, "torch": TORCH.hessian_vector, "jax": JAX.hessian_vector}


def overflows_twice(case):
    """Whether torch's second derivative of log-cosh is inf / inf, beyond half the logarithm of the largest number."""
    values = forward(case.network, ALL, case.values).values
    terms = [term for term in case.network.loss if term.op == "log_cosh"]
    apart = [np.abs(values[a] - values[b]).max() for a, b in (term.inputs for term in terms)]
    return any(2 * one > np.log(np.finfo(case.dtype).max) for one in apart)


def without_value(case):
    """Whether something on the way is no number, as the logarithm of 0."""
    return not all(np.isfinite(value).all() for value in forward(case.network, ALL, case.values).values.values())


def explained(case, who, verdict):
    return {
        "undecided": without_value(case),
        "non-finite": who == "torch" and overflows_twice(case),
    }.get(verdict, False)


ACCUSED: dict[str, list[str]] = {}
"""By card, who was wrong: while its case shrinks, nobody else is asked, as a compiler takes its time."""


@pytest.mark.parametrize("card", SMOOTH.operations)
@settings(max_examples=max(2, settings().max_examples // 30))
@given(data=st.data())
def test_implementations_agree(card, data):
    block = data.draw(blocks(SMOOTH, card, (data.draw(st.sampled_from(DTYPES)),)))
    for case, who in itertools.product(block[:2], ACCUSED.get(card, RUNS)):
        try:
            judged = judge_curvature(case, ALL, RUNS[who], directions_for(case))
        except NotSupportedError:
            event(who, "not implemented")
            continue
        for name, one in judged.items():
            event(who, one.verdict)
            if one.verdict not in FINE and not explained(case, who, one.verdict):
                ACCUSED[card] = [who]
                pytest.fail(f"{who}, {name}: {one.verdict}, {one.worst_ratio} bounds")


def bowl(dtype="float64"):
    """L = sum (tanh(x W) - t)^2: curved in x and W."""
    network = Network(
        inputs={"x": TensorSpec([2, 3])},
        constants={"t": TensorSpec([2, 2])},
        params={"W": TensorSpec([3, 2])},
        nodes=[Node("z", "dense", ["x"], {"W": "W"}), Node("y", "tanh", ["z"])],
        loss=[Node("L", "squared_error", ["y", "t"])],
    )
    draw = np.random.default_rng(3).normal
    values = {name: draw(size=spec.shape).astype(dtype) for name, spec in network.tensors().items()}
    return Case(network, values, dtype)


def test_the_exact_product_is_the_second_difference_of_the_loss():
    """v' H v against (L(w + e v) - 2 L(w) + L(w - e v)) / e^2 in float64: no derivative takes part."""
    case, eps = bowl(), 2.0**-12
    directions = directions_for(case)

    def loss(step):
        moved = {name: array + step * directions.get(name, 0) for name, array in case.values.items()}
        return float(forward(case.network, ALL, moved).values[LOSS])

    second = (loss(eps) - 2 * loss(0.0) + loss(-eps)) / eps**2
    exact = exact_curvature(case, ALL, directions)
    form = sum(float(np.sum(exact[name].mid() * directions[name])) for name in leaves(case.network))
    # Truncation is of order e^2, cancellation of u / e^2; both are far below a missing factor of 2.
    assert abs(second - form) < eps * abs(form)
    assert abs(second - 2 * form) > eps * abs(form)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_derivative_that_is_right_once_and_wrong_twice_is_found(dtype):
    """A custom rule that takes the slope of tanh for a constant: its gradient is right, its Hessian is not."""

    def detached(jax, p, x):
        @jax.custom_jvp
        def tanh(x):
            return jax.numpy.tanh(x)

        @tanh.defjvp
        def rule(primals, tangents):
            y = tanh(*primals)
            return y, jax.lax.stop_gradient(1 - y**2) * tangents[0]

        return tanh(x)

    wrong = JaxImplementation(cards=ALL.replacing(replace(ALL.operation("tanh"), jax_forward=detached)))
    case = bowl(dtype)
    judged = judge_curvature(case, ALL, wrong.hessian_vector, directions_for(case))
    assert {one.verdict for one in judged.values()} == {"mismatch"}
    right = judge_curvature(case, ALL, JAX.hessian_vector, directions_for(case))
    assert {one.verdict for one in right.values()} <= FINE


def test_rounding_beyond_the_bound_is_doubted_and_a_mistake_is_not():
    case = bowl("float32")
    directions = directions_for(case)
    bounds = curvature_bounds(case, ALL, directions)

    def coarse(case, directions):
        """Off by three bounds of its own precision."""
        own = curvature_bounds(case, ALL, directions)
        return {name: array + (3 * own[name]).astype(case.dtype) for name, array in by_duals(case, directions).items()}

    def biased(case, directions):
        """Off by three bounds of float32 in either precision."""
        return {
            name: array + (3 * bounds[name]).astype(case.dtype) for name, array in by_duals(case, directions).items()
        }

    assert {one.verdict for one in judge_curvature(case, ALL, coarse, directions).values()} == {"suspicious"}
    assert {one.verdict for one in judge_curvature(case, ALL, biased, directions).values()} == {"mismatch"}


@pytest.mark.parametrize(("far", "verdicts"), [(44.0, {"exact", "rounding"}), (45.0, {"non-finite"})])
def test_torch_has_no_second_derivative_of_a_large_log_cosh(far, verdicts):
    spec = TensorSpec([1])
    network = Network({"x": spec}, {"t": spec}, loss=[Node("L", "log_cosh", ["x", "t"])])
    case = Case(network, {"x": np.float32([far]), "t": np.float32([0])}, "float32")
    judged = judge_curvature(case, ALL, TORCH.hessian_vector, directions_for(case))
    assert {one.verdict for one in judged.values()} <= verdicts
    assert overflows_twice(case) == (verdicts == {"non-finite"})


def test_torch_has_no_double_backward_of_a_layer_norm_with_a_bias_alone():
    network = Network(
        {"x": TensorSpec([1, 2])},
        params={"b": TensorSpec([2])},
        nodes=[Node("h", "layer_norm", ["x"], {"bias": "b"})],
        loss=[Node("L", "value", ["h"])],
    )
    case = Case(network, {"x": np.array([[1.0, 2.0]]), "b": np.zeros(2)}, "float64")
    with pytest.raises(NotSupportedError, match="no double backward"):
        TORCH.hessian_vector(case, directions_for(case))


def test_what_is_not_smooth_says_so():
    kinked = Network({"x": TensorSpec([1])}, nodes=[Node("y", "relu", ["x"])], loss=[Node("L", "value", ["y"])])
    assert not smooth(kinked, ALL)
    assert smooth(bowl().network, ALL)
    assert isinstance(TORCH, Curved)
    assert isinstance(JAX, Curved)
