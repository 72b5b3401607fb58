"""Smooth L1: squares near the target, absolute values far from it, and the slope 1 there.

    forward      d = prediction - target           both of one shape
                 c = d, limited to [-β, β]
                 L = sum of c (d - c / 2) / β / n  a scalar; n by `reduction`, see `_reduction`
    backward     dprediction =  dL c / β / n
                 dtarget     = -dL c / β / n

That is d² / (2 β) where |d| < β, and |d| - β / 2 elsewhere: Huber's loss with δ = β, divided by β. Who exchanges one
for the other changes the learning rate by that factor. The pieces have one value and one slope where they meet, so
nothing depends on the side. β = 0, which torch allows, is `absolute_error`. `torch.nn.SmoothL1Loss`; optax has none.
Girshick, Fast R-CNN, ICCV 2015, equation 3 (β = 1).
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.losses import _reduction
from reference_impls.losses._reduction import REDUCTION, divisor, reduced, separable


def output_shape(inputs, params, *, beta, **hypers):
    """A scalar."""
    if beta <= 0:
        raise Misfit(f"needs a beta above 0, got {beta}")
    return _reduction.output_shape(inputs, params, **hypers)


def numpy_forward(p, prediction, target, *, reduction, samples_axis, beta):
    """Forward: L = sum of c (d - c / 2) / β / n."""
    d = prediction - target
    clipped = np.clip(d, -beta, beta)
    return np.sum(clipped * (d - clipped / 2) / beta) / divisor(d.shape, reduction, samples_axis), clipped


def numpy_backward(p, clipped, dL, *, reduction, samples_axis, beta):
    """Backward: dprediction = dL c / β / n, and the opposite for the target."""
    dprediction = dL * (clipped / beta) / divisor(clipped.shape, reduction, samples_axis)
    return (dprediction, -dprediction), {}


def backward_by_difference(p, clipped, dL, *, reduction, samples_axis, beta):
    """Backward: c as (c - β) + β, from `optax.huber_loss`, see there."""
    one = dL / divisor(clipped.shape, reduction, samples_axis) / beta
    dprediction = (one * clipped - one * beta) + one * beta
    return (dprediction, -dprediction), {}


def torch_forward(torch, p, prediction, target, *, reduction, samples_axis, beta):
    """The functional form of `torch.nn.SmoothL1Loss`."""
    smooth_l1_loss = torch.nn.functional.smooth_l1_loss
    if reduction == "mean":
        return smooth_l1_loss(prediction, target, beta=beta)
    L = smooth_l1_loss(prediction, target, beta=beta, reduction="sum")
    return L / divisor(prediction.shape, reduction, samples_axis)


def jax_forward(jax, p, prediction, target, *, reduction, samples_axis, beta):
    """Optax's Huber loss, divided by β."""
    import optax

    return reduced(optax.huber_loss(prediction, target, delta=beta) / beta, reduction, samples_axis)


smooth_l1 = Operation(
    name="smooth_l1",
    kind="loss",
    summary="L = sum of (d² / (2 β) near 0, |d| - β / 2 beyond β) / n",
    inputs=("prediction", "target"),
    hypers={**REDUCTION, "beta": HyperSpec(default=1.0, typical=(0.5, 2.0), meaning="β, where the squares end")},
    bends=("|prediction - target| = beta",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="optax", numpy_backward=backward_by_difference),),
    separable=separable,
    mistakes=(
        Mistake(
            "huber_instead", "np.sum(clipped * (d - clipped / 2) / beta)", "np.sum(clipped * (d - clipped / 2))",
            "Huber's loss, which is β times this one",
        ),
        Mistake(
            "slope_of_beta", "dL * (clipped / beta)", "dL * clipped", "Huber's gradient, which is β times this one",
        ),
        Mistake(
            "not_clipped", "samples_axis), clipped", "samples_axis), d",
            "the squared error's gradient, far from the target too",
        ),
    ),
)
