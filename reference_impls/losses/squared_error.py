"""Squared error, in each of the scalings that textbooks give it.

    forward      d = prediction - target           both of one shape
                 L = sum of d² / n                 a scalar
    backward     dprediction =  dL 2 d / n
                 dtarget     = -dL 2 d / n

    reduction    "sum"          n = 1
                 "half_sum"     n = 2, which cancels the 2 of the derivative
                 "mean"         n = number of elements (what `torch.nn.MSELoss` does)
                 "sample_mean"  n = number of samples: a sum over features, a mean over `samples_axis`

No kinks.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, same_shape


def output_shape(inputs, params, *, reduction, samples_axis):
    """A scalar."""
    shape = same_shape(inputs)
    if reduction == "sample_mean" and samples_axis >= len(shape):
        raise Misfit(f"needs an axis {samples_axis} to average the samples over, got a prediction of shape {shape}")
    return ()


def separable(axis, *, reduction, samples_axis):
    """A mean is no sum over the samples."""
    return reduction in ("sum", "half_sum")


def divisor(shape, reduction, samples_axis):
    """The n of the table above."""
    match reduction:
        case "half_sum":
            return 2
        case "mean":
            return math.prod(shape)
        case "sample_mean":
            return shape[samples_axis]
    return 1


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
    squares = (prediction - target) ** 2
    if reduction == "mean":
        return squares.mean()
    return squares.sum() / divisor(squares.shape, reduction, samples_axis)


squared_error = Operation(
    name="squared_error",
    kind="loss",
    summary="L = sum of (prediction - target)² / n",
    inputs=("prediction", "target"),
    hypers={
        "reduction": HyperSpec(default="sum", choices=("sum", "half_sum", "mean", "sample_mean"), meaning="what n is"),
        "samples_axis": HyperSpec(default=0, choices=(0, 1), meaning="the axis that sample_mean averages over"),
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
            "dL * (2 * d) / (2 if reduction == 'half_sum' else 1)",
            "1/m missing from the gradient of a mean",
        ),
        Mistake(
            "sign", "divisor(d.shape, reduction, samples_axis), d", "divisor(d.shape, reduction, samples_axis), -d",
            "target minus prediction: the loss is the same, the gradient points uphill",
        ),
    ),
)
