"""Hyperbolic tangent.

    forward      y  = tanh(x)                      x, y of any shape
    backward     dx = dy (1 - y²)

No kinks.
LeCun, Bottou, Orr, Müller, Efficient BackProp (1998), section 4.4.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = tanh(x)."""
    y = np.tanh(x)
    return y, y


def numpy_backward(p, y, dy):
    """Backward: dx = dy (1 - y²)."""
    return (dy * (1 - np.square(y)),), {}


def backward_by_factors(p, y, dy):
    """Backward: dx = u + u y with u = dy (1 - y), which is how jax transposes its tangent (v + v y)(1 - y)."""
    u = dy * (1 - y)
    return ((u, u * y),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Tanh`."""
    return torch.tanh(x)


def jax_forward(jax, p, x):
    """As in NumPy."""
    return jax.numpy.tanh(x)


tanh = Operation(
    name="tanh",
    kind="layer",
    summary="y = tanh(x)",
    inputs=("x",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_factors),),
    separable=elementwise,
    mistakes=(
        Mistake("slope_without_square", "(1 - np.square(y))", "(1 - y)", "1 - tanh instead of 1 - tanh²"),
        Mistake("slope_of_preactivation", "return y, y", "return y, x", "1 - z² instead of 1 - tanh(z)²"),
    ),
)
