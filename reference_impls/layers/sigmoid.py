"""Logistic sigmoid.

    forward      y  = 1 / (1 + exp(-x))            x, y of any shape
    backward     dx = dy y (1 - y)                 because dy/dx = exp(-x) / (1 + exp(-x))² = y (1 - y)

No kinks. Far right, where y rounds to 1, dx rounds to 0; far left exp(-x) overflows and y is 0.
Rumelhart, Hinton, Williams, Learning representations by back-propagating errors, Nature 323 (1986).
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = 1 / (1 + exp(-x))."""
    y = 1 / (1 + np.exp(-x))
    return y, y


def numpy_backward(p, y, dy):
    """Backward: dx = dy y (1 - y)."""
    return (dy * y * (1 - y),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Sigmoid`."""
    return torch.sigmoid(x)


def jax_forward(jax, p, x):
    """`lax.logistic`."""
    return jax.nn.sigmoid(x)


sigmoid = Operation(
    name="sigmoid",
    kind="layer",
    summary="y = 1 / (1 + exp(-x))",
    inputs=("x",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    range="probability",
    separable=elementwise,
    mistakes=(
        Mistake(
            "slope_of_preactivation", "return y, y", "return y, x",
            "x (1 - x) taken of the pre-activation z where the activation a is meant",
        ),
        Mistake(
            "slope_of_sigmoid", "return y, y", "return y, 1 / (1 + np.exp(-y))",
            "a derivative that applies the sigmoid itself, given the activation: sigmoid twice",
        ),
        Mistake(
            "slope_forgotten", "return (dy * y * (1 - y),), {}", "return (dy * 1,), {}",
            "delta = a - y used with a squared error: the factor a (1 - a) is missing",
        ),
    ),
)
