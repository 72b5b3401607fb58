"""Attention cards: masks, queries that see nothing, and the frameworks' own modules and functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import finding_of
from harness.judge.oracle import exact_step
from reference_impls.jax_impl import JaxImplementation
from reference_impls.torch_impl import TorchImplementation

CARDS = installed_cards()
BATCH, HEADS, T, S, D, E = 2, 2, 3, 4, 3, 3
PASSES = {"exact", "rounding"}
PROGRAMS = ("numpy", "torch", "jax")


def attended(op, hypers, mask=None, dtype="float64", values=E):
    """One attention, its value multiplied by an upstream gradient."""
    rng = np.random.default_rng(0)
    shapes = {"q": (BATCH, HEADS, T, D), "k": (BATCH, HEADS, S, D), "v": (BATCH, HEADS, S, values)}
    upstream = rng.normal(size=(BATCH, HEADS, T, values))
    constants = {"u": TensorSpec(list(upstream.shape))}
    given = {name: rng.normal(size=shape) for name, shape in shapes.items()} | {"u": upstream}
    inputs = list(shapes)
    if mask is not None:
        constants["mask"] = TensorSpec(list(mask.shape), "int64")
        given["mask"] = mask
        inputs.append("mask")
    network = Network(
        {name: TensorSpec(list(shape)) for name, shape in shapes.items()},
        constants,
        {},
        [Node("y", op, inputs, {}, hypers), Node("s", "multiply", ["y", "u"])],
        [Node("L", "value", ["s"])],
    )
    return Case(network, given, dtype)


def exact(case):
    return exact_step(case.network, CARDS, case.values)


CAUSAL = np.tril(np.ones((T, S), np.int64))
ONE_BLIND = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])


def unlike(one, other):
    """The names at which two results, known to within their radii, cannot be the same."""
    pairs = [(name, one.grads[name], other.grads[name]) for name in "qkv"]
    pairs.append(("y", one.values["y"], other.values["y"]))
    return [name for name, a, b in pairs if (np.abs((a - b).mid()) > a.radius() + b.radius()).any()]


def test_causal_is_a_triangular_mask():
    causal = exact(attended("attention", {"causal": True}))
    assert unlike(causal, exact(attended("masked_attention", {}, CAUSAL))) == []
    assert unlike(causal, exact(attended("masked_attention", {}, np.tril(CAUSAL, -1) + (np.arange(S) == 0)))) != []


def test_a_full_mask_is_none():
    everything = np.ones((BATCH, 1, T, S), np.int64)
    assert unlike(exact(attended("attention", {})), exact(attended("masked_attention", {}, everything))) == []


def test_what_a_query_gives_that_sees_nothing():
    zero = attended("masked_attention", {"unseeing": "zero"}, ONE_BLIND)
    mean = attended("masked_attention", {"unseeing": "mean"}, ONE_BLIND)
    assert np.array_equal(exact(zero).values["y"].mid()[:, :, 1], np.zeros((BATCH, HEADS, E)))
    leaked = exact(mean).values["y"][:, :, 1] - exact(mean).values["v"].mean(axis=2)
    assert (np.abs(leaked.mid()) <= leaked.radius()).all()
    # A score that nobody sees has no gradient, whatever is put in its place.
    assert not exact(mean).grads["q"].mid()[:, :, 1].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("values", [E, E + 1])
@pytest.mark.parametrize("unseeing", ["zero", "mean"])
def test_all_three_agree_on_a_query_that_sees_nothing(unseeing, values, dtype):
    case = attended("masked_attention", {"unseeing": unseeing}, ONE_BLIND, dtype, values)
    for name in PROGRAMS:
        assert finding_of(case, CARDS, implementation(name)).verdict in PASSES, name


def with_jax_line(op, line):
    return JaxImplementation(cards=CARDS.replacing(replace(CARDS.operation(op), jax_forward=line)))


def with_minus_infinity(jax, p, q, k, v, mask, *, unseeing):
    """The usual line: minus infinity, and a plain softmax."""
    s = jax.numpy.einsum("...td,...sd->...ts", q, k) / jax.numpy.sqrt(q.shape[-1])
    return jax.nn.softmax(jax.numpy.where(mask != 0, s, -jax.numpy.inf), axis=-1) @ v


def test_minus_infinity_and_a_plain_softmax_give_nan_to_a_query_that_sees_nothing():
    usual = with_jax_line("masked_attention", with_minus_infinity)
    assert finding_of(attended("masked_attention", {}, CAUSAL), CARDS, usual).verdict in PASSES
    assert finding_of(attended("masked_attention", {}, ONE_BLIND), CARDS, usual).verdict == "non-finite"


def of_jax_nn(jax, p, q, k, v, mask, *, unseeing):
    """The function of `jax.nn`, which has heads in the third axis."""
    q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
    seen = jax.numpy.broadcast_to(mask != 0, (BATCH, HEADS, T, S))
    return jax.nn.dot_product_attention(q, k, v, mask=seen).swapaxes(1, 2)


def test_the_attention_of_jax_nn_is_computed_in_float32_and_gives_the_mean_where_nothing_is_seen():
    function = with_jax_line("masked_attention", of_jax_nn)
    mean = attended("masked_attention", {"unseeing": "mean"}, ONE_BLIND, "float32")
    assert finding_of(mean, CARDS, function).verdict in PASSES
    zero = attended("masked_attention", {"unseeing": "zero"}, ONE_BLIND, "float32")
    assert finding_of(zero, CARDS, function).verdict == "mismatch"
    wide = attended("masked_attention", {"unseeing": "mean"}, ONE_BLIND, "float64")
    assert finding_of(wide, CARDS, function).verdict == "mismatch"


# Several heads


def in_heads(dtype, heads=2, causal=True):
    rng = np.random.default_rng(0)
    shapes = {**{f"W_{one}": (4, 4) for one in "qkvo"}, **{f"b_{one}": (4,) for one in "qkvo"}}
    params = {name: rng.uniform(-0.5, 0.5, shape) for name, shape in shapes.items()}
    x, u = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    hypers = {"heads": heads, "causal": causal}
    network = Network(
        {"x": TensorSpec([2, 3, 4])},
        {"u": TensorSpec([2, 3, 4])},
        {name: TensorSpec(list(shape)) for name, shape in shapes.items()},
        [
            Node("y", "multi_head_attention", ["x"], {name: name for name in shapes}, hypers),
            Node("s", "multiply", ["y", "u"]),
        ],
        [Node("L", "value", ["s"])],
    )
    return Case(network, {"x": x, "u": u, **params}, dtype)


def as_module(torch, p, x, *, heads, causal):
    """With `torch.nn.MultiheadAttention`, whose weights are on top of each other and transposed."""
    module = torch.nn.MultiheadAttention(x.shape[2], heads, batch_first=True, dtype=x.dtype)
    given = {
        "in_proj_weight": torch.cat([p[f"W_{one}"].T for one in "qkv"]),
        "in_proj_bias": torch.cat([p[f"b_{one}"] for one in "qkv"]),
        "out_proj.weight": p["W_o"].T,
        "out_proj.bias": p["b_o"],
    }
    hidden = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype) if causal else None
    call = {"need_weights": False, "attn_mask": hidden, "is_causal": causal}
    return torch.func.functional_call(module, given, (x, x, x), call)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("causal", [False, True])
def test_the_module_of_torch_is_the_card(causal, dtype):
    card = replace(CARDS.operation("multi_head_attention"), torch_forward=as_module)
    module = TorchImplementation(cards=CARDS.replacing(card))
    assert finding_of(in_heads(dtype, causal=causal), CARDS, module).verdict in PASSES


def test_the_module_of_torch_with_another_number_of_heads_is_not():
    def one_head(torch, p, x, *, heads, causal):
        return as_module(torch, p, x, heads=1, causal=causal)

    card = replace(CARDS.operation("multi_head_attention"), torch_forward=one_head)
    module = TorchImplementation(cards=CARDS.replacing(card))
    assert finding_of(in_heads("float64"), CARDS, module).verdict == "mismatch"


def test_the_bias_of_the_keys_has_no_gradient():
    balls = exact(in_heads("float64"))
    assert not balls.grads["b_k"].float().any()
    assert balls.grads["b_q"].float().all()
