"""Absolute error, also called the L1 loss.

    forward      d = prediction - target           both of one shape
                 L = sum of |d| / n                a scalar; n by `reduction`, see `_reduction`
    backward     dprediction =  dL sign(d) / n
                 dtarget     = -dL sign(d) / n

Kink: d = 0, where any slope from -1 to 1 is a subgradient. NumPy here and torch take 0; jax takes 1, because its
derivative of `jnp.abs` is 1 at 0. A prediction that is right to the last bit is pulled away in one of three programs.
`torch.nn.L1Loss`; optax has none.
"""

import numpy as np

from harness.spec import Mistake, Operation
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, reduced, separable


def numpy_forward(p, prediction, target, *, reduction, samples_axis):
    """Forward: L = sum of |d| / n; the signs are decided here, once."""
    d = prediction - target
    return np.sum(np.abs(d)) / divisor(d.shape, reduction, samples_axis), np.sign(d)


def numpy_backward(p, signs, dL, *, reduction, samples_axis):
    """Backward: dprediction = dL sign(d) / n, and the opposite for the target."""
    dprediction = dL * signs / divisor(signs.shape, reduction, samples_axis)
    return (dprediction, -dprediction), {}


def torch_forward(torch, p, prediction, target, *, reduction, samples_axis):
    """The functional form of `torch.nn.L1Loss`."""
    l1_loss = torch.nn.functional.l1_loss
    if reduction == "mean":
        return l1_loss(prediction, target)
    return l1_loss(prediction, target, reduction="sum") / divisor(prediction.shape, reduction, samples_axis)


def jax_forward(jax, p, prediction, target, *, reduction, samples_axis):
    """As on paper."""
    return reduced(jax.numpy.abs(prediction - target), reduction, samples_axis)


absolute_error = Operation(
    name="absolute_error",
    kind="loss",
    summary="L = sum of |prediction - target| / n",
    inputs=("prediction", "target"),
    hypers=REDUCTION,
    kinks=("prediction = target",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=separable,
    mistakes=(
        Mistake(
            "difference_for_sign", "samples_axis), np.sign(d)", "samples_axis), d",
            "the gradient of half the squares: it shrinks with the error",
        ),
        Mistake(
            "mean_forgotten", "dL * signs / divisor(signs.shape, reduction, samples_axis)", "dL * signs",
            "1/m missing from the gradient of a mean",
        ),
        Mistake(
            "target_sign", "return (dprediction, -dprediction), {}", "return (dprediction, dprediction), {}",
            "the target pulled the way of the prediction: it is noticed where both are computed",
        ),
    ),
)
