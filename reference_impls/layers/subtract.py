"""Elementwise difference.

    forward      y  = a - b                        a, b, y of one shape
    backward     da = dy
                 db = -dy

No kinks.
"""

from harness.spec import Mistake, Operation, elementwise, same_shape


def output_shape(inputs, params):
    """The shape that a and b share."""
    return same_shape(inputs)


def numpy_forward(p, a, b):
    """Forward: y = a - b."""
    return a - b, None


def numpy_backward(p, saved, dy):
    """Backward: da = dy, db = -dy."""
    return (dy, -dy), {}


def torch_forward(torch, p, a, b):
    """As on paper."""
    return a - b


def jax_forward(jax, p, a, b):
    """As on paper."""
    return a - b


subtract = Operation(
    name="subtract",
    kind="layer",
    summary="y = a - b",
    inputs=("a", "b",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake(
            "sign", "return (dy, -dy), {}", "return (dy, dy), {}",
            "the minus of the second operand lost on the way back",
        ),
        Mistake(
            "operands_exchanged", "return (dy, -dy), {}", "return (-dy, dy), {}", "the gradient of b - a",
        ),
    ),
)
