"""A constant on the way back: the value passes, the gradient does not.

    forward      y  = x                            x, y of any shape
    backward     dx = 0

It is no derivative of anything, and finite differences say so. No kinks.
Targets of a critic, codes of a quantizer: van den Oord, Vinyals, Kavukcuoglu, Neural Discrete Representation Learning,
NeurIPS 2017, equation 3, where it is called sg.
"""

import numpy as np

from harness.spec import Mistake, Operation, elementwise
from harness.stop_gradient import stop_gradient as constant


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x, which the exact derivative is to take for a constant."""
    return constant(x), None


def numpy_backward(p, saved, dy):
    """Backward: dx = 0."""
    return (np.zeros_like(dy),), {}


def torch_forward(torch, p, x):
    """As in PyTorch."""
    return x.detach()


def jax_forward(jax, p, x):
    """As in JAX."""
    return jax.lax.stop_gradient(x)


stop_gradient = Operation(
    name="stop_gradient",
    kind="layer",
    summary="y = x, dx = 0",
    inputs=("x",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake("gradient_passes", "return (np.zeros_like(dy),), {}", "return (dy,), {}",
                "nothing stops the gradient: the backward pass of an identity"),
        Mistake("value_stopped", "return constant(x), None", "return np.zeros_like(x), None",
                "the value stopped too"),
    ),
)
