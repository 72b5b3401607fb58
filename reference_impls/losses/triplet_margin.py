"""Triplet margin loss: an anchor nearer to the positive than to the negative, by a margin.

    forward      u  = a - p + ε,  v = a - n + ε                    a, p, n (batch, features)
                 m  = |u| - |v| + margin                           Euclidean norms
                 L  = sum of max(m, 0) / n                         n = 1 ("sum") or the number of triplets ("mean")
    backward     dp = -dL u / |u| / n,  dn = dL v / |v| / n,  da = -(dp + dn); all 0 unless m > 0

Kink: m = 0. NumPy here takes 0 there, torch the slope (its `clamp_min` counts the edge as inside), `jnp.maximum` half.
ε is added to each difference, as in torch, so that equal vectors have a derivative; `optax.triplet_margin_loss` adds it
under the root instead: other numbers.
Schroff, Kalenichenko, Philbin, FaceNet, CVPR 2015, equation 1, has squared distances. `torch.nn.TripletMarginLoss`.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant, same_shape


def output_shape(inputs, params, **hypers):
    """A scalar."""
    shape = same_shape(inputs)
    if len(shape) != 2:
        raise Misfit(f"needs vectors in rows, shape (batch, features), got {shape}")
    return ()


def separable(axis, *, reduction, **hypers):
    """Triplets stand in rows; a mean is no sum over them."""
    return axis == 0 and reduction == "sum"


def numpy_forward(p, anchor, positive, negative, *, reduction, margin, eps):
    """Forward: L = sum of max(|u| - |v| + margin, 0) / n; which triplets lack margin is decided here, once."""
    u, v = anchor - positive + eps, anchor - negative + eps
    near, far = (np.sqrt(np.sum(x * x, axis=-1, keepdims=True)) for x in (u, v))
    m = near - far + margin
    short = m > 0
    n = u.shape[0] if reduction == "mean" else 1
    return np.sum(np.maximum(m, 0)) / n, (u, v, near, far, short, n)


def numpy_backward(p, saved, dL, *, reduction, margin, eps):
    """Backward: along the unit vectors u / |u| and v / |v|, where the margin is short."""
    u, v, near, far, short, n = saved
    to_positive = np.where(short, dL * (u / near) / n, 0)
    to_negative = np.where(short, dL * (v / far) / n, 0)
    return (to_positive - to_negative, -to_positive, to_negative), {}


def backward_by_side(p, saved, dL, *, reduction, margin, eps):
    """Backward: the anchor's two parts, which may cancel, left for the caller to add up."""
    (_, dp, dn), _ = numpy_backward(p, saved, dL, reduction=reduction, margin=margin, eps=eps)
    return ((-dp, -dn), dp, dn), {}


def torch_forward(torch, p, anchor, positive, negative, *, reduction, margin, eps):
    """The functional form of `torch.nn.TripletMarginLoss`."""
    triplet_margin_loss = torch.nn.functional.triplet_margin_loss
    return triplet_margin_loss(anchor, positive, negative, margin=margin, eps=eps, reduction=reduction)


def jax_forward(jax, p, anchor, positive, negative, *, reduction, margin, eps):
    """As on paper: `optax.triplet_margin_loss` has ε elsewhere."""
    jnp = jax.numpy
    near = jnp.linalg.norm(anchor - positive + eps, axis=-1)
    far = jnp.linalg.norm(anchor - negative + eps, axis=-1)
    losses = jnp.maximum(near - far + margin, 0)
    return losses.mean() if reduction == "mean" else losses.sum()


triplet_margin = Operation(
    name="triplet_margin",
    kind="loss",
    summary="L = sum of max(|a - p| - |a - n| + margin, 0) / n",
    inputs=("anchor", "positive", "negative"),
    hypers={
        "reduction": HyperSpec(default="sum", choices=("sum", "mean"), meaning="what n is"),
        "margin": HyperSpec(default=1.0, typical=(0.25,), meaning="how much farther the negative has to be"),
        "eps": HyperSpec(default=1e-6, low=1e-12, typical=(0.125,), meaning="ε, added to each difference"),
    },
    kinks=("|a - p| - |a - n| + margin = 0",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch and jax", numpy_backward=backward_by_side),),
    separable=separable,
    mistakes=(
        Mistake(
            "anchor_follows_positive",
            "return (to_positive - to_negative, -to_positive", "return (to_positive, -to_positive",
            "the anchor is drawn to the positive, but not driven from the negative",
        ),
        Mistake(
            "squared_distance", "dL * (u / near) / n", "dL * (2 * u) / n", "the gradient of FaceNet's squared distance",
        ),
        Mistake(
            "gate_forgotten",
            "to_negative = np.where(short, dL * (v / far) / n, 0)", "to_negative = dL * (v / far) / n",
            "the negative of a triplet that is far enough apart is still pushed",
        ),
    ),
)
