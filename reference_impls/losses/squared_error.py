"""Squared error, in each of the scalings that textbooks give it.

    forward      d = prediction - target           both of one shape
                 L = sum of d² / n                 a scalar; n by `reduction`, see `_reduction`
    backward     dprediction =  dL 2 d / n
                 dtarget     = -dL 2 d / n

    reduction    "mean"                `torch.nn.MSELoss`; `optax.squared_error` and a mean
                 "half_sum"            Bishop, Pattern Recognition and Machine Learning (2006), equation 5.14
                 "half_sample_mean"    Nielsen, Neural Networks and Deep Learning (2015), equation 6
                 "half_mean"           `optax.l2_loss` and a mean

No kinks.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation
from reference_impls.losses._reduction import HALVES, REDUCTION, divisor, output_shape, reduced, separable


def numpy_forward(p, prediction, target, *, reduction, samples_axis):
    """Forward: L = sum of d² / n."""
    d = prediction - target
    return np.sum(np.square(d)) / divisor(d.shape, reduction, samples_axis), d


def numpy_backward(p, d, dL, *, reduction, samples_axis):
    """Backward: dprediction = dL 2 d / n, and the opposite for the target."""
    dprediction = dL * (2 * d) / divisor(d.shape, reduction, samples_axis)
    return (dprediction, -dprediction), {}


def torch_forward(torch, p, prediction, target, *, reduction, samples_axis):
    """The functional form of `torch.nn.MSELoss`."""
    mse_loss = torch.nn.functional.mse_loss
    if reduction == "mean":
        return mse_loss(prediction, target)
    return mse_loss(prediction, target, reduction="sum") / divisor(prediction.shape, reduction, samples_axis)


def jax_forward(jax, p, prediction, target, *, reduction, samples_axis):
    """As on paper."""
    return reduced((prediction - target) ** 2, reduction, samples_axis)


squared_error = Operation(
    name="squared_error",
    kind="loss",
    summary="L = sum of (prediction - target)² / n",
    inputs=("prediction", "target"),
    hypers={
        **REDUCTION,
        "reduction": HyperSpec(default="sum", choices=("sum", "mean", "sample_mean", *HALVES), meaning="what n is"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=separable,
    mistakes=(
        Mistake("without_two", "dL * (2 * d)", "dL * d", "the gradient of half the loss that is computed"),
        Mistake(
            "mean_forgotten",
            "dL * (2 * d) / divisor(d.shape, reduction, samples_axis)",
            "dL * (2 * d) / (2 if reduction.startswith('half') else 1)",
            "1/m missing from the gradient of a mean",
        ),
        Mistake(
            "sign", "divisor(d.shape, reduction, samples_axis), d", "divisor(d.shape, reduction, samples_axis), -d",
            "target minus prediction: the loss is the same, the gradient points uphill",
        ),
    ),
)
