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

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from harness.stop_gradient import largest

CAUSAL = HyperSpec(default=False, choices=(False, True), meaning="whether a query sees no key after its own place")


def scores_shape(q, k, v):
    """(.., T, S); raises `Misfit`."""
    if not 3 <= len(q) <= 4 or len(k) != len(q) or len(v) != len(q):
        raise Misfit(f"needs q, k and v of 3 axes, or all of 4, got {q}, {k} and {v}")
    if k[:-2] != q[:-2] or v[:-2] != q[:-2]:
        raise Misfit(f"needs q, k and v with the same axes in front, got {q}, {k} and {v}")
    if k[-1] != q[-1]:
        raise Misfit(f"needs q and k with as many features, got {q} and {k}: their products are the scores")
    if k[-2] != v[-2] or 0 in (k[-2], q[-1]):
        raise Misfit(f"needs a value for every key, and at least one of them, got k {k} and v {v}")
    return (*q[:-1], k[-2])


def output_shape(inputs, params, *, causal):
    """(.., T, e)."""
    q, k, v = inputs
    return (*scores_shape(q, k, v)[:-1], v[-1])


def other_inputs(q):
    """As many keys as queries, and one more; values of as many features, and of one more."""
    if len(q) < 2:
        return []
    keys = [(*q[:-2], count, q[-1]) for count in (q[-2], q[-2] + 1)]
    return [(k, (*k[:-1], features)) for k in keys for features in (q[-1], q[-1] + 1)]


def separable(axis, *, causal):
    """Samples lie along the first axis."""
    return axis == 0


def seen(T, S, causal):
    """Which query sees which key, (T, S)."""
    every = np.ones((T, S), bool)
    return np.tril(every) if causal else every


def root(q):
    """√d, as a number of q's kind."""
    return np.sqrt(np.full_like(q[..., :1, :1], q.shape[-1]))


def exponentials(q, k, mask):
    """exp(s - the largest s seen), 0 where not seen; and s, where what is not seen has the score of a key that is."""
    s = (q / root(q)) @ np.swapaxes(k, -1, -2)
    if not mask.all():
        first = np.argmax(np.broadcast_to(mask, s.shape), axis=-1)[..., None]
        s = np.where(mask, s, np.take_along_axis(s, first, axis=-1))
    shift = largest(s, axis=-1)
    e = np.exp(s - shift)
    return (e if mask.all() else np.where(mask, e, 0)), s, shift


def attend(q, k, v, mask, unseeing="zero"):
    """Forward: the value, and what `attend_back` needs; `unseeing` says what w of a query that sees no key is."""
    e = exponentials(q, k, mask)[0]
    blind = ~mask.any(axis=-1, keepdims=True)
    w = e / np.where(blind, 1, np.sum(e, axis=-1, keepdims=True))
    if unseeing == "mean":
        w = np.where(blind, np.ones_like(w[..., :1]) / w.shape[-1], w)
    return w @ v, (q, k, v, w, mask)


def attend_back(saved, dy):
    """Backward: dq, dk, dv."""
    q, k, v, w, mask = saved
    dw = dy @ np.swapaxes(v, -1, -2)
    ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True))
    return through_scores(q, k, ds, mask) + (np.swapaxes(w, -1, -2) @ dy,)


def through_scores(q, k, ds, mask):
    """From ds: dq and dk."""
    ds = (ds if mask.all() else np.where(mask, ds, 0)) / root(q)
    return ds @ k, np.swapaxes(ds, -1, -2) @ q


def attend_back_apart(saved, dy):
    """Backward: ds = w dw - w (sum of w dw), as jax transposes its own rule."""
    q, k, v, w, mask = saved
    part = w * (dy @ np.swapaxes(v, -1, -2))
    ds = part - w * np.sum(part, axis=-1, keepdims=True)
    return through_scores(q, k, ds, mask) + (np.swapaxes(w, -1, -2) @ dy,)


def attend_divided_last(q, k, v, mask):
    """Forward: first the product of the exponentials with the values, as FlashAttention has it."""
    e = exponentials(q, k, mask)[0]
    blind = ~mask.any(axis=-1, keepdims=True)
    return (e @ v) * (1 / np.where(blind, 1, np.sum(e, axis=-1, keepdims=True))), None


def attend_back_from_output(saved, dy):
    """Backward: w again, from the logarithm of the sum of exponentials, and the sum of w dw as dy y: FlashAttention."""
    q, k, v, w, mask = saved
    e, s, shift = exponentials(q, k, mask)
    blind = ~mask.any(axis=-1, keepdims=True)
    again = np.exp(s - (shift + np.log(np.where(blind, 1, np.sum(e, axis=-1, keepdims=True)))))
    again = again if mask.all() else np.where(mask, again, 0)
    ds = again * (dy @ np.swapaxes(v, -1, -2) - np.sum(dy * (w @ v), axis=-1, keepdims=True))
    return through_scores(q, k, ds, mask) + (np.swapaxes(again, -1, -2) @ dy,)


def numpy_forward(p, q, k, v, *, causal):
    """Forward: the table above."""
    return attend(q, k, v, seen(q.shape[-2], k.shape[-2], causal))


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
            who="torch", numpy_forward=lambda p, q, k, v, *, causal:
            attend_divided_last(q, k, v, seen(q.shape[-2], k.shape[-2], causal)),
        ),
        Variant(who="torch", numpy_backward=lambda p, saved, dy, *, causal: (attend_back_from_output(saved, dy), {})),
        Variant(who="jax", numpy_backward=lambda p, saved, dy, *, causal: (attend_back_apart(saved, dy), {})),
    ),
    axes=(4, 3),
    other_inputs=other_inputs,
    separable=separable,
    mistakes=(
        Mistake(
            "softmax_diagonal_only", "ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True))", "ds = w * (1 - w) * dw",
            "the softmax differentiated as if it were a sigmoid of each score: the other keys' scores are left out",
        ),
        Mistake(
            "scaled_by_d", "np.sqrt(np.full_like(q[..., :1, :1], q.shape[-1]))", "np.full_like(q[..., :1, :1], q.shape[-1])",
            "the scores divided by d instead of √d",
        ),
        Mistake(
            "scale_forgotten_on_the_way_back", "(ds if mask.all() else np.where(mask, ds, 0)) / root(q)",
            "(ds if mask.all() else np.where(mask, ds, 0))", "dq and dk without the factor 1 / √d",
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
