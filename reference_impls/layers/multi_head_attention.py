"""Multi-head self-attention.

    shapes     x (batch, T, D), y (batch, T, O); W_q, W_k (D, A), W_v (D, E), W_o (E, O); `heads` divides A and E
               biases b_q, b_k (A,), b_v (E,), b_o (O,), each optional
    forward    q = x W_q + b_q,  k = x W_k + b_k,  v = x W_v + b_v,  cut into heads along the features
               a = attention(q, k, v), head by head, put side by side again;  y = a W_o + b_o
    backward   da = dy W_oᵀ,  dW_o = aᵀ dy,  db_o = sum of dy;  dq, dk, dv as in `attention`
               dW_q = xᵀ dq,  db_q = sum of dq, and so for k and v;  dx = dq W_qᵀ + dk W_kᵀ + dv W_vᵀ

Samples are rows, as in `dense`: `torch.nn.MultiheadAttention` stores W_qᵀ, W_kᵀ, W_vᵀ on top of each other and W_oᵀ;
Flax has (D, heads, A / heads). `causal` as in `attention`. db_k is 0 in exact arithmetic: b_k adds the same to all
scores of a query, which the softmax ignores, so that all of a computed db_k is rounding. No kinks.
Vaswani et al., Attention Is All You Need (2017), section 3.2.2.
"""

from functools import partial

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.layers._attention import CAUSAL, attend_back_apart, attend_back_from_output, attend_divided_last
from reference_impls.layers.attention import attend, attend_back, seen

WEIGHTS = ("W_q", "W_k", "W_v", "W_o")
BIASES = ("b_q", "b_k", "b_v", "b_o")


def output_shape(inputs, params, *, heads, causal):
    """(batch, T, O)."""
    x = inputs[0]
    if len(x) != 3 or not x[1] or any(len(params[role]) != 2 for role in WEIGHTS):
        raise Misfit(f"needs x (batch, T, D), at least one step, and weights of two axes, got {x} and {dict(params)}")
    A, E, out = params["W_q"][1], params["W_v"][1], params["W_o"][1]
    if not A or A % heads or E % heads:
        raise Misfit(f"needs W_q and W_v with a multiple of {heads} columns, W_q with one at least, "
                     f"got {params['W_q']} and {params['W_v']}")  # fmt: skip
    needed = {"W_q": (x[2], A), "W_k": (x[2], A), "W_v": (x[2], E), "W_o": (E, out)}
    needed |= {role: size for role, size in zip(BIASES, ((A,), (A,), (E,), (out,)), strict=True) if role in params}
    for role, shape in needed.items():
        if params[role] != shape:
            raise Misfit(f"needs {role} of shape {shape}, got {params[role]}, because x is {x}, W_q and W_v "
                         f"are {params['W_q']} and {params['W_v']}")  # fmt: skip
    return (*x[:2], out)


def param_shapes(inputs, size, *, heads, causal):
    """So many features in each head, and as many in the end as in x."""
    if len(inputs[0]) != 3:
        raise Misfit(f"needs x of three axes (batch, T, D), got {inputs[0]}")
    D, A = inputs[0][2], heads * size
    weights = {"W_q": (D, A), "W_k": (D, A), "W_v": (D, A), "W_o": (A, D)}
    return weights | {bias: weights[weight][1:] for weight, bias in zip(WEIGHTS, BIASES, strict=True)}


def affine(p, rows, weight, bias):
    """Rows W + b, as one product, so that its bound holds wherever a compiler adds the bias."""
    if bias not in p:
        return rows @ p[weight]
    ones = np.ones_like(rows[:, :1])
    return np.concatenate([rows, ones], axis=1) @ np.concatenate([p[weight], p[bias].reshape(1, -1)], axis=0)


