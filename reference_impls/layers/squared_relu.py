"""Squared ReLU: 0 below 0, the square above it, with a slope that has no jump.

    forward      y  = max(x, 0)²                   x, y of any shape
    backward     dx = dy 2 max(x, 0)

No kink: both sides have slope 0 at 0. The second derivative jumps there, from 0 to 2. Neither torch nor jax has it as a
function; users square the ReLU.
So et al., Primer: Searching for Efficient Transformers for Language Modeling, NeurIPS 2021.
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = max(x, 0)²."""
    positive = np.maximum(x, 0)
    return np.square(positive), positive


def numpy_backward(p, positive, dy):
    """Backward: dx = dy 2 max(x, 0)."""
    return (dy * (2 * positive),), {}


def torch_forward(torch, p, x):
    """The usual composition."""
    return torch.square(torch.relu(x))


def jax_forward(jax, p, x):
    """The usual composition."""
    return jax.numpy.square(jax.nn.relu(x))


squared_relu = Operation(
    name="squared_relu",
    kind="layer",
    summary="y = max(x, 0)^2",
    inputs=("x",),
    bends=("x = 0",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake("two_forgotten", "dy * (2 * positive)", "dy * positive", "the 2 of the power rule forgotten"),
        Mistake("gate_forgotten", "positive = np.maximum(x, 0)", "positive = x", "the square, not cut off below 0"),
        Mistake("slope_of_relu", "dy * (2 * positive)", "dy * (positive > 0)", "the slope of the ReLU inside alone"),
    ),
)
