"""Scaled exponential linear unit: an ELU with the two constants that keep mean 0 and variance 1.

    forward      y  = s x where x > 0, else s a (exp x - 1)      x, y of any shape
    backward     dx = s dy where x > 0, else dy s a exp x        (which is dy (y + s a) there)

    s = 1.0507009873554804934193349852946      a = 1.6732632423543772848170429916717

The constants are these decimals, rounded to float64, in torch and jax alike; in float32 each is rounded once more.
Kink: x = 0, where the slopes are s a = 1.758 and s. All three implementations take s a.
Klambauer, Unterthiner, Mayr, Hochreiter, Self-Normalizing Neural Networks, NeurIPS 2017, equation 2.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise

SCALE = 1.0507009873554804934193349852946
ALPHA = 1.6732632423543772848170429916717


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = s x where x > 0, else s a (exp x - 1)."""
    alive = x > 0
    below = np.where(alive, 0, x)
    return SCALE * np.where(alive, x, ALPHA * np.expm1(below)), (alive, below)


def numpy_backward(p, saved, dy):
    """Backward: dx = s dy where alive, else dy s a exp x."""
    alive, below = saved
    ds = SCALE * dy
    return (np.where(alive, ds, ds * ALPHA * np.exp(below)),), {}


def backward_by_expm1(p, saved, dy):
    """Backward: exp x as (exp x - 1) + 1, as jax differentiates its expm1; far to the left no digit of it is left."""
    alive, below = saved
    ds = SCALE * dy
    return (np.where(alive, ds, ds * ALPHA * (np.expm1(below) + 1)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.SELU`."""
    return torch.nn.functional.selu(x)


def jax_forward(jax, p, x):
    """As in torch."""
    return jax.nn.selu(x)


selu = Operation(
    name="selu",
    kind="layer",
    summary="y = s x where x > 0, else s a (exp x - 1)",
    inputs=("x",),
    kinks=("x = 0",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_expm1),),
    separable=elementwise,
    mistakes=(
        Mistake(
            "scale_below_only", "np.where(alive, ds, ds * ALPHA * np.exp(below))",
            "np.where(alive, dy, ds * ALPHA * np.exp(below))",
            "the scale forgotten for positive inputs on the way back",
        ),
        Mistake(
            "alpha_forgotten", "ds * ALPHA * np.exp(below)", "ds * np.exp(below)",
            "the factor a left out of the backward pass",
        ),
        Mistake(
            "value_as_slope", "ds * ALPHA * np.exp(below)", "ds * ALPHA * np.expm1(below)",
            "a (exp x - 1) taken for its own derivative",
        ),
        Mistake(
            "constant_of_five_digits", "SCALE * np.where", "1.0507 * np.where",
            "the scale typed in from a blog post, with five digits",
        ),
    ),
)
