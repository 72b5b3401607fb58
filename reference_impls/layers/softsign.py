"""Softsign: a slower tanh.

    forward      y  = x / (1 + |x|)                x, y of any shape
    backward     dx = dy / (1 + |x|)²

No kink: |x| has one at 0, but the two slopes of y there are both 1.
Turian, Bergstra, Bengio, Quadratic Features and Deep Architectures for Chunking, NAACL 2009.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x / d with d = 1 + |x|."""
    d = 1 + np.abs(x)
    return x / d, d


def numpy_backward(p, d, dy):
    """Backward: dx = dy / d²."""
    return (dy / np.square(d),), {}


def backward_by_quotient_rule(p, d, dy):
    """Backward: dy / d - dy (|x| / d) / d in two parts, as the quotient is differentiated; far from 0 they cancel."""
    return ((dy / d, -dy * ((d - 1) / d / d)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Softsign`."""
    return torch.nn.functional.softsign(x)


def jax_forward(jax, p, x):
    """The same quotient."""
    return jax.nn.soft_sign(x)


softsign = Operation(
    name="softsign",
    kind="layer",
    summary="y = x / (1 + |x|)",
    inputs=("x",),
    bends=("x = 0, where the second derivative jumps from 2 to -2",),
    parts={"x": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch, jax", numpy_backward=backward_by_quotient_rule),),
    separable=elementwise,
    mistakes=(
        Mistake("slope_without_square", "dy / np.square(d)", "dy / d", "1 / (1 + |x|), without the square"),
        Mistake(
            "slope_of_arctan", "dy / np.square(d)", "dy / (1 + np.square(d - 1))",
            "1 / (1 + x²), with the square in the wrong place",
        ),
        Mistake("absolute_value_forgotten", "d = 1 + np.abs(x)", "d = 1 + x", "x / (1 + x), as if x were positive"),
    ),
)
