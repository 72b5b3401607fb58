"""Cross-entropy of a softmax over logits z, against the number of the right class.

    forward      log q = z - log(sum over classes of exp z)         shifted by the largest z, so that nothing overflows
                 s     = (1 - ε) [class = label] + ε / classes      the label, smoothed by ε
                 L     = -sum of s log q / n                        over the labels that count; a scalar
    backward     dz    = dL (q - s) / n                             0 where the label does not count

Shapes, n by `reduction`, and labels that do not count: see `_labels`. Torch's default is the mean; optax gives a loss
per sample. No kinks: the shift cancels.
Bishop, Pattern Recognition and Machine Learning (2006), equations 4.108 and 4.109; smoothing: Szegedy et al.,
Rethinking the Inception Architecture for Computer Vision (2016), section 7. `torch.nn.CrossEntropyLoss`,
`optax.softmax_cross_entropy_with_integer_labels`.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant
from harness.stop_gradient import largest
from reference_impls.losses._labels import LABELLED, divisor, label_range, one_hot, output_shape, separable
from reference_impls.losses._reduction import reduced


def numpy_forward(p, z, labels, *, reduction, samples_axis, class_axis, ignore_index, label_smoothing):
    """Forward: L = -sum of s log q / n; the softmax q is kept."""
    z = np.moveaxis(z, class_axis, -1)
    counts = (labels != ignore_index)[..., None]
    right = one_hot(labels, z.shape[-1]) & counts
    shifted = z - largest(z, axis=-1)
    total = np.sum(np.exp(shifted), axis=-1, keepdims=True)
    log_q = shifted - np.log(total)
    total_log = (1 - label_smoothing) * np.sum(np.where(right, log_q, 0))
    if label_smoothing > 0:
        total_log = total_log + label_smoothing / z.shape[-1] * np.sum(np.where(counts, log_q, 0))
    n = divisor(labels, reduction, samples_axis, ignore_index)
    return -total_log / n, (np.exp(shifted) / total, log_q, right, counts, n)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, class_axis, ignore_index, label_smoothing):
    """Backward: dz = dL (q - s) / n, and 0 where the label does not count."""
    q, _, right, counts, n = saved
    dz = np.where(right, q - (1 - label_smoothing), q) - label_smoothing / q.shape[-1]
    dz = dL * np.where(counts, dz, 0) / n
    return (np.moveaxis(dz, -1, class_axis), None), {}


def forward_by_logsumexp(p, z, labels, *, reduction, samples_axis, class_axis, ignore_index, label_smoothing):
    """Forward: -log q of the right class as (m + log(sum of exp(z - m))) - z, as optax does without smoothing."""
    z = np.moveaxis(z, class_axis, -1)
    counts = (labels != ignore_index)[..., None]
    right = one_hot(labels, z.shape[-1]) & counts
    m = largest(z, axis=-1)
    log_q = z - (m + np.log(np.sum(np.exp(z - m), axis=-1, keepdims=True)))
    weight = np.where(right, 1 - label_smoothing, 0) + label_smoothing / z.shape[-1]
    total_log = np.sum(np.where(right if label_smoothing == 0 else counts, np.ones_like(z) * weight * log_q, 0))
    return -total_log / divisor(labels, reduction, samples_axis, ignore_index), None


def backward_of_log_softmax(p, saved, dL, *, reduction, samples_axis, class_axis, ignore_index, label_smoothing):
    """Backward: g - exp(log q) (sum of g), where g = -dL s / n is the gradient of log q, as torch does."""
    _, log_q, right, counts, n = saved
    smoothed = np.where(right, np.full_like(log_q, 1 - label_smoothing), 0) + label_smoothing / log_q.shape[-1]
    g = -dL * np.where(counts, smoothed, 0) / n
    back = -np.exp(log_q) * np.sum(g, axis=-1, keepdims=True)
    return ((np.moveaxis(g, -1, class_axis), np.moveaxis(back, -1, class_axis)), None), {}


def torch_forward(torch, p, z, labels, *, reduction, samples_axis, class_axis, ignore_index, label_smoothing):
    """The functional form of `torch.nn.CrossEntropyLoss`, which has the classes on axis 1."""
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    z = z.movedim(class_axis, 1)
    if reduction == "mean":
        return torch.nn.functional.cross_entropy(z, labels, **options)
    L = torch.nn.functional.cross_entropy(z, labels, reduction="sum", **options)
    return L / divisor(labels, reduction, samples_axis, ignore_index)


def jax_forward(jax, p, z, labels, *, reduction, samples_axis, class_axis, ignore_index, label_smoothing):
    """Optax's, with the labels that do not count masked."""
    import optax

    jnp = jax.numpy
    z, counts = jnp.moveaxis(z, class_axis, -1), labels != ignore_index
    classes = jnp.where(counts, labels, 0)
    if label_smoothing > 0:
        s = optax.smooth_labels(jax.nn.one_hot(classes, z.shape[-1], dtype=z.dtype), label_smoothing)
        losses = jnp.where(counts, optax.softmax_cross_entropy(z, s), 0)
    else:
        losses = jnp.where(counts, optax.softmax_cross_entropy_with_integer_labels(z, classes), 0)
    return losses.sum() / counts.sum() if reduction == "mean" else reduced(losses, reduction, samples_axis)


cross_entropy = Operation(
    name="cross_entropy",
    kind="loss",
    summary="L = -sum of log softmax(z)[label] / n",
    inputs=("logit", "label"),
    integers={"label": label_range},
    hypers={
        **LABELLED,
        "label_smoothing": HyperSpec(default=0.0, low=0.0, high=1.0, typical=(0.125,), meaning="ε"),
    },
    axes=(2, 3),
    parts={"logit": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="optax", numpy_forward=forward_by_logsumexp),
        Variant(who="torch", numpy_backward=backward_of_log_softmax),
    ),
    separable=separable,
    mistakes=(
        Mistake(
            "one_hot_forgotten", "dz = np.where(right, q - (1 - label_smoothing), q)", "dz = q",
            "the softmax itself instead of the softmax minus the label",
        ),
        Mistake(
            "slope_of_softmax", "dz = dL * np.where(counts, dz, 0) / n", "dz = dL * np.where(counts, dz, 0) / n * q",
            "softmax' applied although it has cancelled against the loss",
        ),
        Mistake(
            "ignored_in_gradient", "dL * np.where(counts, dz, 0) / n", "dL * dz / n",
            "labels that do not count leave the loss alone but pull on the logits",
        ),
        Mistake(
            "ignored_in_mean", "n = divisor(labels, reduction, samples_axis, ignore_index)",
            "n = max(1, labels.size if reduction == 'mean' else divisor(labels, reduction, samples_axis, None))",
            "the mean taken over all labels, those that do not count included",
        ),
        Mistake(
            "smoothing_over_the_others",
            "total_log + label_smoothing / z.shape[-1] *", "total_log + label_smoothing / max(1, z.shape[-1] - 1) *",
            "ε shared out among the wrong classes alone, and the right one counted as one of them",
        ),
    ),
)