def apart(rows, batch, heads):
    """From (batch T, features) to (batch, heads, T, features / heads)."""
    return rows.reshape(batch, -1, heads, rows.shape[1] // heads).transpose(0, 2, 1, 3)


def together(parts):
    """And back."""
    batch, heads, T, features = parts.shape
    return parts.transpose(0, 2, 1, 3).reshape(batch * T, heads * features)


def numpy_forward(p, x, *, heads, causal, forward=attend):
    """Forward: the table above."""
    batch, T, D = x.shape
    rows = x.reshape(batch * T, D)
    q, k, v = (apart(affine(p, rows, f"W_{one}", f"b_{one}"), batch, heads) for one in "qkv")
    a, saved = forward(q, k, v, seen(q, k, causal))
    a = together(a)
    return affine(p, a, "W_o", "b_o").reshape(batch, T, p["W_o"].shape[1]), (rows, a, saved)


def numpy_backward(p, saved, dy, *, heads, causal, back=attend_back):
    """Backward: the table above."""
    rows, a, kept = saved
    batch, T, out = dy.shape
    dy = dy.reshape(batch * T, out)
    slopes = back(kept, apart(dy @ p["W_o"].T, batch, heads))
    dq, dk, dv = (together(slope) for slope in slopes)
    dx = np.sum(np.stack([dq @ p["W_q"].T, dk @ p["W_k"].T, dv @ p["W_v"].T]), axis=0)
    grads = {"W_q": rows.T @ dq, "W_k": rows.T @ dk, "W_v": rows.T @ dv, "W_o": a.T @ dy}
    sums = {bias: np.sum(part, axis=0) for bias, part in zip(BIASES, (dq, dk, dv, dy), strict=True) if bias in p}
    return (dx.reshape(batch, T, rows.shape[1]),), grads | sums


def torch_forward(torch, p, x, *, heads, causal):
    """As `torch.nn.MultiheadAttention` computes it when nobody asks for the weights."""
    batch, T, _ = x.shape
    made = (x @ p[f"W_{one}"] + p.get(f"b_{one}", 0) for one in "qkv")
    q, k, v = (one.reshape(batch, T, heads, -1).transpose(1, 2) for one in made)
    a = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return a.transpose(1, 2).reshape(batch, T, -1) @ p["W_o"] + p.get("b_o", 0)


def jax_forward(jax, p, x, *, heads, causal):
    """As on paper, heads in the third axis, as in Flax."""
    jnp = jax.numpy
    batch, T, _ = x.shape
    made = (x @ p[f"W_{one}"] + p.get(f"b_{one}", 0) for one in "qkv")
    q, k, v = (one.reshape(batch, T, heads, -1) for one in made)
    s = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(q.shape[-1])
    if causal:
        s = jnp.where(jnp.tril(jnp.ones((T, T), bool)), s, -jnp.inf)
    a = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(s, axis=-1), v)
    return a.reshape(batch, T, -1) @ p["W_o"] + p.get("b_o", 0)


multi_head_attention = Operation(
    name="multi_head_attention",
    kind="layer",
    summary="y = attention(x W_q, x W_k, x W_v) W_o, in several heads",
    inputs=("x",),
    params=WEIGHTS,
    optional_params=BIASES,
    summed_params=("b_o",),
    hypers={
        "heads": HyperSpec(low=1, typical=(2, 1), meaning="into how many parts features are cut"),
        "causal": CAUSAL,
    },
    parts={"x": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(
            who="torch",
            numpy_forward=partial(numpy_forward, forward=attend_divided_last),
            numpy_backward=partial(numpy_backward, back=attend_back_from_output),
        ),
        Variant(who="jax", numpy_backward=partial(numpy_backward, back=attend_back_apart)),
    ),
    axes=(3,),
    param_shapes=param_shapes,
    separable=lambda axis, **hypers: axis == 0,
    mistakes=(
        Mistake(
            "heads_interleaved", "rows.reshape(batch, -1, heads, rows.shape[1] // heads).transpose(0, 2, 1, 3)",
            "rows.reshape(batch, -1, rows.shape[1] // heads, heads).transpose(0, 3, 1, 2)",
            "features dealt out to the heads one by one, where each head has a block of them",
        ),
        Mistake(
            "heads_not_put_back", "parts.transpose(0, 2, 1, 3).reshape(batch * T", "parts.reshape(batch * T",
            "reshaped without the transpose: heads and steps are mixed up",
        ),
        Mistake(
            "one_path_to_x", 'np.stack([dq @ p["W_q"].T, dk @ p["W_k"].T, dv @ p["W_v"].T])',
            'np.stack([dv @ p["W_v"].T])', "dx through the values alone: x made the queries and keys as well",
        ),
        Mistake(
            "keys_and_queries_exchanged", '"W_q": rows.T @ dq, "W_k": rows.T @ dk',
            '"W_q": rows.T @ dk, "W_k": rows.T @ dq',
            "dW_q and dW_k exchanged: with equal shapes nothing complains",
        ),
        Mistake(
            "heads_averaged", "slopes = back(kept, apart(dy @ p[\"W_o\"].T, batch, heads))",
            "slopes = back(kept, apart(dy @ p[\"W_o\"].T / heads, batch, heads))",
            "the gradient averaged over the heads, which are side by side and not averaged",
        ),
    ),
)
