"""Elementwise power with a given exponent c.

    forward      y  = x^c                          x, y of any shape
    backward     dx = dy c x^(c - 1)               0 everywhere when c = 0

With c not a whole number, y is not a number for x < 0, and has no derivative at 0 unless c > 1.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, elementwise


def output_shape(inputs, params, *, exponent):
    """The shape of x."""
    return inputs[0]


def base(*, exponent):
    """What x may hold."""
    return "real" if exponent == abs(int(exponent)) else "positive"


def numpy_forward(p, x, *, exponent):
    """Forward: y = x^c."""
    return x**exponent, x


def numpy_backward(p, x, dy, *, exponent):
    """Backward: dx = dy c x^(c - 1); without the case c = 0 it would be 0 times 1/0 at x = 0."""
    if exponent == 0:
        return (np.zeros_like(x),), {}
    return (dy * (exponent * x ** (exponent - 1)),), {}


def torch_forward(torch, p, x, *, exponent):
    """As on paper."""
    return x**exponent


def jax_forward(jax, p, x, *, exponent):
    """As on paper."""
    return x**exponent


power = Operation(
    name="power",
    kind="layer",
    summary="y = x^c",
    inputs=("x",),
    hypers={"exponent": HyperSpec(typical=(2, 3, 1, 0, 0.5, 1.5, -1), meaning="c, any number")},
    kinks=("x = 0, when the exponent is below 1 and not 0",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    domains={"x": base},
    separable=elementwise,
    mistakes=(
        Mistake(
            "exponent_not_lowered", "(exponent * x ** (exponent - 1))", "(exponent * x**exponent)",
            "c xᶜ instead of c xᶜ⁻¹",
        ),
        Mistake(
            "factor_forgotten", "(exponent * x ** (exponent - 1))", "(x ** (exponent - 1))",
            "the exponent lowered, and not brought down as a factor",
        ),
    ),
)
