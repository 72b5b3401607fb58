"""Huber loss: squares near the target, absolute values far from it.

    forward      d = prediction - target           both of one shape
                 c = d, limited to [-δ, δ]
                 L = sum of c (d - c / 2) / n      a scalar; n by `reduction`, see `_reduction`
    backward     dprediction =  dL c / n           which is the squared error's gradient, clipped
                 dtarget     = -dL c / n

That is d² / 2 where |d| <= δ, and δ (|d| - δ / 2) elsewhere. The two pieces have one value and one slope where they
meet, so nothing depends on the side. `smooth_l1` is the same divided by δ. `torch.nn.HuberLoss`, `optax.huber_loss`;
the gradient of the latter is (|d| - δ) + δ near the target, so of an error below a unit in the last place of δ no digit
is left.
Huber, Robust Estimation of a Location Parameter, Ann. Math. Statist. 35 (1964).
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.losses import _reduction
from reference_impls.losses._reduction import REDUCTION, divisor, reduced, separable


def output_shape(inputs, params, *, delta, **hypers):
    """A scalar."""
    if delta <= 0:
        raise Misfit(f"needs a delta above 0, got {delta}")
    return _reduction.output_shape(inputs, params, **hypers)


def numpy_forward(p, prediction, target, *, reduction, samples_axis, delta):
    """Forward: L = sum of c (d - c / 2) / n."""
    d = prediction - target
    clipped = np.clip(d, -delta, delta)
    return np.sum(clipped * (d - clipped / 2)) / divisor(d.shape, reduction, samples_axis), clipped


def numpy_backward(p, clipped, dL, *, reduction, samples_axis, delta):
    """Backward: dprediction = dL c / n, and the opposite for the target."""
    dprediction = dL * clipped / divisor(clipped.shape, reduction, samples_axis)
    return (dprediction, -dprediction), {}


def backward_by_difference(p, clipped, dL, *, reduction, samples_axis, delta):
    """Backward: c as (c - δ) + δ, since optax writes the loss as q² / 2 + δ (|d| - q) with q = min(|d|, δ)."""
    one = dL / divisor(clipped.shape, reduction, samples_axis)
    dprediction = (one * clipped - one * delta) + one * delta
    return (dprediction, -dprediction), {}


def torch_forward(torch, p, prediction, target, *, reduction, samples_axis, delta):
    """The functional form of `torch.nn.HuberLoss`."""
    huber_loss = torch.nn.functional.huber_loss
    if reduction == "mean":
        return huber_loss(prediction, target, delta=delta)
    L = huber_loss(prediction, target, delta=delta, reduction="sum")
    return L / divisor(prediction.shape, reduction, samples_axis)


def jax_forward(jax, p, prediction, target, *, reduction, samples_axis, delta):
    """Optax's."""
    import optax

    return reduced(optax.huber_loss(prediction, target, delta=delta), reduction, samples_axis)


huber = Operation(
    name="huber",
    kind="loss",
    summary="L = sum of (d² / 2 near 0, δ (|d| - δ / 2) beyond δ) / n",
    inputs=("prediction", "target"),
    hypers={**REDUCTION, "delta": HyperSpec(default=1.0, typical=(0.5, 2.0), meaning="δ, where the squares end")},
    bends=("|prediction - target| = delta",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="optax", numpy_backward=backward_by_difference),),
    separable=separable,
    mistakes=(
        Mistake(
            "not_clipped", "samples_axis), clipped", "samples_axis), d",
            "the squared error's gradient, far from the target too",
        ),
        Mistake(
            "jump_at_delta", "clipped * (d - clipped / 2)", "np.where(clipped == d, d * d / 2, delta * np.abs(d))",
            "δ |d| far from the target: the two pieces do not meet",
        ),
        Mistake(
            "slope_of_one", "dL * clipped / divisor", "dL * clipped / delta / divisor",
            "the gradient of smooth_l1, which is Huber's divided by δ",
        ),
    ),
)
