"""Rectified linear unit with a ceiling at 6.

    forward      y  = min(max(x, 0), 6)            x, y of any shape
    backward     dx = dy where 0 < x < 6, else 0

Kinks: x = 0 and x = 6, where any slope from 0 to 1 is a subgradient. All three implementations take 0.
Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010.
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = min(max(x, 0), 6)."""
    inside = (x > 0) & (x < 6)
    return np.clip(x, 0, 6), inside


def numpy_backward(p, inside, dy):
    """Backward: dx = dy inside, else 0."""
    return (np.where(inside, dy, 0),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.ReLU6`."""
    return torch.nn.functional.relu6(x)


def jax_forward(jax, p, x):
    """Slope 0 at both ends by a custom rule; `jax.numpy.clip` would take 1/2 there."""
    return jax.nn.relu6(x)


relu6 = Operation(
    name="relu6",
    kind="layer",
    summary="y = min(max(x, 0), 6)",
    inputs=("x",),
    kinks=("x = 0", "x = 6"),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    range="nonnegative",
    separable=elementwise,
    mistakes=(
        Mistake(
            "ceiling_without_gate", "inside = (x > 0) & (x < 6)", "inside = x > 0",
            "the backward pass of a plain ReLU: the gradient passes above 6",
        ),
        Mistake("gate_forgotten", "np.where(inside, dy, 0)", "dy", "the gradient passes everywhere"),
        Mistake("ceiling_at_one", "np.clip(x, 0, 6)", "np.clip(x, 0, 1)", "a ceiling at 1 instead of 6"),
    ),
)
