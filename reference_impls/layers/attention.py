"""Scaled dot-product attention.

    shapes     q (.., T, d), k (.., S, d), v (.., S, e), y (.., T, e); .. is (batch, heads), torch's order, or (batch,)
    forward    s = q kᵀ / √d,  w = softmax of s over the keys,  y = w v
    backward   dv = wᵀ dy,  dw = dy vᵀ
               ds = w (dw - sum over the keys of w dw)
               dq = ds k / √d,  dk = dsᵀ q / √d

With `causal`, query t sees the keys 0 .. t, counted from the first key; w is 0 elsewhere. torch and `jax.nn` count so;
FlashAttention 2 counts from the last key, which is something else when T and S differ. No kinks: the softmax is
shifted by its largest score, and depends on no shift.

`jax.nn.dot_product_attention` has (batch, T, heads, d), and computes the softmax in float32 whatever the dtype: in
float64 it is right to 7 digits. So the jax line is written out here, as it is in Flax.
Vaswani et al., Attention Is All You Need (2017), section 3.2.1; Dao et al., FlashAttention (2022), for the variants.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant
from reference_impls.layers._attention import (
    CAUSAL,
    attend_back_apart,
    attend_back_from_output,
    attend_divided_last,
    exponentials,
    keys_and_values,
    only_seen,
    root,
    scores_shape,
)


def output_shape(inputs, params, *, causal):
    """(.., T, e)."""
    q, k, v = inputs
    return (*scores_shape(q, k, v)[:-1], v[-1])


def seen(q, k, causal):
    """Which query sees which key, (T, S)."""
    T, S = q.shape[-2], k.shape[-2]
    every = np.ones((T, S), bool)
    return np.tril(every) if causal else every


def attend(q, k, v, mask, unseeing="zero"):
    """Forward: the value, and what `attend_back` needs; `unseeing` says what w of a query that sees no key is."""
    s = (q / root(q)) @ np.swapaxes(k, -1, -2)
    e, total, _, _ = exponentials(s, mask)
    w = e / total
    if unseeing == "mean":
        w = np.where(mask.any(axis=-1, keepdims=True), w, np.ones_like(w[..., :1]) / w.shape[-1])
    return w @ v, (q, k, v, w, mask)


def attend_back(saved, dy):
    """Backward: dq, dk, dv."""
    q, k, v, w, mask = saved
    dv = np.swapaxes(w, -1, -2) @ dy
    dw = dy @ np.swapaxes(v, -1, -2)
    ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True))
    ds = only_seen(ds, mask) / root(q)
    return ds @ k, np.swapaxes(ds, -1, -2) @ q, dv


def numpy_forward(p, q, k, v, *, causal):
    """Forward: the table above."""
    return attend(q, k, v, seen(q, k, causal))


def numpy_backward(p, saved, dy, *, causal):
    """Backward: the table above."""
    return attend_back(saved, dy), {}


def torch_forward(torch, p, q, k, v, *, causal):
    """One call; on a CPU, FlashAttention where v has as many features as q, and the formula where not."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def jax_forward(jax, p, q, k, v, *, causal):
    """As on paper."""
    jnp = jax.numpy
    s = jnp.einsum("...td,...sd->...ts", q, k) / jnp.sqrt(q.shape[-1])
    if causal:
        s = jnp.where(jnp.tril(jnp.ones(s.shape[-2:], bool)), s, -jnp.inf)
    return jnp.einsum("...ts,...se->...te", jax.nn.softmax(s, axis=-1), v)


attention = Operation(
    name="attention",
    kind="layer",
    summary="y = softmax(q kᵀ / √d) v",
    inputs=("q", "k", "v"),
    hypers={"causal": CAUSAL},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(
            who="torch",
            numpy_forward=lambda p, q, k, v, causal: attend_divided_last(q, k, v, seen(q, k, causal)),
            numpy_backward=lambda p, saved, dy, causal: (attend_back_from_output(saved, dy), {}),
        ),
        Variant(who="jax", numpy_backward=lambda p, saved, dy, causal: (attend_back_apart(saved, dy), {})),
    ),
    axes=(4, 3),
    other_inputs=keys_and_values,
    separable=lambda axis, causal: axis == 0,
    mistakes=(
        Mistake(
            "softmax_diagonal_only", "ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True))", "ds = w * (1 - w) * dw",
            "the softmax differentiated as if it were a sigmoid of each score: the other keys' scores are left out",
        ),
        Mistake(
            "scaled_by_d", "s = (q / root(q)) @", "s = (q / q.shape[-1]) @",
            "the scores divided by d instead of √d",
        ),
        Mistake(
            "scale_forgotten_on_the_way_back", "only_seen(ds, mask) / root(q)", "only_seen(ds, mask)",
            "dq and dk without the factor 1 / √d",
        ),
        Mistake(
            "sum_over_queries", "(dw - np.sum(w * dw, axis=-1, keepdims=True))",
            "(dw - np.sum(w * dw, axis=-2, keepdims=True))", "the softmax's sum taken over the wrong axis",
        ),
        Mistake(
            "mask_counted_from_the_last_key", "np.tril(every) if causal", "np.tril(every, S - T) if causal",
            "the causal mask aligned with the last key, as FlashAttention 2 has it, where the first is meant",
        ),
        Mistake(
            "own_place_not_seen", "np.tril(every) if causal", "(np.tril(every, -1) | (np.arange(S) == 0)) if causal",
            "the causal mask leaves the query's own place out",
        ),
    ),
)
