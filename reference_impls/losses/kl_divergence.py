"""Kullback-Leibler divergence of predicted log-probabilities from a target distribution t.

    log_target   False    L    = sum of (t log t - t log_q) / n      log_q, t of one shape; a scalar; n: `_reduction`
                 True     L    = sum of exp(u) (u - log_q) / n       u is the logarithm of the target
    backward     False    dlog_q = -dL t / n                         dt = dL (log t + 1 - log_q) / n
                 True     dlog_q = -dL exp(u) / n                    du = dL exp(u) (u - log_q + 1) / n

0 log 0 is 0, its limit; the derivative with respect to t goes to minus infinity there. So the hand-written one is
-infinity, torch's `xlogy` and a masked `jnp.log` give NaN, and no exact value exists. A target that is a constant, as
it should be, has no derivative. No kinks inside.

The prediction is a logarithm and the target is not, and the prediction comes first: in mathematics KL(t || q). Torch's
`reduction="mean"` averages over elements, which is no divergence's mean; its "batchmean" is "sample_mean" here. Optax
sums over the last axis. Bishop, Pattern Recognition and Machine Learning (2006), equation 1.113;
`torch.nn.KLDivLoss`, `optax.kl_divergence`.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, separable


def target_domain(*, log_target, **hypers):
    """A probability, or the logarithm of one, which need not be normalised."""
    return "real" if log_target else "probability"


def numpy_forward(p, log_q, t, *, reduction, samples_axis, log_target):
    """Forward: L = sum of t (log t - log_q) / n."""
    losses = np.exp(t) * (t - log_q) if log_target else np.where(t > 0, t * np.log(t), 0) - t * log_q
    return np.sum(losses) / divisor(t.shape, reduction, samples_axis), (log_q, t)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, log_target):
    """Backward: dlog_q = -dL t / n, and the target's by the product rule."""
    log_q, t = saved
    n = divisor(t.shape, reduction, samples_axis)
    if log_target:
        return (-dL * np.exp(t) / n, dL * np.exp(t) * (t - log_q + 1) / n), {}
    return (-dL * t / n, dL * (np.log(t) + 1 - log_q) / n), {}


def forward_by_difference(p, log_q, t, *, reduction, samples_axis, log_target):
    """Forward: the target times the difference of the logarithms, as optax does."""
    if log_target:
        return numpy_forward(p, log_q, t, reduction=reduction, samples_axis=samples_axis, log_target=log_target)
    losses = t * (np.where(t > 0, np.log(t), 0) - log_q)
    return np.sum(losses) / divisor(t.shape, reduction, samples_axis), None


def backward_by_products(p, saved, dL, *, reduction, samples_axis, log_target):
    """Backward: every product differentiated by itself and added up, as autodiff does."""
    log_q, t = saved
    one = dL / divisor(t.shape, reduction, samples_axis)
    if log_target:
        return (-(one * np.exp(t)), (one * (t - log_q) * np.exp(t), one * np.exp(t))), {}
    return (-(one * t), (one * (np.log(t) - log_q), one * np.ones_like(t))), {}


def torch_forward(torch, p, log_q, t, *, reduction, samples_axis, log_target):
    """The functional form of `torch.nn.KLDivLoss`; its own "mean" warns that it is no mean of divergences."""
    L = torch.nn.functional.kl_div(log_q, t, reduction="sum", log_target=log_target)
    return L / divisor(t.shape, reduction, samples_axis)


def jax_forward(jax, p, log_q, t, *, reduction, samples_axis, log_target):
    """Optax's, a divergence per row, added up."""
    import optax

    losses = optax.losses
    divergence = losses.kl_divergence_with_log_targets if log_target else losses.kl_divergence
    return divergence(log_q, t).sum() / divisor(t.shape, reduction, samples_axis)


kl_divergence = Operation(
    name="kl_divergence",
    kind="loss",
    summary="L = sum of t (log t - log_q) / n",
    inputs=("log_probability", "target"),
    hypers={**REDUCTION, "log_target": HyperSpec(default=False, choices=(False, True), meaning="whether t is a log")},
    parts={"target": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="optax", numpy_forward=forward_by_difference),
        Variant(who="torch and jax", numpy_backward=backward_by_products),
    ),
    domains={"target": target_domain},
    separable=separable,
    mistakes=(
        Mistake(
            "entropy_forgotten", "np.where(t > 0, t * np.log(t), 0) - t * log_q", "-t * log_q",
            "the cross-entropy: the same gradient for the prediction, another loss",
        ),
        Mistake(
            "arguments_exchanged", "return (-dL * t / n, dL", "return (-dL * np.exp(log_q) / n, dL",
            "the prediction's gradient weighted by the prediction: KL(q || t) half done",
        ),
        Mistake(
            "one_forgotten", "dL * np.exp(t) * (t - log_q + 1) / n", "dL * np.exp(t) * (t - log_q) / n",
            "the product rule half applied to a target that is a logarithm",
        ),
    ),
)
