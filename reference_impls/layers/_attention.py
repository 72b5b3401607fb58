"""What the attention cards share: shapes, masks, and the formulas by which the frameworks compute attention."""

import numpy as np

from harness.spec import HyperSpec, Misfit
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


def keys_and_values(q):
    """As many keys as queries, and one more; values of as many features, and of one more."""
    if len(q) < 2:
        return []
    keys = [(*q[:-2], count, q[-1]) for count in (q[-2], q[-2] + 1)]
    return [(k, (*k[:-1], features)) for k in keys for features in (q[-1], q[-1] + 1)]


def root(q):
    """√d, as a number of q's kind."""
    return np.sqrt(np.full_like(q[..., :1, :1], q.shape[-1]))


def exponentials(s, mask):
    """e = exp(s - the largest s that is seen), 0 where not; its sums, 1 where nothing is seen; s; and that shift.

    What is not seen gets the score of a key that is: so nothing overflows, and there is no minus infinity.
    """
    if not mask.all():
        first = np.argmax(np.broadcast_to(mask, s.shape), axis=-1)[..., None]
        s = np.where(mask, s, np.take_along_axis(s, first, axis=-1))
    shift = largest(s, axis=-1)
    e = only_seen(np.exp(s - shift), mask)
    total = np.sum(e, axis=-1, keepdims=True)
    blind = ~mask.any(axis=-1, keepdims=True)
    return e, np.where(blind, 1, total) if blind.any() else total, s, shift


def only_seen(x, mask):
    """x, and 0 where a key is not seen."""
    return x if mask.all() else np.where(mask, x, 0)


def attend_divided_last(q, k, v, mask):
    """Forward: first the product of the exponentials with the values, as FlashAttention has it."""
    e, total, _, _ = exponentials((q / root(q)) @ np.swapaxes(k, -1, -2), mask)
    return (e @ v) * (1 / total), None


def attend_back_from_output(saved, dy):
    """Backward: w again, from the logarithm of the sum of exponentials, and the sum of w dw as dy y: FlashAttention."""
    q, k, v, w, mask = saved
    _, total, s, shift = exponentials((q / root(q)) @ np.swapaxes(k, -1, -2), mask)
    again = only_seen(np.exp(s - (shift + np.log(total))), mask)
    ds = again * (dy @ np.swapaxes(v, -1, -2) - np.sum(dy * (w @ v), axis=-1, keepdims=True))
    return (*_through_scores(q, k, ds, mask), np.swapaxes(again, -1, -2) @ dy)


def attend_back_apart(saved, dy):
    """Backward: ds = w dw - w (sum of w dw), as jax transposes its own rule."""
    q, k, v, w, mask = saved
    part = w * (dy @ np.swapaxes(v, -1, -2))
    ds = part - w * np.sum(part, axis=-1, keepdims=True)
    return (*_through_scores(q, k, ds, mask), np.swapaxes(w, -1, -2) @ dy)


def _through_scores(q, k, ds, mask):
    ds = only_seen(ds, mask) / root(q)
    return ds @ k, np.swapaxes(ds, -1, -2) @ q
