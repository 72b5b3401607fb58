"""The reductions: how a loss of many elements becomes one number, L = sum of the elements' losses / n.

    reduction             n
    "sum"                 1
    "mean"                the number of elements                           torch's default
    "sample_mean"         the number of samples, along `samples_axis`      torch's "batchmean", for axis 0
    "half_sum"            2
    "half_mean"           2 times the number of elements
    "half_sample_mean"    2 times the number of samples

The gradient of each element's loss is divided by the same n. A mean differs from a sum by the size of the batch, and
from a mean over samples by the number of features: in a learning rate nobody may notice. Optax gives the elements'
losses and leaves n to its user. The halves, which cancel the 2 of a square's derivative, are `squared_error`'s alone.
"""

import math

from harness.spec import HyperSpec, Misfit, same_shape

HALVES = ("half_sum", "half_mean", "half_sample_mean")
SAMPLES_AXIS = HyperSpec(default=0, choices=(0, 1), meaning="the axis that sample_mean averages over")
REDUCTION = {
    "reduction": HyperSpec(default="sum", choices=("sum", "mean", "sample_mean"), meaning="what n is"),
    "samples_axis": SAMPLES_AXIS,
}
"""The hyperparameters of a loss that compares arrays of one shape."""


def divisor(shape, reduction, samples_axis):
    """The n of the table above."""
    match reduction:
        case "mean":
            return math.prod(shape)
        case "sample_mean":
            return shape[samples_axis]
        case "half_sum":
            return 2
        case "half_mean":
            return 2 * math.prod(shape)
        case "half_sample_mean":
            return 2 * shape[samples_axis]
    return 1


def reduced(losses, reduction, samples_axis):
    """The elements' losses as one number, as users of torch and jax write it."""
    if reduction == "mean":
        return losses.mean()
    return losses.sum() / divisor(losses.shape, reduction, samples_axis)


def needs_samples_axis(shape, reduction, samples_axis):
    """`Misfit` when samples are to be counted along an axis that is not there."""
    if reduction.endswith("sample_mean") and samples_axis >= len(shape):
        raise Misfit(f"needs an axis {samples_axis} to average the samples over, got elements of shape {shape}")


def output_shape(inputs, params, *, reduction, samples_axis, **hypers):
    """A scalar, of inputs of one shape."""
    needs_samples_axis(same_shape(inputs), reduction, samples_axis)
    return ()


def separable(axis, *, reduction, **hypers):
    """A mean is no sum over the samples."""
    return reduction in ("sum", "half_sum")
