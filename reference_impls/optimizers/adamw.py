"""AdamW: Adam, and weight decay beside it.

    m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²          both start at 0
    m̂ = m / (1 - β₁ᵗ)              v̂ = v / (1 - β₂ᵗ)              t = 1, 2, ...
    w ← w - lr (m̂ / (√v̂ + ε) + λ w)                                decoupled: no mean sees the decay

Torch shrinks w by 1 - lr λ first. The paper's own λ is not multiplied by lr; both libraries' is.
The libraries' defaults for λ differ: 0.01 in torch, 0.0001 in optax.
Loshchilov, Hutter, Decoupled Weight Decay Regularization, ICLR 2019, Algorithm 2.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, **hypers):
    """Both running means start at 0."""
    return {"m": np.zeros_like(w), "v": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, beta1, beta2, eps, weight_decay):
    """Step t of Algorithm 2."""
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * np.square(g)
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * w), {"m": m, "v": v}


def update_as_torch(w, g, state, t, *, lr, beta1, beta2, eps, weight_decay):
    """The same step in torch's order: the decay first, m by interpolation, the corrections out of the quotient."""
    w = w * (1 - lr * weight_decay)
    m = state["m"] + (1 - beta1) * (g - state["m"])
    v = beta2 * state["v"] + (1 - beta2) * g * g
    root = np.sqrt(v) / (1 - beta2**t) ** 0.5 + eps
    return w - lr / (1 - beta1**t) * (m / root), {"m": m, "v": v}


def torch_optimizer(torch, params, *, lr, beta1, beta2, eps, weight_decay):
    """Torch's own."""
    return torch.optim.AdamW(params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def torch_state(state):
    """Torch's names for m and v."""
    return {"m": state["exp_avg"], "v": state["exp_avg_sq"]}


def optax_optimizer(optax, *, lr, beta1, beta2, eps, weight_decay):
    """Optax's own."""
    return optax.adamw(lr, b1=beta1, b2=beta2, eps=eps, weight_decay=weight_decay)


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_adam`; optax's names for m and v."""
    return {"m": state[0].mu[name], "v": state[0].nu[name]}


adamw = Optimizer(
    name="adamw",
    summary="w - lr (m̂ / (√v̂ + ε) + λ w)",
    slots=("m", "v"),
    hypers={
        "lr": HyperSpec(default=1e-3, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "beta2": HyperSpec(default=0.999, low=0.0, high=BELOW_ONE, meaning="memory of the squared gradient"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε, added to the root"),
        "weight_decay": HyperSpec(default=0.01, low=0.0, typical=(1.0,), meaning="λ"),
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
            "decay_coupled",
            'm = beta1 * state["m"] + (1 - beta1) * g',
            'g = g + weight_decay * w; weight_decay = 0; m = beta1 * state["m"] + (1 - beta1) * g',
            "the decay added to the gradient, as in Adam: the root divides it away",
        ),
        Mistake(
            "decay_without_rate",
            "lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * w)",
            "lr * m_hat / (np.sqrt(v_hat) + eps) - weight_decay * w",
            "the paper's decay, not multiplied by the rate",
        ),
        Mistake(
            "without_correction", "m_hat = m / (1 - beta1**t)", "m_hat = m",
            "the first moment's bias is not corrected",
        ),
        Mistake("eps_inside_root", "np.sqrt(v_hat) + eps", "np.sqrt(v_hat + eps)", "ε inside the root"),
    ),
)
