"""Gaussian error linear unit in its tanh form, which stands for the exact one.

    forward      y  = x (1 + t) / 2                            x, y of any shape
                 t  = tanh(c (x + a x³))                       c = √(2/π), a = 0.044715
    backward     dx = dy ((1 + t) / 2 + x (1 - t²) c (1 + 3 a x²) / 2)

No kinks. It differs from the card gelu by up to 5e-4. jax takes this form by default, torch for approximate="tanh".
The constant a is a decimal by definition; π is the float64 number, as in all three.
Hendrycks, Gimpel, Gaussian Error Linear Units, arXiv:1606.08415 (2016), section 2.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x (1 + tanh(c (x + a x³))) / 2."""
    c = np.sqrt(2 / np.full_like(x, np.pi))
    t = np.tanh(c * (x + 0.044715 * x**3))
    return x * (1 + t) / 2, (x, t)


def numpy_backward(p, saved, dy):
    """Backward: dx = dy ((1 + t) / 2 + x (1 - t²) c (1 + 3 a x²) / 2)."""
    x, t = saved
    c = np.sqrt(2 / np.full_like(x, np.pi))
    inner = c * (1 + 0.044715 * (3 * np.square(x)))
    return (dy * ((1 + t) / 2 + x * (1 - np.square(t)) * inner / 2),), {}


def backward_by_factors(p, saved, dy):
    """Backward: (1 - t²) as (1 + t)(1 - t), and each product of the chain rule for itself, as jax multiplies out."""
    x, t = saved
    c = np.sqrt(2 / np.full_like(x, np.pi))
    through = dy * x / 2
    through = (through + through * t) * (1 - t) * c
    return ((dy * ((1 + t) / 2), through + through * 0.044715 * (3 * np.square(x))),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.GELU(approximate="tanh")`."""
    return torch.nn.functional.gelu(x, approximate="tanh")


def jax_forward(jax, p, x):
    """With jax, the default."""
    return jax.nn.gelu(x)


gelu_tanh = Operation(
    name="gelu_tanh",
    kind="layer",
    summary="y = x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2",
    inputs=("x",),
    parts={"x": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_factors),),
    separable=elementwise,
    mistakes=(
        Mistake("constant", "t = np.tanh(c * (x + 0.044715 * x**3))", "t = np.tanh(c * (x + 0.04715 * x**3))",
                "a digit of the constant a lost"),
        Mistake("inner_slope", "inner = c * (1 + 0.044715 * (3 * np.square(x)))", "inner = c",
                "the slope of x + a x³ taken for 1"),
        Mistake("without_product_rule", "(dy * ((1 + t) / 2 + x * (1 - np.square(t)) * inner / 2),)",
                "(dy * (x * (1 - np.square(t)) * inner / 2),)", "the first term of the product rule forgotten"),
        Mistake("slope_of_tanh", "x * (1 - np.square(t)) * inner", "x * (1 - t) * inner",
                "1 - tanh instead of 1 - tanh²"),
    ),
)
