"""NAdam: Adam with Nesterov's look ahead. Torch and optax differ in the momentum of the look ahead.

    m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²          both start at 0, t = 1, 2, ...
    m̂ = μₜ₊₁ m / (1 - Πₜ₊₁) + (1 - μₜ) g / (1 - Πₜ)                Πₜ = μ₁ μ₂ ... μₜ
    w ← w - lr m̂ / (√(v / (1 - β₂ᵗ)) + ε)

    momentum "rising"      μₜ = β₁ (1 - 0.96^(t ψ) / 2)            torch
             "constant"    μₜ = β₁, so Πₜ = β₁ᵗ                    optax

The slot `product` holds Πₜ where the momentum rises. Torch keeps it in float32 whatever the dtype of the parameters (in
its default dtype), which costs a float64 network half of its digits.
Dozat, Incorporating Nesterov Momentum into Adam, ICLR 2016 workshop, Algorithm 2; its v is multiplied by β₂ once more,
in neither library.
"""

import math

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer

BELOW_ONE = math.nextafter(1.0, 0.0)


def numpy_init(w, *, momentum, **others):
    """The means start at 0, the product of the momenta at 1."""
    state = {"m": np.zeros_like(w), "v": np.zeros_like(w)}
    return {**state, "product": np.ones((), w.dtype)} if momentum == "rising" else state


def momentum_at(t, dtype, beta1, momentum_decay):
    """μₜ: 0.96^(t ψ) as e^(t ψ log 0.96)."""
    fading = np.exp(t * momentum_decay * np.log(np.full_like(momentum_decay, 0.96)))
    return beta1 * (1 - 0.5 * fading.astype(dtype))


def numpy_update(w, g, state, t, *, lr, beta1, beta2, eps, momentum, momentum_decay):
    """Step t of Algorithm 2."""
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * np.square(g)
    root = np.sqrt(v / (1 - beta2**t)) + eps
    if momentum == "constant":
        m_hat = beta1 * m / (1 - beta1 ** (t + 1)) + (1 - beta1) * g / (1 - beta1**t)
        return w - lr * m_hat / root, {"m": m, "v": v}
    now, then = (momentum_at(step, g.dtype, beta1, momentum_decay) for step in (t, t + 1))
    product = state["product"] * now
    m_hat = then * m / (1 - product * then) + (1 - now) * g / (1 - product)
    return w - lr * m_hat / root, {"m": m, "v": v, "product": product}


def update_in_two(w, g, state, t, *, lr, beta1, beta2, eps, momentum, momentum_decay):
    """The same step in torch's order: m by interpolation, and w moved twice, for g and for m."""
    if momentum != "rising":
        return numpy_update(
            w, g, state, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps, momentum=momentum, momentum_decay=momentum_decay
        )
    m = state["m"] + (1 - beta1) * (g - state["m"])
    v = beta2 * state["v"] + (1 - beta2) * g * g
    root = np.sqrt(v / (1 - beta2**t)) + eps
    now, then = (momentum_at(step, g.dtype, beta1, momentum_decay) for step in (t, t + 1))
    product = state["product"] * now
    w = w - lr * (1 - now) / (1 - product) * (g / root)
    return w - lr * then / (1 - product * then) * (m / root), {"m": m, "v": v, "product": product}


def torch_optimizer(torch, params, *, lr, beta1, beta2, eps, momentum, momentum_decay):
    """Torch's own."""
    if momentum != "rising":
        raise NotSupportedError("torch.optim.NAdam lets the momentum rise")
    if params[0].dtype != torch.get_default_dtype():
        raise NotSupportedError("torch.optim.NAdam keeps the product of its momenta in the default dtype, float32")
    return torch.optim.NAdam(params, lr=lr, betas=(beta1, beta2), eps=eps, momentum_decay=momentum_decay)


def torch_state(state):
    """Torch's names."""
    return {"m": state["exp_avg"], "v": state["exp_avg_sq"], "product": state["mu_product"]}


def optax_optimizer(optax, *, lr, beta1, beta2, eps, momentum, momentum_decay):
    """Optax's own."""
    if momentum != "constant":
        raise NotSupportedError("optax.nadam keeps the momentum constant")
    return optax.nadam(lr, b1=beta1, b2=beta2, eps=eps)


def optax_state(state, name):
    """The first of the chained transformations is `scale_by_adam`; optax's names for m and v."""
    return {"m": state[0].mu[name], "v": state[0].nu[name]}


nadam = Optimizer(
    name="nadam",
    summary="Adam, and a look ahead along m",
    slots=("m", "v", "product"),
    hypers={
        "lr": HyperSpec(default=2e-3, low=0.0, typical=(0.1,), meaning="learning rate"),
        "beta1": HyperSpec(default=0.9, low=0.0, high=BELOW_ONE, meaning="memory of the gradient"),
        "beta2": HyperSpec(default=0.999, low=0.0, high=BELOW_ONE, meaning="memory of the squared gradient"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε, added to the root"),
        "momentum": HyperSpec(default="rising", choices=("rising", "constant"), meaning="how μ depends on t"),
        "momentum_decay": HyperSpec(default=0.004, low=0.0, typical=(0.5,), meaning="ψ, where it rises"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    variants=(update_in_two,),
    mistakes=(
        Mistake(
            "no_look_ahead", "m_hat = then * m / (1 - product * then)", "m_hat = now * m / (1 - product)",
            "the next step's momentum is this step's",
        ),
        Mistake(
            "other_librarys_momentum", 'if momentum == "constant":', "if True:",
            "optax's momentum in torch's place",
        ),
        Mistake(
            "correction_of_now", "beta1 * m / (1 - beta1 ** (t + 1))", "beta1 * m / (1 - beta1**t)",
            "the mean looks one step ahead, and its correction does not",
        ),
        Mistake("momentum_does_not_rise", "fading.astype(dtype)", "1", "the momentum stays at β₁ / 2"),
    ),
)
