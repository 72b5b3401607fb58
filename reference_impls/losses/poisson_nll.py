"""Negative log-likelihood of counts t under a Poisson distribution, without its constant log t!.

    log_input    True     L  = sum of (exp(x) - t x) / n             x is the logarithm of the rate; n: `_reduction`
                 False    L  = sum of (x - t log(x + ε)) / n         x is the rate itself
    backward     True     dx = dL (exp(x) - t) / n                   dt = -dL x / n
                 False    dx = dL (1 - t / (x + ε)) / n              dt = -dL log(x + ε) / n

x, t of one shape; L a scalar. No kinks. `torch.nn.PoissonNLLLoss` with `full=False`; its `full=True` would add
Stirling's approximation of log t!, which has no gradient for x. Optax has none.
McCullagh, Nelder, Generalized Linear Models (1989), section 6.2.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, reduced, separable


def rate_domain(*, log_input, **hypers):
    """A rate is not negative; its logarithm may be."""
    return "real" if log_input else "nonnegative"


def numpy_forward(p, x, t, *, reduction, samples_axis, log_input, eps):
    """Forward: L = sum of (rate - t log rate) / n."""
    losses = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    return np.sum(losses) / divisor(x.shape, reduction, samples_axis), (x, t)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, log_input, eps):
    """Backward: dx = dL (exp(x) - t) / n, or dL (1 - t / (x + ε)) / n; dt = -dL log rate / n."""
    x, t = saved
    n = divisor(x.shape, reduction, samples_axis)
    if log_input:
        return (dL * (np.exp(x) - t) / n, -dL * x / n), {}
    return (dL * (1 - t / (x + eps)) / n, -dL * np.log(x + eps) / n), {}


def backward_by_terms(p, saved, dL, *, reduction, samples_axis, log_input, eps):
    """Backward: dL / n times each term by itself, which is how torch and jax add it up."""
    x, t = saved
    one = dL / divisor(x.shape, reduction, samples_axis)
    if log_input:
        return ((one * np.exp(x), -(one * t)), -(one * x)), {}
    return ((one * np.ones_like(x), -(one * t / (x + eps))), -(one * np.log(x + eps))), {}


def torch_forward(torch, p, x, t, *, reduction, samples_axis, log_input, eps):
    """The functional form of `torch.nn.PoissonNLLLoss`."""
    options = {"log_input": log_input, "eps": eps}
    if reduction == "mean":
        return torch.nn.functional.poisson_nll_loss(x, t, **options)
    L = torch.nn.functional.poisson_nll_loss(x, t, reduction="sum", **options)
    return L / divisor(x.shape, reduction, samples_axis)


def jax_forward(jax, p, x, t, *, reduction, samples_axis, log_input, eps):
    """As on paper."""
    jnp = jax.numpy
    losses = jnp.exp(x) - t * x if log_input else x - t * jnp.log(x + eps)
    return reduced(losses, reduction, samples_axis)


poisson_nll = Operation(
    name="poisson_nll",
    kind="loss",
    summary="L = sum of (rate - t log rate) / n",
    inputs=("prediction", "target"),
    hypers={
        **REDUCTION,
        "log_input": HyperSpec(default=True, choices=(True, False), meaning="whether x is the logarithm of the rate"),
        "eps": HyperSpec(default=1e-8, low=0.0, typical=(0.125,), meaning="ε, against log 0"),
    },
    parts={"prediction": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch and jax", numpy_backward=backward_by_terms),),
    domains={"prediction": rate_domain, "target": "nonnegative"},
    separable=separable,
    mistakes=(
        Mistake(
            "rate_for_log_rate", "losses = np.exp(x) - t * x", "losses = x - t * x",
            "the logarithm of the rate taken for the rate in one of the two terms",
        ),
        Mistake(
            "product_kept", "dL * (np.exp(x) - t) / n", "dL * (np.exp(x) - t * x) / n", "t x not differentiated",
        ),
        Mistake(
            "eps_forgotten", "dL * (1 - t / (x + eps)) / n", "dL * (1 - t / x) / n",
            "ε in the logarithm, but not in its derivative",
        ),
    ),
)
