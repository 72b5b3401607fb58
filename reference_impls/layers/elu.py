"""Exponential linear unit.

    forward      y  = x where x > 0, else a (exp x - 1)      x, y of any shape; a = alpha
    backward     dx = dy where x > 0, else dy a exp x        (which is dy (y + a) there)

Kink: x = 0, unless a = 1: the value is 0 from both sides, the slopes are a and 1. All three implementations take a.
The exponential is that of min(x, 0): far to the right exp x would overflow, though nothing of it is used.
Clevert, Unterthiner, Hochreiter, Fast and Accurate Deep Network Learning by Exponential Linear Units, ICLR 2016.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant, elementwise


def output_shape(inputs, params, *, alpha):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x, *, alpha):
    """Forward: y = x where x > 0, else a (exp x - 1)."""
    alive = x > 0
    below = np.where(alive, 0, x)
    return np.where(alive, x, alpha * np.expm1(below)), (alive, below)


def numpy_backward(p, saved, dy, *, alpha):
    """Backward: dx = dy where alive, else dy a exp x."""
    alive, below = saved
    return (np.where(alive, dy, dy * alpha * np.exp(below)),), {}


def backward_by_expm1(p, saved, dy, *, alpha):
    """Backward: exp x as (exp x - 1) + 1, as jax differentiates its expm1; far to the left no digit of it is left."""
    alive, below = saved
    return (np.where(alive, dy, dy * alpha * (np.expm1(below) + 1)),), {}


def torch_forward(torch, p, x, *, alpha):
    """The functional form of `torch.nn.ELU`."""
    return torch.nn.functional.elu(x, alpha)


def jax_forward(jax, p, x, *, alpha):
    """As in torch."""
    return jax.nn.elu(x, alpha)


elu = Operation(
    name="elu",
    kind="layer",
    summary="y = x where x > 0, else a (exp x - 1)",
    inputs=("x",),
    hypers={"alpha": HyperSpec(default=1.0, low=0.0, typical=(0.5, 2.0, 0.1), meaning="-a is the limit far left")},
    kinks=("x = 0, unless alpha = 1",),
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
            "alpha_forgotten", "dy * alpha * np.exp(below)", "dy * np.exp(below)",
            "the factor a left out of the backward pass: right as long as a is 1",
        ),
        Mistake(
            "value_as_slope", "dy * alpha * np.exp(below)", "dy * alpha * np.expm1(below)",
            "a (exp x - 1) taken for its own derivative",
        ),
        Mistake(
            "gate_of_relu", "np.where(alive, dy, dy * alpha * np.exp(below))", "np.where(alive, dy, 0)",
            "the backward pass of a plain ReLU: nothing passes below 0",
        ),
        Mistake(
            "cancelling_exponential", "alpha * np.expm1(below)", "alpha * (np.exp(below) - 1)",
            "exp(x) - 1 written out: near 0 it has lost most of its digits",
        ),
    ),
)
