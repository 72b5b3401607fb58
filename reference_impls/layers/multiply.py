"""Elementwise product: gates, masks, and scaling by given numbers.

    forward      y  = a b                          a, b, y of one shape
    backward     da = dy b
                 db = dy a

No kinks.
"""

from harness.spec import Mistake, Operation, elementwise, same_shape


def output_shape(inputs, params):
    """The shape that a and b share."""
    return same_shape(inputs)


def numpy_forward(p, a, b):
    """Forward: y = a b."""
    return a * b, (a, b)


def numpy_backward(p, saved, dy):
    """Backward: da = dy b, db = dy a."""
    a, b = saved
    return (dy * b, dy * a), {}


def torch_forward(torch, p, a, b):
    """As on paper."""
    return a * b


def jax_forward(jax, p, a, b):
    """As on paper."""
    return a * b


multiply = Operation(
    name="multiply",
    kind="layer",
    summary="y = a b",
    inputs=("a", "b",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake(
            "own_factor", "return (dy * b, dy * a), {}", "return (dy * a, dy * b), {}",
            "the product rule with the factors exchanged",
        ),
        Mistake(
            "first_factor_constant", "return (dy * b, dy * a), {}", "return (dy * 0, dy * a), {}",
            "the first factor taken for a constant, as if it were detached",
        ),
    ),
)
