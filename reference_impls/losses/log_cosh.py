"""Log-cosh: like half the square near the target, like the absolute value far from it, and smooth everywhere.

    forward      d = prediction - target           both of one shape
                 L = sum of log cosh d / n         a scalar; n by `reduction`, see `_reduction`
    backward     dprediction =  dL tanh(d) / n
                 dtarget     = -dL tanh(d) / n

log cosh d is computed as log(exp d + exp(-d)) - log 2: cosh overflows at 711 (89 in float32). Near d = 0, where it is
d² / 2, the two logarithms cancel, and of a small loss no digit is left; the gradient keeps all.

No kinks. `optax.log_cosh`; torch has none, and the second derivative of its `logaddexp` is NaN where exp(2 |d|)
overflows.
Chen et al., Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder (2019).
"""

import math

import numpy as np

from harness.spec import Mistake, Operation, Variant
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, reduced, separable


def numpy_forward(p, prediction, target, *, reduction, samples_axis):
    """Forward: L = sum of (log(exp d + exp(-d)) - log 2) / n."""
    d = prediction - target
    losses = np.logaddexp(d, -d) - np.log(np.full_like(d, 2.0))
    return np.sum(losses) / divisor(d.shape, reduction, samples_axis), d


def numpy_backward(p, d, dL, *, reduction, samples_axis):
    """Backward: dprediction = dL tanh(d) / n, and the opposite for the target."""
    dprediction = dL * np.tanh(d) / divisor(d.shape, reduction, samples_axis)
    return (dprediction, -dprediction), {}


def backward_by_shares(p, d, dL, *, reduction, samples_axis):
    """Backward: exp(d - s) - exp(-d - s) with s = log(exp d + exp(-d)), as autodiff of the logarithm has it."""
    total = np.logaddexp(d, -d)
    dprediction = dL * (np.exp(d - total) - np.exp(-d - total)) / divisor(d.shape, reduction, samples_axis)
    return (dprediction, -dprediction), {}


def torch_forward(torch, p, prediction, target, *, reduction, samples_axis):
    """As on paper."""
    d = prediction - target
    return reduced(torch.logaddexp(d, -d) - math.log(2.0), reduction, samples_axis)


def jax_forward(jax, p, prediction, target, *, reduction, samples_axis):
    """Optax's."""
    import optax

    return reduced(optax.log_cosh(prediction, target), reduction, samples_axis)


log_cosh = Operation(
    name="log_cosh",
    kind="loss",
    summary="L = sum of log cosh(prediction - target) / n",
    inputs=("prediction", "target"),
    hypers=REDUCTION,
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch and jax", numpy_backward=backward_by_shares),),
    separable=separable,
    mistakes=(
        Mistake("slope_of_cosh", "dL * np.tanh(d)", "dL * (np.exp(d) - np.exp(-d)) / 2", "sinh instead of tanh"),
        Mistake(
            "mean_forgotten", "dL * np.tanh(d) / divisor(d.shape, reduction, samples_axis)", "dL * np.tanh(d)",
            "1/m missing from the gradient of a mean",
        ),
        Mistake(
            "log_two_forgotten", "np.logaddexp(d, -d) - np.log(np.full_like(d, 2.0))", "np.logaddexp(d, -d)",
            "the loss is log 2 too high for every element; no gradient tells",
        ),
    ),
)
