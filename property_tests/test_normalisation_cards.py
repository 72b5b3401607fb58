"""Normalising cards where it is hard: large means, no variance, one number, and what the frameworks do otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import finding_of
from harness.judge.judge import judge
from harness.judge.oracle import exact_step
from harness.mutants import card_mutants, mutated_cards
from harness.trace import Quantity
from reference_impls.jax_impl import JaxImplementation
from reference_impls.numpy_impl import NumpyImplementation
from reference_impls.torch_impl import TorchImplementation

CARDS = installed_cards()
PROGRAMS = ("numpy", "torch", "jax")
FINE = {"exact", "rounding"}
NORMALISING = ("layer_norm", "group_norm", "batch_norm")
LARGE_MEAN = np.array([[10001.0, 10002.0, 10003.0, 10004.0]])


def normalised(op, x, hypers=None, dtype="float32", weight=None, extra=(), **inputs):
    """One normalisation, its value multiplied by an upstream gradient that is not constant."""
    x = np.asarray(x)
    upstream = np.random.default_rng(0).normal(size=x.shape)
    given = {"x": x, **{name: np.asarray(array) for name, array in inputs.items()}}
    params = {} if weight is None else {"weight": np.asarray(weight)}
    network = Network(
        {name: TensorSpec(list(array.shape)) for name, array in given.items()},
        {"u": TensorSpec(list(x.shape))},
        {name: TensorSpec(list(array.shape)) for name, array in params.items()},
        [Node("y", op, list(given), {name: name for name in params}, hypers or {}), Node("s", "multiply", ["y", "u"])],
        [Node("L", "value", ["s"]), *extra],
    )
    return Case(network, {**given, **params, "u": upstream}, dtype)


def verdicts(case, cards=CARDS, programs=PROGRAMS):
    return {name: finding_of(case, cards, implementation(name)).verdict for name in programs}


def across(op, rows):
    """Numbers that this operation normalises row by row: a channel of a batch is a column."""
    return np.asarray(rows).T if op == "batch_norm" else np.asarray(rows)


# A large mean


@pytest.mark.parametrize("op", NORMALISING)
def test_two_passes_are_right_where_the_mean_is_large(op):
    case = normalised(op, across(op, LARGE_MEAN))
    assert set(verdicts(case).values()) <= FINE
    exact = exact_step(case.network, CARDS, case.values).values["y"].float(np.float64)
    assert np.round(exact.ravel(), 2).tolist() == [-1.34, -0.45, 0.45, 1.34]


def in_one_pass(jax, p, x, *, last_axes, eps):
    """As `flax.linen.LayerNorm` computes by default."""
    m = jax.numpy.mean(x, -1, keepdims=True)
    v = jax.numpy.maximum(0.0, jax.numpy.mean(jax.numpy.square(x), -1, keepdims=True) - jax.numpy.square(m))
    return (x - m) * jax.lax.rsqrt(v + eps)


def test_one_pass_is_called_wrong_where_it_loses_its_digits_and_only_there():
    fast = JaxImplementation(cards=CARDS.replacing(replace(CARDS.operation("layer_norm"), jax_forward=in_one_pass)))
    lost = normalised("layer_norm", LARGE_MEAN)
    assert np.abs(fast.run(lost).quantities[Quantity(0, "value", "y")]).max() > 100
    found = finding_of(lost, CARDS, fast)
    assert (found.verdict, found.op) == ("mismatch", "layer_norm forward")
    centred = normalised("layer_norm", LARGE_MEAN - 10002.5)
    assert finding_of(centred, CARDS, fast).verdict in FINE


@pytest.mark.parametrize("op", ["layer_norm", "batch_norm"])
def test_a_hand_written_variance_in_one_pass_is_found(op):
    mutant = next(one for one in card_mutants(CARDS) if one.name == f"{op}_variance_in_one_pass")
    planted = NumpyImplementation(cards=mutated_cards(mutant, CARDS))
    found = finding_of(normalised(op, across(op, LARGE_MEAN)), CARDS, planted)
    assert (found.verdict, found.op) == ("non-finite", f"{op} forward"), "the variance is below 0 here"
    found = finding_of(normalised(op, across(op, LARGE_MEAN - 7000.7)), CARDS, planted)
    assert (found.verdict, found.op) == ("mismatch", f"{op} forward")


def test_torch_loses_the_digits_when_the_channels_are_last_in_memory():
    def channels_last(torch, p, x, *, groups, eps):
        x = x.contiguous(memory_format=torch.channels_last)
        return torch.nn.functional.group_norm(x, groups, eps=eps)

    card = replace(CARDS.operation("group_norm"), torch_forward=channels_last)
    image = normalised("group_norm", np.broadcast_to(LARGE_MEAN.reshape(1, 1, 2, 2), (2, 4, 2, 2)))
    assert set(verdicts(image).values()) <= FINE
    found = finding_of(image, CARDS, TorchImplementation(cards=CARDS.replacing(card)))
    assert (found.verdict, found.op) == ("mismatch", "group_norm forward")


# No variance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", NORMALISING)
def test_equal_numbers_are_judged_as_long_as_epsilon_is_above_their_rounding(op, dtype):
    rows = across(op, np.full((2, 3), 1 / 3))
    assert set(verdicts(normalised(op, rows, dtype=dtype)).values()) <= FINE
    case = normalised(op, rows, dtype=dtype)
    judged = judge(case, CARDS, NumpyImplementation().run(case))
    assert (judged.sharpness[Quantity(0, "grad", "x")] < 1e-4).all(), "dx = (g - mean(g)) / √ε is sharp"


@pytest.mark.parametrize("op", NORMALISING)
def test_without_epsilon_equal_numbers_have_no_value(op):
    case = normalised(op, across(op, np.full((2, 3), 1 / 3)), {"eps": 0.0})
    torch_says = "not implemented" if op == "batch_norm" else "undecided"
    assert verdicts(case) == {"numpy": "undecided", "torch": torch_says, "jax": "undecided"}


def test_an_epsilon_below_the_rounding_is_ill_conditioned_in_float32_and_fine_in_float64():
    rows = np.full((2, 3), 1.1)
    narrow = normalised("layer_norm", 100 * rows, {"eps": 1e-12})
    assert set(verdicts(narrow).values()) == {"ill-conditioned"}
    assert set(verdicts(replace(narrow, dtype="float64")).values()) <= FINE


@pytest.mark.parametrize("op", NORMALISING)
def test_one_number_normalises_to_zero(op):
    case = normalised(op, [[0.1]])
    found = verdicts(case)
    assert found.pop("torch") in (FINE if op == "layer_norm" else {"not implemented"})
    assert set(found.values()) <= FINE
    y, dx = (NumpyImplementation().run(case).quantities[Quantity(0, *name)] for name in (("value", "y"), ("grad", "x")))
    assert (y.item(), dx.item()) == (0, 0)


def test_torch_refuses_what_has_no_variance():
    for shape, eps in (((1, 3), 1e-5), ((2, 3), 0.0)):
        with pytest.raises(ValueError, match=r"more than 1 value|eps must be positive"):
            torch.nn.functional.batch_norm(torch.ones(shape), None, None, training=True, eps=eps)
    with pytest.raises(ValueError, match="more than 1 value"):
        torch.nn.functional.group_norm(torch.ones(1, 3), 3)


def test_of_two_numbers_almost_nothing_is_left_and_the_pass_says_so():
    case = normalised("layer_norm", [[0.3, 1.7]], {"eps": 1e-12})
    assert set(verdicts(case).values()) <= FINE
    judged = judge(case, CARDS, NumpyImplementation().run(case))
    assert judged.vacuous(Quantity(0, "grad", "x")).all()
    assert not judged.vacuous(Quantity(0, "value", "y")).any()


# What the bound has to know, or there is a false alarm


def test_welford_rounds_where_a_sum_does_not():
    case = normalised("layer_norm", [[-0.0, -0.9999995, 0.99999857]], {"eps": 1e-3})
    assert set(verdicts(case).values()) <= FINE
    without = CARDS.replacing(replace(CARDS.operation("layer_norm"), variants=()))
    assert finding_of(case, without, implementation("torch")).verdict == "mismatch"


def test_the_parts_of_a_gradient_are_added_to_those_of_other_uses():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, 5, 5)) * 10 ** rng.uniform(-5, 3, size=(1, 5, 5))
    case = normalised("layer_norm", x, {"last_axes": 2, "eps": 0.0}, extra=[Node("M", "value", ["x"])])
    assert set(verdicts(case).values()) <= FINE
    card = CARDS.operation("layer_norm")
    torch_alone = CARDS.replacing(replace(card, variants=card.variants[:1], parts={}))
    assert finding_of(case, torch_alone, implementation("jax")).verdict == "mismatch"


# Conventions


def test_torch_takes_the_epsilon_of_the_dtype_for_rms_norm():
    x = torch.tensor([[0.01, -0.02, 0.005]], dtype=torch.float32)
    rms_norm = torch.nn.functional.rms_norm
    assert torch.equal(rms_norm(x, (3,)), rms_norm(x, (3,), eps=2.0**-23))
    assert not torch.equal(rms_norm(x, (3,)), rms_norm(x, (3,), eps=1e-6))
    case = normalised("rms_norm", x.numpy(), {"eps": 2.0**-23})
    assert set(verdicts(case).values()) <= FINE


def test_a_bias_without_a_weight_fails_in_torch_and_not_here():
    bias = torch.zeros(4, requires_grad=True)
    with pytest.raises(RuntimeError, match="device"):
        torch.nn.functional.group_norm(torch.randn(2, 4, 3), 2, None, bias).sum().backward()
    network = Network(
        {"x": TensorSpec([2, 4, 3])}, {}, {"b": TensorSpec([4])},
        [Node("y", "group_norm", ["x"], {"bias": "b"}, {"groups": 2}), Node("s", "square", ["y"])],
        [Node("L", "value", ["s"])],
    )  # fmt: skip
    case = Case(network, {"x": np.random.default_rng(0).normal(size=(2, 4, 3)), "b": np.arange(4.0)})
    assert set(verdicts(case).values()) <= FINE


@pytest.mark.parametrize("unbiased", [True, False])
def test_running_statistics_are_those_of_the_module_and_have_no_gradient(unbiased):
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    network = Network(
        {"x": TensorSpec([4, 2, 3]), "m": TensorSpec([2]), "v": TensorSpec([2])}, {}, {},
        [Node("r", "batch_norm_statistics", ["x", "m", "v"], {}, {"unbiased": unbiased}), Node("q", "square", ["r"])],
        [Node("L", "value", ["q"])],
    )  # fmt: skip
    case = Case(network, {"x": x, "m": np.zeros(2), "v": np.ones(2)})
    assert set(verdicts(case).values()) <= FINE
    for name in PROGRAMS:
        trace = implementation(name).run(case)
        assert not any(trace.quantities[Quantity(0, "grad", given)].any() for given in "xmv")
    module = torch.nn.BatchNorm1d(2, dtype=torch.float64)
    module(torch.tensor(x))
    own = TorchImplementation().run(case).quantities[Quantity(0, "value", "r")]
    assert np.array_equal(own[0], module.running_mean.numpy())
    assert np.array_equal(own[1], module.running_var.numpy()) == unbiased


def test_evaluation_is_training_without_the_gradient_of_the_statistics():
    x = np.random.default_rng(0).normal(size=(4, 3))
    given = {"running_mean": x.mean(axis=0), "running_var": x.var(axis=0)}
    fixed = normalised("batch_norm_evaluation", x, dtype="float64", weight=[1.0, 2.0, 3.0], **given)
    moving = normalised("batch_norm", x, dtype="float64", weight=[1.0, 2.0, 3.0])
    assert set(verdicts(fixed).values()) | set(verdicts(moving).values()) <= FINE
    fixed_grad, moving_grad = (
        NumpyImplementation().run(case).quantities[Quantity(0, "grad", "x")] for case in (fixed, moving)
    )
    ratio = np.abs(moving_grad.sum(axis=0)) / np.abs(fixed_grad.sum(axis=0))
    assert (ratio < np.sqrt(np.finfo(np.float64).eps)).all(), "a shift of the batch changes nothing in training"
