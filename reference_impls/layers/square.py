"""Elementwise square.

    forward      y  = x²                           x, y of any shape
    backward     dx = dy 2 x

No kinks.
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x²."""
    return np.square(x), x


def numpy_backward(p, x, dy):
    """Backward: dx = dy 2 x."""
    return (dy * (2 * x),), {}


def torch_forward(torch, p, x):
    """As on paper."""
    return x**2


def jax_forward(jax, p, x):
    """As on paper."""
    return x**2


square = Operation(
    name="square",
    kind="layer",
    summary="y = x²",
    inputs=("x",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    range="nonnegative",
    separable=elementwise,
    mistakes=(
        Mistake(
            "without_two", "return (dy * (2 * x),), {}", "return (dy * x,), {}", "the 2 of the power rule forgotten",
        ),
        Mistake(
            "upstream_forgotten", "return (dy * (2 * x),), {}", "return (2 * x,), {}", "the slope alone, no chain rule",
        ),
    ),
)
