"""Mish: x times the hyperbolic tangent of its softplus.

    forward      y  = x t                          x, y of any shape
                 t  = tanh(log(1 + exp x))
    backward     dx = dy (t + x (1 - t²) σ)        σ = 1 / (1 + exp(-x)), the slope of the softplus

No kinks. torch writes the softplus as log1p(exp x), without the threshold of its `softplus`.
Misra, Mish: A Self Regularized Non-Monotonic Activation Function, BMVC 2020.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x tanh(log(1 + exp x))."""
    t = np.tanh(np.logaddexp(0, x))
    return x * t, (x, t)


def numpy_backward(p, saved, dy):
    """Backward: dx = dy (t + x (1 - t²) σ)."""
    x, t = saved
    sigma = 1 / (1 + np.exp(-x))
    return (dy * (t + x * (1 - np.square(t)) * sigma),), {}


def backward_as_jax(p, saved, dy):
    """Backward: σ as exp(x - softplus), 1 - t² as (1 + t)(1 - t), which is how jax differentiates the two."""
    x, t = saved
    through = dy * x
    return (dy * t + (through + through * t) * (1 - t) * np.exp(x - np.logaddexp(0, x)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Mish`."""
    return torch.nn.functional.mish(x)


def jax_forward(jax, p, x):
    """As in NumPy."""
    return jax.nn.mish(x)


mish = Operation(
    name="mish",
    kind="layer",
    summary="y = x tanh(log(1 + exp x))",
    inputs=("x",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_as_jax),),
    separable=elementwise,
    mistakes=(
        Mistake("slope_of_softplus", "x * (1 - np.square(t)) * sigma", "x * (1 - np.square(t))",
                "the slope of the softplus forgotten in the chain"),
        Mistake("slope_of_tanh", "(1 - np.square(t)) * sigma", "(1 - t) * sigma", "1 - tanh instead of 1 - tanh²"),
        Mistake("tanh_of_exponential", "t = np.tanh(np.logaddexp(0, x))", "t = np.tanh(np.exp(x))",
                "the logarithm of the softplus forgotten"),
    ),
)
