"""Numbers kept between two limits.

    forward      y  = min(max(x, low), high)       x, y of any shape
    backward     dx = dy where low < x < high, else 0

Kinks: x = low and x = high, where any slope from 0 to 1 is a subgradient. Here it is 0; torch.clamp of torch 2.13 has 1
(0 from 2.14 on), jax.numpy.clip 1/2.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, elementwise


def output_shape(inputs, params, *, low, high):
    """The shape of x."""
    if low > high:
        raise Misfit(f"needs low of at most high, got low {low} and high {high}")
    return inputs[0]


def numpy_forward(p, x, *, low, high):
    """Forward: y = min(max(x, low), high); what lies inside is decided here, once."""
    inside = (x > low) & (x < high)
    return np.clip(x, low, high), inside


def numpy_backward(p, inside, dy, *, low, high):
    """Backward: dx = dy where inside, else 0."""
    return (np.where(inside, dy, 0),), {}


def torch_forward(torch, p, x, *, low, high):
    """Also called `torch.clip`."""
    return torch.clamp(x, low, high)


def jax_forward(jax, p, x, *, low, high):
    """As in NumPy."""
    return jax.numpy.clip(x, low, high)


clip = Operation(
    name="clip",
    kind="layer",
    summary="y = min(max(x, low), high)",
    inputs=("x",),
    hypers={
        "low": HyperSpec(typical=(-1.0, 0.0, -0.5), meaning="the least that y may be"),
        "high": HyperSpec(typical=(1.0, 0.5, 6.0), meaning="the most that y may be"),
    },
    kinks=("x = low", "x = high"),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake("gate_forgotten", "return (np.where(inside, dy, 0),), {}", "return (dy,), {}",
                "the gradient passes where x is beyond the limits"),
        Mistake("one_side_alone", "inside = (x > low) & (x < high)", "inside = x > low", "the upper limit forgotten"),
        Mistake("gradient_clipped", "return (np.where(inside, dy, 0),), {}", "return (np.clip(dy, low, high),), {}",
                "the gradient kept between the limits, instead of x"),
    ),
)
