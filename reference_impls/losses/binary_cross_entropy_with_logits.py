"""Binary cross-entropy on logits z: the sigmoid and the loss in one, without overflow.

    forward      L = sum of (log(1 + exp z) - t z) / n                 z, t of one shape; L a scalar
    backward     dz = dL (sigmoid(z) - t) / n
                 dt = -dL z / n

It is -(t log q + (1 - t) log(1 - q)) with q = sigmoid(z), rewritten: log q = z - log(1 + exp z) and
log(1 - q) = -log(1 + exp z).

    reduction    "sum"          n = 1
                 "mean"         n = number of elements
                 "sample_mean"  n = number of samples: a sum over features, a mean over `samples_axis`

No kinks, in this form. The other common form, max(z, 0) - t z + log(1 + exp(-|z|)), has branches at 0 that
cancel. Bishop, Pattern Recognition and Machine Learning (2006), equations 4.90 and 4.91.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant, same_shape


def output_shape(inputs, params, *, reduction, samples_axis):
    """A scalar."""
    shape = same_shape(inputs)
    if reduction == "sample_mean" and samples_axis >= len(shape):
        raise Misfit(f"needs an axis {samples_axis} to average the samples over, got logits of shape {shape}")
    return ()


def separable(axis, *, reduction, samples_axis):
    """A mean is no sum over the samples."""
    return reduction == "sum"


def divisor(shape, reduction, samples_axis):
    """The n of the table above."""
    match reduction:
        case "mean":
            return math.prod(shape)
        case "sample_mean":
            return shape[samples_axis]
    return 1


def numpy_forward(p, z, t, *, reduction, samples_axis):
    """Forward: L = sum of (log(1 + exp z) - t z) / n."""
    return np.sum(np.logaddexp(0, z) - t * z) / divisor(z.shape, reduction, samples_axis), (z, t)


def numpy_backward(p, saved, dL, *, reduction, samples_axis):
    """Backward: dz = dL (sigmoid(z) - t) / n, dt = -dL z / n."""
    z, t = saved
    n = divisor(z.shape, reduction, samples_axis)
    q = 1 / (1 + np.exp(-z))
    return (dL * (q - t) / n, -dL * z / n), {}


def forward_by_log_sigmoid(p, z, t, *, reduction, samples_axis):
    """Forward: L = sum of ((1 - t) z + log(1 + exp -z)) / n, as torch does; where t = 0 and z is far below 0 the two
    terms cancel, and of a small loss no digit is left.
    """
    return np.sum((1 - t) * z + np.logaddexp(0, -z)) / divisor(z.shape, reduction, samples_axis), (z, t)


def backward_by_exponential(p, saved, dL, *, reduction, samples_axis):
    """Backward: sigmoid(z) as exp(z - log(1 + exp z)), which is how jax differentiates its softplus."""
    z, t = saved
    n = divisor(z.shape, reduction, samples_axis)
    q = np.exp(z - np.logaddexp(0, z))
    return (dL * (q - t) / n, -dL * z / n), {}


def torch_forward(torch, p, z, t, *, reduction, samples_axis):
    """The functional form of `torch.nn.BCEWithLogitsLoss`."""
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    if reduction == "mean":
        return cross_entropy(z, t)
    return cross_entropy(z, t, reduction="sum") / divisor(z.shape, reduction, samples_axis)


def jax_forward(jax, p, z, t, *, reduction, samples_axis):
    """As on paper; log(1 + exp z) is called softplus."""
    terms = jax.nn.softplus(z) - t * z
    if reduction == "mean":
        return terms.mean()
    return terms.sum() / divisor(z.shape, reduction, samples_axis)


binary_cross_entropy_with_logits = Operation(
    name="binary_cross_entropy_with_logits",
    kind="loss",
    summary="L = sum of (log(1 + exp z) - t z) / n",
    inputs=("logit", "target"),
    hypers={
        "reduction": HyperSpec(default="sum", choices=("sum", "mean", "sample_mean"), meaning="what n is"),
        "samples_axis": HyperSpec(default=0, choices=(0, 1), meaning="the axis that sample_mean averages over"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_by_log_sigmoid),
        Variant(who="jax", numpy_backward=backward_by_exponential),
    ),
    domains={"target": "probability"},
    separable=separable,
    mistakes=(
        Mistake(
            "extra_slope", "q = 1 / (1 + np.exp(-z))", "q = 1 / (1 + np.exp(-z)); dL = dL * q * (1 - q)",
            "sigmoid' applied although it has cancelled against the loss",
        ),
    ),
)
