"""What the docstrings of activation cards say of the frameworks: subgradients at kinks, and where torch goes wrong."""

from dataclasses import replace

import numpy as np
import pytest

from harness import Case, Network, Node, Quantity, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import finding_of
from reference_impls.jax_impl import JaxImplementation
from reference_impls.numpy_impl import NumpyImplementation
from reference_impls.torch_impl import TorchImplementation

CARDS = installed_cards()
THREE = [implementation(name) for name in ("numpy", "torch", "jax")]
FINE = {"exact", "rounding"}


def sum_of(op, x, dtype="float64", params=(), **hypers):
    """The sum of op(x): every upstream gradient is 1."""
    given = np.asarray(x, dtype=dtype)
    specs = {role: TensorSpec([1]) for role in params}
    network = Network(
        inputs={"x": TensorSpec(list(given.shape))},
        params=specs,
        nodes=[Node("h", op, ["x"], {role: role for role in specs}, hypers)],
        loss=[Node("L", "value", ["h"])],
    )
    return Case(network, {"x": given, **{role: np.full(1, 0.25, dtype) for role in specs}}, dtype)


# Per kink, the slopes that NumPy, torch and jax take.
SLOPES = [
    (sum_of("relu", [0.0]), (0, 0, 0)),
    (sum_of("leaky_relu", [0.0], negative_slope=0.5), (0.5, 0.5, 1)),
    (sum_of("prelu", [0.0], params=("a",)), (0.25, 0.25, 1)),
    (sum_of("elu", [0.0], alpha=2.0), (2, 2, 2)),
    (sum_of("celu", [0.0], alpha=2.0), (1, 1, 1)),
    (sum_of("hard_sigmoid", [-3.0]), (0, 0, 0)),
    (sum_of("hard_sigmoid", [3.0]), (0, 0, 0)),
    (sum_of("hard_swish", [-3.0]), (0, 0, 0)),
    (sum_of("hard_swish", [3.0]), (1, 1, 1)),
    (sum_of("hard_tanh", [-1.0]), (0, 0, 1)),
    (sum_of("hard_tanh", [1.0]), (0, 0, 1)),
    (sum_of("hard_tanh", [2.0], max_val=2.0), (0, 0, 0.5)),
    (sum_of("relu6", [0.0]), (0, 0, 0)),
    (sum_of("relu6", [6.0]), (0, 0, 0)),
    (sum_of("softsign", [0.0]), (1, 1, 1)),
    (sum_of("softshrink", [0.5]), (0, 0, 0.5)),
    (sum_of("softshrink", [-0.5]), (0, 0, 0.5)),
    (sum_of("softplus", [5.0], threshold=5.0), (1 / (1 + np.exp(-5.0)),) * 3),
]


@pytest.mark.parametrize(("case", "slopes"), SLOPES, ids=[case.network.nodes[0].op for case, _ in SLOPES])
def test_at_a_kink_each_takes_its_own_subgradient(case, slopes):
    for one, slope in zip(THREE, slopes, strict=True):
        taken = one.run(case).quantities[Quantity(0, "grad", "x")]
        found = finding_of(case, CARDS, one)
        assert float(np.float32(taken[0])) == float(np.float32(slope)), one.name
        assert found.verdict == "convention" if slope != slopes[0] else found.verdict in FINE, one.name


@pytest.mark.parametrize(
    ("dtype", "alpha", "right"), [("float64", 0.3, False), ("float64", 0.5, True), ("float32", 0.3, True)]
)
def test_torch_rounds_the_alpha_of_celu_to_float32_on_the_way_back(dtype, alpha, right):
    found = finding_of(sum_of("celu", [-0.7, 0.5], dtype, alpha=alpha), CARDS, THREE[1])
    assert found.verdict in FINE if right else (found.verdict, found.op) == ("mismatch", "celu backward")


def test_an_alpha_of_celu_that_float32_does_not_hold_is_no_trouble_for_the_others():
    case = sum_of("celu", [-0.7, 0.5], alpha=0.3)
    assert {finding_of(case, CARDS, one).verdict for one in (THREE[0], THREE[2])} <= FINE


@pytest.mark.parametrize(("dtype", "right"), [("float64", False), ("float32", True)])
def test_torch_has_a_hard_sigmoid_whose_slope_is_a_sixth_in_float32(dtype, right):
    card = CARDS.operation("hard_sigmoid")
    builtin = replace(card, torch_forward=lambda torch, p, x: torch.nn.functional.hardsigmoid(x))
    found = finding_of(sum_of("hard_sigmoid", [0.7], dtype), CARDS, TorchImplementation(cards=CARDS.replacing(builtin)))
    assert found.verdict in FINE if right else (found.verdict, found.op) == ("mismatch", "hard_sigmoid backward")


def without_threshold():
    card = CARDS.operation("softplus")
    line = replace(card, jax_forward=lambda jax, p, x, *, beta, threshold: jax.nn.softplus(beta * x) / beta)
    return JaxImplementation(cards=CARDS.replacing(line))


@pytest.mark.parametrize(
    ("dtype", "threshold", "right"), [("float64", 20.0, False), ("float64", 40.0, True), ("float32", 20.0, True)]
)
def test_softplus_without_a_threshold_is_another_function_unless_the_threshold_is_high(dtype, threshold, right):
    case = sum_of("softplus", [-3.0, 19.0, 25.0, 39.0, 41.0], dtype, threshold=threshold)
    verdict = finding_of(case, CARDS, without_threshold()).verdict
    assert verdict in FINE if right else verdict == "mismatch"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_to_the_left_softplus_is_held_to_its_own_size(dtype):
    """b x is rounded by u |b x|, which is far more than y is there; but y moves with it by no more than u |b x| y."""
    card, case = CARDS.operation("softplus"), sum_of("softplus", [-100.0], dtype, beta=0.3)

    def off(p, x, **hypers):
        y, saved = card.numpy_forward(p, x, **hypers)
        return y * (1 + 2.0**-14), saved

    assert finding_of(case, CARDS, NumpyImplementation()).verdict in FINE
    found = finding_of(case, CARDS, NumpyImplementation(cards=CARDS.replacing(replace(card, numpy_forward=off))))
    assert (found.verdict, found.op) == ("mismatch", "softplus forward")
