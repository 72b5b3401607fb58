"""Gaussian error linear unit, exact: x times the probability that a standard normal number is below x.

    forward      y  = x Φ(x)                       x, y of any shape; Φ(x) = (1 + erf(x / √2)) / 2
    backward     dx = dy (Φ(x) + x φ(x))           φ(x) = Φ'(x) = exp(-x² / 2) / √(2π)

No kinks. torch takes this form by default, jax only for approximate=False: its default is the card gelu_tanh, up to
5e-4 off. jax has erfc(-x / √2) for 1 + erf(x / √2), and so keeps its digits far left, where the sum cancels. In float32
torch takes erf by Abramowitz, Stegun, Handbook of Mathematical Functions (1964), 7.1.26, which is 1.5e-7 off at most:
on the way back of two numbers or more, and forward where oneDNN has no tables of polynomials (the budget of erf).
Hendrycks, Gimpel, Gaussian Error Linear Units, arXiv:1606.08415 (2016), section 2.
"""

import numpy as np
from scipy.special import erf

from harness.errors import NotSupportedError
from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x Φ(x)."""
    if isinstance(x, np.ndarray) and x.dtype == np.float16:
        raise NotSupportedError("numpy: scipy's erf has no float16")
    cdf = (1 + erf(x / np.sqrt(np.full_like(x, 2.0)))) / 2
    return x * cdf, (x, cdf)


def numpy_backward(p, saved, dy):
    """Backward: dx = dy (Φ(x) + x φ(x)), by the product rule."""
    x, cdf = saved
    pdf = np.exp(-np.square(x) / 2) / np.sqrt(np.full_like(x, 2 * np.pi))
    return (dy * (cdf + x * pdf),), {}


def forward_by_polynomial(p, x):
    """Forward: in float32, erf z = 1 - (a₁ s + a₂ s² + ... + a₅ s⁵) exp(-z²), s = 1 / (1 + 0.3275911 z), for z > 0."""
    if x.dtype != np.float32:
        return numpy_forward(p, x)
    z = np.abs(x) / np.sqrt(np.full_like(x, 2.0))
    s = 1 / (1 + 0.3275911 * z)
    r = 0.254829592 + s * (-0.284496736 + s * (1.421413741 + s * (-1.453152027 + s * 1.061405429)))
    cdf = (1 + np.sign(x) * (1 - s * r * np.exp(-np.square(z)))) / 2
    return x * cdf, (x, cdf)


def backward_by_polynomial(p, saved, dy):
    """Backward: with that erf."""
    return numpy_backward(p, forward_by_polynomial(p, saved[0])[1], dy)


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.GELU`."""
    return torch.nn.functional.gelu(x)


def jax_forward(jax, p, x):
    """Without `approximate=False` it would be `gelu_tanh`."""
    return jax.nn.gelu(x, approximate=False)


gelu = Operation(
    name="gelu",
    kind="layer",
    summary="y = x Φ(x)",
    inputs=("x",),
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_by_polynomial, numpy_backward=backward_by_polynomial),
    ),
    separable=elementwise,
    mistakes=(
        Mistake("slope_without_density", "(dy * (cdf + x * pdf),)", "(dy * cdf,)", "x φ(x) of the product rule lost"),
        Mistake("density_not_halved", "np.exp(-np.square(x) / 2)", "np.exp(-np.square(x))", "φ without the 2 of x²/2"),
        Mistake(
            "argument_not_scaled", "cdf = (1 + erf(x / np.sqrt(np.full_like(x, 2.0)))) / 2", "cdf = (1 + erf(x)) / 2",
            "erf(x) for erf(x / √2): another normal distribution",
        ),
        Mistake(
            "density_constant", "np.sqrt(np.full_like(x, 2 * np.pi))", "(2 * np.pi)",
            "φ divided by 2π instead of its root",
        ),
    ),
)
