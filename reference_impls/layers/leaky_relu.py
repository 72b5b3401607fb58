"""Leaky rectified linear unit: a small slope below 0 instead of none.

    forward      y  = x where x > 0, else a x            x, y of any shape; a = negative_slope
    backward     dx = dy where x > 0, else a dy

Kink: x = 0, where any slope from a to 1 is a subgradient. NumPy and torch take a, jax takes 1: its condition is x >= 0.
An implementation that differs there by that alone has the verdict `convention`.
The default slope is 0.01 in torch and jax; Keras's layer has 0.3.
Maas, Hannun, Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, ICML workshop 2013.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, elementwise


def output_shape(inputs, params, *, negative_slope):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x, *, negative_slope):
    """Forward: y = x where x > 0, else a x; which units are alive is decided here, once."""
    alive = x > 0
    return np.where(alive, x, negative_slope * x), alive


def numpy_backward(p, alive, dy, *, negative_slope):
    """Backward: dx = dy where alive, else a dy."""
    return (np.where(alive, dy, negative_slope * dy),), {}


def torch_forward(torch, p, x, *, negative_slope):
    """The functional form of `torch.nn.LeakyReLU`."""
    return torch.nn.functional.leaky_relu(x, negative_slope)


def jax_forward(jax, p, x, *, negative_slope):
    """The same function, but with slope 1 at 0."""
    return jax.nn.leaky_relu(x, negative_slope)


leaky_relu = Operation(
    name="leaky_relu",
    kind="layer",
    summary="y = x where x > 0, else a x",
    inputs=("x",),
    hypers={"negative_slope": HyperSpec(default=0.01, low=0.0, typical=(0.2, 0.5), meaning="the slope a below 0")},
    kinks=("x = 0",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    separable=elementwise,
    mistakes=(
        Mistake(
            "gate_of_relu", "np.where(alive, dy, negative_slope * dy)", "np.where(alive, dy, 0)",
            "the backward pass of a plain ReLU: nothing passes below 0",
        ),
        Mistake(
            "gate_forgotten", "np.where(alive, dy, negative_slope * dy)", "negative_slope * dy",
            "the small slope everywhere",
        ),
        Mistake(
            "slope_of_another_library", "negative_slope * dy", "0.3 * dy",
            "another library's default slope written into the backward pass",
        ),
        Mistake(
            "slope_as_divisor", "np.where(alive, x, negative_slope * x)", "np.where(alive, x, x / negative_slope)",
            "x / a, as some papers write it, with an a that was meant as a factor",
        ),
    ),
)
