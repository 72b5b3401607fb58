"""Negative log-likelihood of the right class, from log-probabilities, such as a log-softmax gives.

    forward      L       = -sum of log_q[label] / n        over the labels that count; a scalar
    backward     dlog_q  = -dL [class = label] / n         0 where the label does not count

Shapes, n by `reduction`, and labels that do not count: see `_labels`. Nothing is normalised: of a log-softmax and this
loss, `cross_entropy` is both in one. No kinks. `torch.nn.NLLLoss`, whose default is the mean; jax has none.
Bishop, Pattern Recognition and Machine Learning (2006), equation 4.108.
"""

import numpy as np

from harness.spec import Mistake, Operation
from reference_impls.losses._labels import LABELLED, divisor, label_range, one_hot, output_shape, separable
from reference_impls.losses._reduction import reduced


def numpy_forward(p, log_q, labels, *, reduction, samples_axis, class_axis, ignore_index):
    """Forward: L = -sum of log_q[label] / n."""
    log_q = np.moveaxis(log_q, class_axis, -1)
    counts = (labels != ignore_index)[..., None]
    right = one_hot(labels, log_q.shape[-1]) & counts
    n = divisor(labels, reduction, samples_axis, ignore_index)
    return -np.sum(np.where(right, log_q, 0)) / n, (np.zeros_like(log_q), right, n)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, class_axis, ignore_index):
    """Backward: dlog_q = -dL / n at the labels that count."""
    zeros, right, n = saved
    dlog_q = np.where(right, zeros - dL / n, zeros)
    return (np.moveaxis(dlog_q, -1, class_axis), None), {}


def torch_forward(torch, p, log_q, labels, *, reduction, samples_axis, class_axis, ignore_index):
    """The functional form of `torch.nn.NLLLoss`, which has the classes on axis 1.

    Of four axes, its backward pass refuses an array that is only viewed so: "grad_input must be contiguous".
    """
    log_q = log_q.movedim(class_axis, 1).contiguous()
    if reduction == "mean":
        return torch.nn.functional.nll_loss(log_q, labels, ignore_index=ignore_index)
    L = torch.nn.functional.nll_loss(log_q, labels, ignore_index=ignore_index, reduction="sum")
    return L / divisor(labels, reduction, samples_axis, ignore_index)


def jax_forward(jax, p, log_q, labels, *, reduction, samples_axis, class_axis, ignore_index):
    """The labels' log-probabilities picked out, and those masked that do not count."""
    jnp = jax.numpy
    log_q, counts = jnp.moveaxis(log_q, class_axis, -1), labels != ignore_index
    picked = jnp.take_along_axis(log_q, jnp.where(counts, labels, 0)[..., None], axis=-1)[..., 0]
    losses = jnp.where(counts, -picked, 0)
    return losses.sum() / counts.sum() if reduction == "mean" else reduced(losses, reduction, samples_axis)


nll = Operation(
    name="nll",
    kind="loss",
    summary="L = -sum of log_q[label] / n",
    inputs=("log_probability", "label"),
    integers={"label": label_range},
    hypers=LABELLED,
    axes=(2, 3),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=separable,
    mistakes=(
        Mistake(
            "softmax_gradient", "np.where(right, zeros - dL / n, zeros)", "np.where(right, zeros - dL / n, dL / n)",
            "the other classes pushed up: nothing here normalises",
        ),
        Mistake(
            "ignored_in_gradient", "return -np.sum(np.where(right, log_q, 0)) / n, (np.zeros_like(log_q), right, n)",
            "return -np.sum(np.where(right, log_q, 0)) / n, (np.zeros_like(log_q), right | ~counts, n)",
            "labels that do not count leave the loss alone but pull on every class",
        ),
        Mistake(
            "mean_forgotten", "zeros - dL / n", "zeros - dL", "1/m missing from the gradient of a mean",
        ),
    ),
)
