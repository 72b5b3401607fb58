"""Cross-entropy of a softmax over logits z, against a distribution t over the classes: one-hot, smoothed, distilled.

    class_axis   -1, 1 or 0: where the classes stand, in z and t alike; what remains are the samples' places

    forward      log q = z - log(sum over classes of exp z)         shifted by the largest z, so that nothing overflows
                 L     = -sum of t log q / n                        z, t of one shape; a scalar
    backward     dz    = dL (q (sum over classes of t) - t) / n     dL (q - t) / n when t adds up to 1
                 dt    = -dL log q / n

    reduction    "sum"            n = 1
                 "mean"           n = number of places: all elements, divided by the classes
                 "sample_mean"    n = number of samples, along `samples_axis` of the places

t need not add up to 1. No kinks: the shift cancels. `torch.nn.CrossEntropyLoss` with probabilities as its target,
`optax.softmax_cross_entropy`.
Bishop, Pattern Recognition and Machine Learning (2006), equations 4.108 and 4.109.
"""

import numpy as np

from harness.spec import Misfit, Mistake, Operation, Variant, same_shape
from harness.stop_gradient import largest
from reference_impls.losses import _reduction
from reference_impls.losses._labels import CLASS_AXIS, separable
from reference_impls.losses._reduction import REDUCTION, reduced


def places(shape, class_axis):
    """The shape without the classes."""
    return tuple(size for axis, size in enumerate(shape) if axis != class_axis % len(shape))


def divisor(shape, reduction, samples_axis, class_axis):
    """The n of the table above."""
    return _reduction.divisor(places(shape, class_axis), reduction, samples_axis)


def output_shape(inputs, params, *, reduction, samples_axis, class_axis):
    """A scalar."""
    shape = same_shape(inputs)
    if len(shape) < 2:
        raise Misfit(f"needs logits of two axes or more, got {shape}")
    _reduction.needs_samples_axis(places(shape, class_axis), reduction, samples_axis)
    return ()


def numpy_forward(p, z, t, *, reduction, samples_axis, class_axis):
    """Forward: L = -sum of t log q / n; the softmax q is kept."""
    shifted = z - largest(z, axis=class_axis)
    total = np.sum(np.exp(shifted), axis=class_axis, keepdims=True)
    log_q = shifted - np.log(total)
    L = -np.sum(t * log_q) / divisor(z.shape, reduction, samples_axis, class_axis)
    return L, (t, np.exp(shifted) / total, log_q)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, class_axis):
    """Backward: dz = dL (q (sum of t) - t) / n, dt = -dL log q / n."""
    t, q, log_q = saved
    n = divisor(q.shape, reduction, samples_axis, class_axis)
    dz = dL * (q * np.sum(t, axis=class_axis, keepdims=True) - t) / n
    return (dz, -dL * log_q / n), {}


def backward_of_log_softmax(p, saved, dL, *, reduction, samples_axis, class_axis):
    """Backward: g - exp(log q) (sum of g), where g = -dL t / n is the gradient of log q, as torch does."""
    t, _, log_q = saved
    n = divisor(log_q.shape, reduction, samples_axis, class_axis)
    g = -dL * t / n
    return ((g, -np.exp(log_q) * np.sum(g, axis=class_axis, keepdims=True)), -dL * log_q / n), {}


def torch_forward(torch, p, z, t, *, reduction, samples_axis, class_axis):
    """The functional form of `torch.nn.CrossEntropyLoss`, which has the classes on axis 1."""
    n = divisor(z.shape, reduction, samples_axis, class_axis)
    z, t = z.movedim(class_axis, 1), t.movedim(class_axis, 1)
    if reduction == "mean":
        return torch.nn.functional.cross_entropy(z, t)
    return torch.nn.functional.cross_entropy(z, t, reduction="sum") / n


def jax_forward(jax, p, z, t, *, reduction, samples_axis, class_axis):
    """Optax's."""
    import optax

    return reduced(optax.softmax_cross_entropy(z, t, axis=class_axis), reduction, samples_axis)


cross_entropy_soft = Operation(
    name="cross_entropy_soft",
    kind="loss",
    summary="L = -sum of t log softmax(z) / n",
    inputs=("logit", "target"),
    hypers={**REDUCTION, "class_axis": CLASS_AXIS},
    axes=(2, 3),
    parts={"logit": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch", numpy_backward=backward_of_log_softmax),),
    domains={"target": "probability"},
    separable=separable,
    mistakes=(
        Mistake(
            "target_taken_for_distribution", "dL * (q * np.sum(t, axis=class_axis, keepdims=True) - t)", "dL * (q - t)",
            "q - t, which holds when the target adds up to 1",
        ),
        Mistake(
            "slope_of_softmax", "np.sum(t, axis=class_axis, keepdims=True) - t) / n",
            "np.sum(t, axis=class_axis, keepdims=True) - t) / n * q",
            "softmax' applied although it has cancelled against the loss",
        ),
        Mistake(
            "mean_over_elements", "return _reduction.divisor(places(shape, class_axis), reduction, samples_axis)",
            "return _reduction.divisor(shape if reduction == 'mean' else places(shape, class_axis), reduction, 0)",
            "the mean taken over classes as well",
        ),
    ),
)
