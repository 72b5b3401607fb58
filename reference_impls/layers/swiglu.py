"""SwiGLU: values, gated by a silu.

    forward      y      = g σ(g) v                 gate g, value v, y of one shape; σ(g) = 1 / (1 + exp(-g))
    backward     dgate  = dy v σ (1 + g (1 - σ))
                 dvalue = dy g σ

No kinks. In a transformer's feed-forward layer g = x W and v = x V are two dense layers of one input.
Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202 (2020), equation 6.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise, same_shape


def output_shape(inputs, params):
    """The shape that gate and value share."""
    return same_shape(inputs)


def numpy_forward(p, gate, value):
    """Forward: y = g σ(g) v."""
    sigma = 1 / (1 + np.exp(-gate))
    return gate * sigma * value, (gate, value, sigma)


def numpy_backward(p, saved, dy):
    """Backward: dgate = dy v σ (1 + g (1 - σ)), dvalue = dy g σ."""
    gate, value, sigma = saved
    dvalue = dy * (gate * sigma)
    dgate = dy * value * sigma * (1 + gate * (1 - sigma))
    return (dgate, dvalue), {}


def backward_by_terms(p, saved, dy):
    """Backward: the two terms of the product rule one by one, as jax has them."""
    gate, value, sigma = saved
    through = dy * value
    return (through * sigma + through * gate * sigma * (1 - sigma), dy * (gate * sigma)), {}


def torch_forward(torch, p, gate, value):
    """As transformers have it."""
    return torch.nn.functional.silu(gate) * value


def jax_forward(jax, p, gate, value):
    """As transformers have it."""
    return jax.nn.silu(gate) * value


swiglu = Operation(
    name="swiglu",
    kind="layer",
    summary="y = g σ(g) v",
    inputs=("gate", "value"),
    parts={"gate": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_terms),),
    separable=elementwise,
    mistakes=(
        Mistake("exchanged", "return (dgate, dvalue), {}", "return (dvalue, dgate), {}",
                "the gradients of gate and value exchanged"),
        Mistake("glu_slope", "sigma * (1 + gate * (1 - sigma))", "sigma * (1 - sigma)",
                "the gate's slope of the plain GLU"),
        Mistake("gate_without_input", "dvalue = dy * (gate * sigma)", "dvalue = dy * sigma",
                "the value gated by σ(g) on the way back, by g σ(g) on the way there"),
    ),
)
