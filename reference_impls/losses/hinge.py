"""Hinge loss of a binary classifier that says y, for labels t of -1 and +1: a margin of 1 is wanted.

    forward      m  = 1 - t y                      y, t of one shape; t whole numbers
                 L  = sum of max(m, 0) / n         a scalar; n by `reduction`, see `_reduction`
    backward     dy = -dL t / n where m > 0, else 0

Kink: m = 0, where any slope from 0 to -t is a subgradient. NumPy here and `torch.relu` take 0, `optax.hinge_loss`,
which is a `jnp.maximum`, half. A label of 0 belongs to neither class: its loss is 1, as the formula has it. Torch has
none of its own: its `HingeEmbeddingLoss` and `MultiMarginLoss` are others.
Cortes, Vapnik, Support-Vector Networks, Machine Learning 20 (1995); Bishop, Pattern Recognition and Machine Learning
(2006), equation 7.44.
"""

import numpy as np

from harness.spec import Mistake, Operation
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, reduced, separable


def label_range(inputs, params, **hypers):
    """-1 and +1; and 0, which is neither."""
    return -1, 2


def signed(t, y):
    """t y, for whole numbers t of -1, 0 and 1: nothing is rounded, and the dtype is that of y."""
    return np.where(t > 0, y, np.where(t < 0, -y, 0))


def numpy_forward(p, y, t, *, reduction, samples_axis):
    """Forward: L = sum of max(1 - t y, 0) / n; which samples lack margin is decided here, once."""
    m = 1 - signed(t, y)
    short = m > 0
    return np.sum(np.maximum(m, 0)) / divisor(y.shape, reduction, samples_axis), (t, short)


def numpy_backward(p, saved, dL, *, reduction, samples_axis):
    """Backward: dy = -dL t / n where the margin is short, else 0."""
    t, short = saved
    one = dL / divisor(t.shape, reduction, samples_axis)
    return (np.where(short, signed(t, -one), 0), None), {}


def torch_forward(torch, p, y, t, *, reduction, samples_axis):
    """As on paper."""
    return reduced(torch.relu(1 - t * y), reduction, samples_axis)


def jax_forward(jax, p, y, t, *, reduction, samples_axis):
    """Optax's."""
    import optax

    return reduced(optax.hinge_loss(y, t), reduction, samples_axis)


hinge = Operation(
    name="hinge",
    kind="loss",
    summary="L = sum of max(1 - t y, 0) / n",
    inputs=("prediction", "label"),
    integers={"label": label_range},
    hypers=REDUCTION,
    kinks=("t y = 1",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=separable,
    mistakes=(
        Mistake(
            "margin_forgotten", "short = m > 0", "short = m > 1",
            "the perceptron's gate: samples that are right, but not by the margin, have no gradient",
        ),
        Mistake(
            "gate_forgotten", "np.where(short, signed(t, -one), 0)", "signed(t, -one)",
            "samples beyond the margin are still pulled",
        ),
        Mistake(
            "sign", "np.where(short, signed(t, -one), 0)", "np.where(short, signed(t, one), 0)",
            "pushed away from the right side",
        ),
    ),
)
