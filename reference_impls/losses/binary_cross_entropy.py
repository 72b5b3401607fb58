"""Binary cross-entropy on probabilities q, such as a sigmoid's output.

    forward      L = -sum of (t log q + (1 - t) log(1 - q)) / n        q, t of one shape; L a scalar; n: `_reduction`
    backward     dq = dL ((1 - t) / (1 - q) - t / q) / n
                 dt = dL (log(1 - q) - log q) / n

With `clip` c > 0, q is first limited to [c, 1 - c], and dq is 0 outside: a kink at both edges. An edge itself
counts as inside, as in torch; `jnp.clip` halves the derivative there. In float32 1 - 1e-8 is 1, so that a clip below
2**-25 leaves q = 1 as it is, and every such program is infinite where real arithmetic is not.

Without clip, q = 0 and q = 1 give infinities, and 0 log 0 is not a number. There `torch.nn.BCELoss` goes its own way:
it limits each logarithm to at least -100, and writes dq = dL (q - t) / max(q (1 - q), 1e-12) / n. Where q (1 - q) is
below 1e-12 that is another gradient, and not that of its loss. It also refuses NaN, which it says is not in [0, 1].
Bishop, Pattern Recognition and Machine Learning (2006), equation 4.90.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant
from reference_impls.losses._reduction import REDUCTION, divisor, output_shape, reduced, separable


def numpy_forward(p, q, t, *, reduction, samples_axis, clip):
    """Forward: L = -sum of (t log q + (1 - t) log(1 - q)) / n."""
    inside = True
    if clip > 0:
        inside = (q >= clip) & (q <= 1 - clip)
        q = np.where(inside, q, np.clip(q, clip, 1 - clip))
    log_yes, log_no = np.log(q), np.log(1 - q)
    L = -np.sum(t * log_yes + (1 - t) * log_no) / divisor(q.shape, reduction, samples_axis)
    return L, (q, t, inside, log_yes, log_no)


def numpy_backward(p, saved, dL, *, reduction, samples_axis, clip):
    """Backward: dq = dL ((1 - t) / (1 - q) - t / q) / n, and 0 where clipped."""
    q, t, inside, log_yes, log_no = saved
    n = divisor(q.shape, reduction, samples_axis)
    dq = np.where(inside, dL * ((1 - t) / (1 - q) - t / q) / n, 0)
    dt = dL * (log_no - log_yes) / n
    return (dq, dt), {}


def backward_by_one_fraction(p, saved, dL, *, reduction, samples_axis, clip):
    """Backward: dq = dL (q - t) / (q (1 - q)) / n, as torch does."""
    q, t, inside, log_yes, log_no = saved
    n = divisor(q.shape, reduction, samples_axis)
    return (np.where(inside, dL * (q - t) / (q * (1 - q)) / n, 0), dL * (log_no - log_yes) / n), {}


def backward_of_logarithms(p, saved, dL, *, reduction, samples_axis, clip):
    """Backward: each logarithm's own gradient, -dL t / n and -dL (1 - t) / n, first: jax's order."""
    q, t, inside, log_yes, log_no = saved
    one = dL / divisor(q.shape, reduction, samples_axis)
    no, yes = np.where(inside, one * (1 - t) / (1 - q), 0), np.where(inside, one * t / q, 0)
    return ((no, -yes), (one * log_no, -(one * log_yes))), {}


def torch_forward(torch, p, q, t, *, reduction, samples_axis, clip):
    """The functional form of `torch.nn.BCELoss`."""
    binary_cross_entropy = torch.nn.functional.binary_cross_entropy
    q = q.clamp(clip, 1 - clip) if clip > 0 else q
    if reduction == "mean":
        return binary_cross_entropy(q, t)
    return binary_cross_entropy(q, t, reduction="sum") / divisor(q.shape, reduction, samples_axis)


def jax_forward(jax, p, q, t, *, reduction, samples_axis, clip):
    """As on paper: neither jax nor optax has one for probabilities."""
    jnp = jax.numpy
    q = jnp.clip(q, clip, 1 - clip) if clip > 0 else q
    return reduced(-(t * jnp.log(q) + (1 - t) * jnp.log(1 - q)), reduction, samples_axis)


binary_cross_entropy = Operation(
    name="binary_cross_entropy",
    kind="loss",
    summary="L = -sum of (t log q + (1 - t) log(1 - q)) / n",
    inputs=("probability", "target"),
    hypers={
        **REDUCTION,
        "clip": HyperSpec(default=0.0, low=0.0, high=0.25, typical=(1e-6, 0.125), meaning="c; 0 does not clip"),
    },
    kinks=("probability = clip and probability = 1 - clip, when clip > 0",),
    parts={"probability": 2, "target": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_backward=backward_by_one_fraction),
        Variant(who="jax", numpy_backward=backward_of_logarithms),
    ),
    domains={"probability": "probability", "target": "probability"},
    separable=separable,
    mistakes=(
        Mistake(
            "mean_forgotten", "dL * ((1 - t) / (1 - q) - t / q) / n, 0)", "dL * ((1 - t) / (1 - q) - t / q), 0)",
            "1/m missing from the gradient",
        ),
        Mistake(
            "one_class", "dL * ((1 - t) / (1 - q) - t / q) / n, 0)", "dL * (-t / q) / n, 0)",
            "the term of the samples with target 0 forgotten",
        ),
    ),
)
