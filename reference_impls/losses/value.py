"""The sum of the elements: for differentiating a quantity itself rather than a loss made from it.

    forward      L  = sum of x                     x of any shape; L a scalar
    backward     dx = dL, everywhere

No kinks.
"""

import numpy as np

from harness.spec import Operation, elementwise


def output_shape(inputs, params):
    """A scalar."""
    return ()


def numpy_forward(p, x):
    """Forward: L = sum of x."""
    return np.sum(x), x


def numpy_backward(p, x, dL):
    """Backward: dx = dL, everywhere."""
    return (np.zeros_like(x) + dL,), {}


def torch_forward(torch, p, x):
    """As on paper."""
    return x.sum()


def jax_forward(jax, p, x):
    """As on paper."""
    return x.sum()


value = Operation(
    name="value",
    kind="loss",
    summary="L = sum of x",
    inputs=("x",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
)
