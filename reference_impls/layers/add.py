"""Elementwise sum, as where a residual connection joins.

    forward      y  = a + b                        a, b, y of one shape
    backward     da = dy
                 db = dy

No kinks.
He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016.
"""

from harness.spec import Mistake, Operation, elementwise, same_shape


def output_shape(inputs, params):
    """The shape that a and b share."""
    return same_shape(inputs)


def numpy_forward(p, a, b):
    """Forward: y = a + b."""
    return a + b, None


def numpy_backward(p, saved, dy):
    """Backward: da = db = dy."""
    return (dy, dy), {}


def torch_forward(torch, p, a, b):
    """As on paper."""
    return a + b


def jax_forward(jax, p, a, b):
    """As on paper."""
    return a + b


add = Operation(
    name="add",
    kind="layer",
    summary="y = a + b",
    inputs=("a", "b",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake(
            "second_operand_forgotten", "return (dy, dy), {}", "return (dy, 0 * dy), {}",
            "of a residual sum, one branch gets no gradient",
        ),
        Mistake(
            "shared_out", "return (dy, dy), {}", "return (dy / 2, dy / 2), {}",
            "the gradient shared out among the branches, where each gets the whole",
        ),
    ),
)
