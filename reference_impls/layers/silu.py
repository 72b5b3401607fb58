"""Sigmoid linear unit, also called swish: x times its own gate.

    forward      y  = x σ(x)                       x, y of any shape; σ(x) = 1 / (1 + exp(-x))
    backward     dx = dy σ (1 + x (1 - σ))         because σ' = σ (1 - σ)

No kinks. Far left exp(-x) overflows and y is 0. torch divides, x / (1 + exp(-x)).
Elfwing, Uchibe, Doya, Sigmoid-weighted linear units, Neural Networks 107 (2018); Ramachandran, Zoph, Le, Searching for
activation functions, arXiv:1710.05941 (2017).
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x σ(x)."""
    sigma = 1 / (1 + np.exp(-x))
    return x * sigma, (x, sigma)


def numpy_backward(p, saved, dy):
    """Backward: dx = dy σ (1 + x (1 - σ))."""
    x, sigma = saved
    return (dy * sigma * (1 + x * (1 - sigma)),), {}


def backward_by_terms(p, saved, dy):
    """Backward: the two terms of the product rule one by one, as jax has them."""
    x, sigma = saved
    return ((dy * sigma, dy * x * sigma * (1 - sigma)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.SiLU`."""
    return torch.nn.functional.silu(x)


def jax_forward(jax, p, x):
    """Also called `jax.nn.swish`."""
    return jax.nn.silu(x)


silu = Operation(
    name="silu",
    kind="layer",
    summary="y = x σ(x)",
    inputs=("x",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_terms),),
    separable=elementwise,
    mistakes=(
        Mistake("gate_alone", "dy * sigma * (1 + x * (1 - sigma))", "dy * sigma", "the gate taken for a constant"),
        Mistake("slope_of_gate_alone", "dy * sigma * (1 + x * (1 - sigma))", "dy * x * sigma * (1 - sigma)",
                "the first term of the product rule forgotten"),
        Mistake("output_for_input", "return x * sigma, (x, sigma)", "return x * sigma, (x * sigma, sigma)",
                "y saved where x is needed"),
    ),
)
