"""AMSGrad: Adam whose root never shrinks. Three definitions are in use; they differ in what the maximum is taken of.

    m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²          both start at 0, and v̄ too

    maximum "raw"        v̄ ← max(v̄, v)               w ← w - lr m̂ / (√(v̄ / (1 - β₂ᵗ)) + ε)       torch
            "corrected"  v̄ ← max(v̄, v / (1 - β₂ᵗ))   w ← w - lr m̂ / (√v̄ + ε)                    optax
            "plain"      v̄ ← max(v̄, v)               w ← w - lr m / (√v̄ + ε)                     the paper, and optax

with m̂ = m / (1 - β₁ᵗ), t = 1, 2, ... Continuous where the two of a maximum are equal.
Reddi, Kale, Kumar, On the Convergence of Adam and Beyond, ICLR 2018, Algorithm 2; the paper has no ε.
"""

import math

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, **hypers):
    """All start at 0."""
    return {"m": np.zeros_like(w), "v": np.zeros_like(w), "v_max": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, beta1, beta2, eps, maximum):
    """The table above."""
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * np.square(g)
    v_max = np.maximum(state["v_max"], v / (1 - beta2**t) if maximum == "corrected" else v)
    m_hat = m if maximum == "plain" else m / (1 - beta1**t)
    v_hat = v_max / (1 - beta2**t) if maximum == "raw" else v_max
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), {"m": m, "v": v, "v_max": v_max}


def update_as_torch(w, g, state, t, *, lr, beta1, beta2, eps, maximum):
    """The same step in torch's order: m by interpolation, the corrections drawn out of the quotient."""
    if maximum != "raw":
        return numpy_update(w, g, state, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps, maximum=maximum)
    m = state["m"] + (1 - beta1) * (g - state["m"])
    v = beta2 * state["v"] + (1 - beta2) * g * g
    v_max = np.maximum(state["v_max"], v)
    root = np.sqrt(v_max) / (1 - beta2**t) ** 0.5 + eps
    return w - lr / (1 - beta1**t) * (m / root), {"v_max": v_max, "m": m, "v": v}


def torch_optimizer(torch, params, *, lr, beta1, beta2, eps, maximum):
    """Torch's own."""
    if maximum != "raw":
        raise NotSupportedError("torch.optim.Adam corrects the bias after AMSGrad's maximum is taken")
    return torch.optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps, amsgrad=True)


def torch_state(state):
    """Torch's names."""
    return {"m": state["exp_avg"], "v": state["exp_avg_sq"], "v_max": state["max_exp_avg_sq"]}


def optax_optimizer(optax, *, lr, beta1, beta2, eps, maximum):
    """Optax's own."""
    if maximum == "raw":
        raise NotSupportedError("optax.amsgrad corrects the bias of v before it takes the maximum, or not at all")
    corrected = maximum == "corrected"
    return optax.amsgrad(
        lr, b1=beta1, b2=beta2, eps=eps, bias_correction_mu=corrected, bias_correction_nu=corrected
    )


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_amsgrad`; optax's names."""
    return {"m": state[0].mu[name], "v": state[0].nu[name], "v_max": state[0].nu_max[name]}


amsgrad = Optimizer(
    name="amsgrad",
    summary="w - lr m̂ / (√v̄ + ε), with v̄ the largest v so far",
    slots=("m", "v", "v_max"),
    hypers={
        "lr": HyperSpec(default=1e-3, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "beta2": HyperSpec(default=0.999, low=0.0, high=BELOW_ONE, meaning="memory of the squared gradient"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε, added to the root"),
        "maximum": HyperSpec(default="raw", choices=("raw", "corrected", "plain"), meaning="what it is taken of"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    variants=(update_as_torch,),
    mistakes=(
        Mistake(
            "maximum_forgotten",
            'v_max = np.maximum(state["v_max"], v / (1 - beta2**t) if maximum == "corrected" else v)',
            'v_max = v / (1 - beta2**t) if maximum == "corrected" else v',
            "plain Adam: the root shrinks again",
        ),
        Mistake(
            "other_librarys_maximum",
            'np.maximum(state["v_max"], v / (1 - beta2**t) if maximum == "corrected" else v)',
            'np.maximum(state["v_max"], v / (1 - beta2**t)); maximum = "corrected"',
            "optax's definition in torch's place",
        ),
        Mistake(
            "maximum_kept_as_v", '{"m": m, "v": v, "v_max": v_max}', '{"m": m, "v": v_max, "v_max": v_max}',
            "the mean of squares continues from the maximum",
        ),
        Mistake("correction_off_by_one", "m / (1 - beta1**t)", "m / (1 - beta1 ** (t + 1))", "counted from 2"),
    ),
)
