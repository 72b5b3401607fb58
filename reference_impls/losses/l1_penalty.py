"""L1 penalty on one parameter, also called the lasso.

    forward      L  = s (sum of |w|)               w of any shape, s the strength; L a scalar
    backward     dw = dL s sign(w)

Kink: w = 0, where any slope from -s to s is a subgradient. NumPy here and torch take 0; jax takes s, because
its derivative of `jnp.abs` is 1 at 0. A weight that starts at 0 therefore stays there in two implementations
and leaves in the third, and all three are right.
Tibshirani, Regression Shrinkage and Selection via the Lasso, J. R. Statist. Soc. B 58 (1996).
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation


def output_shape(inputs, params, *, strength):
    """A scalar."""
    return ()


def numpy_forward(p, *, strength):
    """Forward: L = s (sum of |w|); the signs are decided here, once."""
    return strength * np.sum(np.abs(p["w"])), np.sign(p["w"])


def numpy_backward(p, signs, dL, *, strength):
    """Backward: dw = dL s sign(w)."""
    return (), {"w": dL * (strength * signs)}


def torch_forward(torch, p, *, strength):
    """As on paper."""
    return strength * p["w"].abs().sum()


def jax_forward(jax, p, *, strength):
    """As on paper."""
    return strength * jax.numpy.abs(p["w"]).sum()


l1_penalty = Operation(
    name="l1_penalty",
    kind="penalty",
    summary="L = s (sum of |w|)",
    inputs=(),
    params=("w",),
    hypers={"strength": HyperSpec(low=0.0, typical=(0.5, 0.01), meaning="s")},
    kinks=("w = 0",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    mistakes=(
        Mistake(
            "without_sign", "dL * (strength * signs)", "dL * (strength * abs(signs))",
            "a constant pull instead of one toward zero",
        ),
        Mistake(
            "without_strength", "dL * (strength * signs)", "dL * signs",
            "the strength in the loss, but not in the gradient",
        ),
    ),
)
