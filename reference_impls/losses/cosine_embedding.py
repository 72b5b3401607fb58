"""Cosine embedding loss: pairs of vectors drawn together (label 1) or apart (label -1).

    forward      cos = a·b / sqrt((a·a + ε)(b·b + ε))              a, b (batch, features); ε is torch's, about 1e-12
                 L   = sum of losses / n                           n = 1 ("sum") or the number of pairs ("mean")
                       1 - cos                     label 1
                       max(cos - margin, 0)        label -1
                       0                           label 0, which belongs to neither, as in torch
    backward     da  = dL s (b / r - cos a / (a·a + ε)) / n        r is the root above; db with a and b exchanged
                 s   = -1 for label 1; 1 for label -1 where cos > margin; else 0

Kink: cos = margin at label -1. NumPy here takes 0 there, torch the slope (its `clamp_min` counts the edge as inside),
`jnp.maximum` half. Of a vector of zeros the cosine is 0, and its gradient b / r is of size 1e6.
`torch.nn.CosineEmbeddingLoss`. `torch.nn.functional.cosine_similarity` and `optax.cosine_distance` limit the norms
from below instead of adding ε: other numbers for vectors shorter than 1e-6.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant

EPSILON = 9.999999960041972e-13
"""1e-12 as a float32 holds it, which torch takes in float64 too."""


def output_shape(inputs, params, *, reduction, margin):
    """A scalar."""
    a, b, labels = inputs
    if len(a) != 2 or a != b:
        raise Misfit(f"needs a and b of one shape (batch, features), got {a} and {b}")
    if labels != a[:1]:
        raise Misfit(f"needs a label for each pair, shape {a[:1]}, got {labels}")
    return ()


def label_range(inputs, params, **hypers):
    """-1 and 1; and 0, which is neither."""
    return -1, 2


def separable(axis, *, reduction, margin):
    """Pairs stand in rows; a mean is no sum over them."""
    return axis == 0 and reduction == "sum"


def numpy_forward(p, a, b, labels, *, reduction, margin):
    """Forward: 1 - cos, or the cosine beyond the margin; which pairs are pulled is decided here, once."""
    aa, bb = np.sum(a * a, axis=-1) + EPSILON, np.sum(b * b, axis=-1) + EPSILON
    root = np.sqrt(aa * bb)
    cos = np.sum(a * b, axis=-1) / root
    apart = (labels == -1) & (cos > margin)
    losses = np.where(labels == 1, 1 - cos, np.where(labels == -1, np.maximum(cos - margin, 0), 0))
    n = a.shape[0] if reduction == "mean" else 1
    return np.sum(losses) / n, (a, b, labels == 1, apart, aa, bb, root, cos, n)


def numpy_backward(p, saved, dL, *, reduction, margin):
    """Backward: da = dL s (b / r - cos a / (a·a + ε)) / n, and db with a and b exchanged."""
    a, b, together, apart, aa, bb, root, cos, n = saved
    dcos = np.where(together, np.zeros_like(cos) - dL / n, np.where(apart, np.zeros_like(cos) + dL / n, 0))
    dcos, root, cos = dcos[..., None], root[..., None], cos[..., None]
    da = dcos * (b / root - cos * a / aa[..., None])
    db = dcos * (a / root - cos * b / bb[..., None])
    return (da, db, None), {}


def backward_by_factor(p, saved, dL, *, reduction, margin):
    """Backward: what comes from a·b, and from either factor of a·a, left for the caller to add up: they cancel."""
    a, b, together, apart, aa, bb, root, cos, n = saved
    dcos = np.where(together, np.zeros_like(cos) - dL / n, np.where(apart, np.zeros_like(cos) + dL / n, 0))[..., None]
    half_a = -dcos * cos[..., None] * a / aa[..., None] / 2
    half_b = -dcos * cos[..., None] * b / bb[..., None] / 2
    return ((dcos * b / root[..., None], half_a, half_a), (dcos * a / root[..., None], half_b, half_b), None), {}


def torch_forward(torch, p, a, b, labels, *, reduction, margin):
    """The functional form of `torch.nn.CosineEmbeddingLoss`."""
    return torch.nn.functional.cosine_embedding_loss(a, b, labels, margin=margin, reduction=reduction)


def jax_forward(jax, p, a, b, labels, *, reduction, margin):
    """As on paper: `optax.cosine_distance` treats short vectors otherwise."""
    jnp = jax.numpy
    aa, bb = (a * a).sum(-1) + EPSILON, (b * b).sum(-1) + EPSILON
    cos = (a * b).sum(-1) / jnp.sqrt(aa * bb)
    losses = jnp.where(labels == 1, 1 - cos, jnp.where(labels == -1, jnp.maximum(cos - margin, 0), 0))
    return losses.mean() if reduction == "mean" else losses.sum()


cosine_embedding = Operation(
    name="cosine_embedding",
    kind="loss",
    summary="L = sum of (1 - cos(a, b), or max(cos(a, b) - margin, 0)) / n",
    inputs=("a", "b", "label"),
    integers={"label": label_range},
    hypers={
        "reduction": HyperSpec(default="sum", choices=("sum", "mean"), meaning="what n is"),
        "margin": HyperSpec(default=0.0, low=-1.0, high=1.0, typical=(-0.5, 0.25), meaning="the cosine put up with"),
    },
    kinks=("cos(a, b) = margin, where the label is -1",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch and jax", numpy_backward=backward_by_factor),),
    separable=separable,
    mistakes=(
        Mistake(
            "norms_taken_for_constants", "da = dcos * (b / root - cos * a / aa[..., None])", "da = dcos * (b / root)",
            "the norms not differentiated: vectors grow instead of turning",
        ),
        Mistake(
            "one_norm", "db = dcos * (a / root - cos * b / bb[..., None])",
            "db = dcos * (a / root - cos * b / aa[..., None])", "db divided by the other vector's square",
        ),
        Mistake(
            "margin_in_loss_only", "apart = (labels == -1) & (cos > margin)", "apart = (labels == -1) & (cos > 0)",
            "pushed or not by another margin than the loss has",
        ),
    ),
)
