"""Softplus, a smooth ReLU; as torch has it, with the identity where it is nearly that.

    forward      y  = log(1 + exp(b x)) / b where b x <= threshold, else x      x, y of any shape; b = beta
    backward     dx = dy / (1 + exp(-b x)) where b x <= threshold, else dy

The threshold is part of the function, not of its rounding: at b x = 20, its default in torch, y jumps by 2.1e-9 / b and
the slope by 2.1e-9. float32 does not show it; float64 does, up to b x = 36 or so. jax has no threshold, so between
the two `jax.nn.softplus(x)` against `torch.nn.functional.softplus(x)` is a mismatch. It is none with threshold = 40,
where the sides differ by less than float64 has digits: that is how to ask for the function without a threshold.
Kink: b x = threshold, a jump of y and dy/dx; at the threshold itself all three implementations take the logarithm.
Dugas, Bengio, Bélisle, Nadeau, Garcia, Incorporating Second-Order Functional Knowledge for Better Option Pricing,
NeurIPS 2000; the threshold: documentation of `torch.nn.Softplus`.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant, elementwise


def output_shape(inputs, params, *, beta, threshold):
    """The shape of x."""
    if beta == 0:
        raise Misfit("needs a beta other than 0, got 0: y is divided by it")
    return inputs[0]


def numpy_forward(p, x, *, beta, threshold):
    """Forward: y = log(1 + exp(b x)) / b where b x <= threshold, else x."""
    z = beta * x
    linear = z > threshold
    return np.where(linear, x, np.logaddexp(0, z) / beta), (z, linear)


def numpy_backward(p, saved, dy, *, beta, threshold):
    """Backward: dx = dy / (1 + exp(-b x)) where b x <= threshold, else dy."""
    z, linear = saved
    return (np.where(linear, dy, dy / (1 + np.exp(-z))),), {}


def backward_by_exponential(p, saved, dy, *, beta, threshold):
    """Backward: dy / b exp(z - log(1 + exp z)) b, with z = b x, which is how jax differentiates its softplus."""
    z, linear = saved
    return (np.where(linear, dy, dy / beta * np.exp(z - np.logaddexp(0, z)) * beta),), {}


def torch_forward(torch, p, x, *, beta, threshold):
    """The functional form of `torch.nn.Softplus`."""
    return torch.nn.functional.softplus(x, beta, threshold)


def jax_forward(jax, p, x, *, beta, threshold):
    """torch's function in jax, whose own softplus has neither hyperparameter."""
    scaled = beta * x
    return jax.numpy.where(scaled > threshold, x, jax.nn.softplus(scaled) / beta)


softplus = Operation(
    name="softplus",
    kind="layer",
    summary="y = log(1 + exp(b x)) / b, and x where b x is above the threshold",
    inputs=("x",),
    hypers={
        "beta": HyperSpec(default=1.0, low=0.0, typical=(0.3, 2.0), meaning="how sharp the bend is, b"),
        "threshold": HyperSpec(default=20.0, low=0.0, typical=(1.0, 5.0, 40.0), meaning="b x above which y = x"),
    },
    kinks=("beta x = threshold: a jump",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_exponential),),
    range="nonnegative",
    separable=elementwise,
    mistakes=(
        Mistake(
            "threshold_forgotten", "np.where(linear, x, np.logaddexp(0, z) / beta)", "np.logaddexp(0, z) / beta",
            "softplus without a threshold beside one that has it: torch against jax, literally",
        ),
        Mistake(
            "inner_slope_counted_twice", "dy / (1 + np.exp(-z))", "dy * beta / (1 + np.exp(-z))",
            "the inner derivative b, which cancels against the division by b",
        ),
        Mistake("beta_forgotten", "z = beta * x", "z = x", "x is not multiplied by b, though y is divided by it"),
        Mistake(
            "slope_of_sigmoid", "dy / (1 + np.exp(-z))", "dy * np.exp(-z) / np.square(1 + np.exp(-z))",
            "sigmoid' instead of sigmoid: differentiated once too often",
        ),
    ),
)
