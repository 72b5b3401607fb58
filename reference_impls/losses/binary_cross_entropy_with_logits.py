"""Binary cross-entropy on logits z: the sigmoid and the loss in one, without overflow.

    forward      L = sum of (v log(1 + exp z) - w t z) / n             z, t of one shape; L a scalar; n: `_reduction`
                 v = 1 + (w - 1) t                                     w = `pos_weight`, and v = 1 when it is 1
    backward     dz = dL (v sigmoid(z) - w t) / n                      sigmoid(z) - t when w = 1
                 dt = dL ((w - 1) log(1 + exp z) - w z) / n            -z when w = 1

It is -(w t log q + (1 - t) log(1 - q)) with q = sigmoid(z), rewritten: log q = z - log(1 + exp z) and
log(1 - q) = -log(1 + exp z). The weight w makes up for positive samples that are rare; optax has none.

No kinks, in this form. The other common form, max(z, 0) - t z + log(1 + exp(-|z|)), has branches at 0 that
cancel. Bishop, Pattern Recognition and Machine Learning (2006), equations 4.90 and 4.91; the weight as in
`torch.nn.BCEWithLogitsLoss`.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, reduced, separable


def numpy_forward(p, z, t, *, reduction, samples_axis, pos_weight):
    """Forward: L = sum of (v log(1 + exp z) - w t z) / n."""
    weight = 1 + (pos_weight - 1) * t
    softplus = np.logaddexp(0, z)
    L = np.sum(weight * softplus - pos_weight * t * z) / divisor(z.shape, reduction, samples_axis)
    return L, (z, t, weight, softplus)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, pos_weight):
    """Backward: dz = dL (v sigmoid(z) - w t) / n, dt = dL ((w - 1) log(1 + exp z) - w z) / n."""
    z, t, weight, softplus = saved
    n = divisor(z.shape, reduction, samples_axis)
    q = 1 / (1 + np.exp(-z))
    dz = dL * (weight * q - pos_weight * t) / n
    dt = dL * ((pos_weight - 1) * softplus - pos_weight * z) / n
    return (dz, dt), {}


def forward_by_log_sigmoid(p, z, t, *, reduction, samples_axis, pos_weight):
    """Forward: L = sum of ((1 - t) z + v log(1 + exp -z)) / n, as torch does; where t = 0 and z is far below 0 the two
    terms cancel, and of a small loss no digit is left.
    """
    losses = (1 - t) * z + (1 + (pos_weight - 1) * t) * np.logaddexp(0, -z)
    return np.sum(losses) / divisor(z.shape, reduction, samples_axis), None


def backward_by_log_sigmoid(p, saved, dL, *, reduction, samples_axis, pos_weight):
    """Backward: dt = dL (w log(1 + exp -z) - log(1 + exp z)) / n, as torch has it."""
    (dz, _), _ = numpy_backward(p, saved, dL, reduction=reduction, samples_axis=samples_axis, pos_weight=pos_weight)
    z = saved[0]
    dt = dL * (pos_weight * np.logaddexp(0, -z) - np.logaddexp(0, z)) / divisor(z.shape, reduction, samples_axis)
    return (dz, dt), {}


def backward_by_exponential(p, saved, dL, *, reduction, samples_axis, pos_weight):
    """Backward: sigmoid(z) as exp(z - log(1 + exp z)), which is how jax differentiates its softplus, and the two terms
    of the loss in parts.
    """
    z, t, weight, softplus = saved
    n = divisor(z.shape, reduction, samples_axis)
    dz = (dL * weight * np.exp(z - softplus) / n, -dL * pos_weight * t / n)
    return (dz, (dL * (pos_weight - 1) * softplus / n, -dL * pos_weight * z / n)), {}


def torch_forward(torch, p, z, t, *, reduction, samples_axis, pos_weight):
    """The functional form of `torch.nn.BCEWithLogitsLoss`."""
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    weight = None if pos_weight == 1 else torch.tensor(pos_weight, dtype=z.dtype)
    if reduction == "mean":
        return cross_entropy(z, t, pos_weight=weight)
    return cross_entropy(z, t, reduction="sum", pos_weight=weight) / divisor(z.shape, reduction, samples_axis)


def jax_forward(jax, p, z, t, *, reduction, samples_axis, pos_weight):
    """As on paper; log(1 + exp z) is called softplus. `optax.sigmoid_binary_cross_entropy` has no weight."""
    losses = (1 + (pos_weight - 1) * t) * jax.nn.softplus(z) - pos_weight * t * z
    return reduced(losses, reduction, samples_axis)


binary_cross_entropy_with_logits = Operation(
    name="binary_cross_entropy_with_logits",
    kind="loss",
    summary="L = sum of (log(1 + exp z) - t z) / n",
    inputs=("logit", "target"),
    hypers={
        **REDUCTION,
        "pos_weight": HyperSpec(default=1.0, low=0.0, typical=(2.5,), meaning="w, the weight of the positive class"),
    },
    parts={"logit": 2, "target": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_by_log_sigmoid, numpy_backward=backward_by_log_sigmoid),
        Variant(who="jax", numpy_backward=backward_by_exponential),
    ),
    domains={"target": "probability"},
    separable=separable,
    mistakes=(
        Mistake(
            "extra_slope", "q = 1 / (1 + np.exp(-z))", "q = 1 / (1 + np.exp(-z)); dL = dL * q * (1 - q)",
            "sigmoid' applied although it has cancelled against the loss",
        ),
        Mistake(
            "mean_forgotten", "dL * (weight * q - pos_weight * t) / n", "dL * (weight * q - pos_weight * t)",
            "1/m missing from the gradient",
        ),
        Mistake(
            "weight_of_both_classes", "dL * (weight * q - pos_weight * t) / n", "dL * pos_weight * (q - t) / n",
            "the weight of the positive class given to the negative one too",
        ),
    ),
)
