"""Gradient descent; stochastic when the batch is a sample of the data. With momentum, along a sum of gradients.

    g ← g + λ w                                          weight decay: the gradient of λ/2 |w|²
    w ← w - lr g                                         without momentum
    v ← μ v + (1 - τ) g        w ← w - lr v              momentum μ, dampening τ: the first v is g, undampened
                               w ← w - lr (g + μ v)      nesterov
    v ← μ v - lr (1 - τ) g     w ← w + v                 velocity "step": the learning rate is inside, as in Sutskever
                               w ← w + μ v - lr g        et al.; the same steps, as long as the rate does not change

Torch has the first velocity alone. Optax has both, by the order of the chain, and no dampening.
Robbins, Monro, A Stochastic Approximation Method, Ann. Math. Statist. 22 (1951). Polyak, USSR Comput. Math. 4 (1964).
Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum, ICML 2013, equations 1 to 4.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer


def numpy_init(w, *, momentum, **others):
    """A velocity, where there is momentum."""
    return {} if momentum == 0 else {"v": np.zeros_like(w)}


def numpy_update(w, g, state, t, *, lr, momentum, dampening, nesterov, velocity, weight_decay):
    """The lines above."""
    g = g + weight_decay * w
    if "v" not in state:
        return w - lr * g, {}
    if velocity == "step":
        v = -lr * g if t == 1 else momentum * state["v"] - lr * (1 - dampening) * g
        return w + (momentum * v - lr * g if nesterov else v), {"v": v}
    v = g if t == 1 else momentum * state["v"] + (1 - dampening) * g
    return w - lr * (g + momentum * v if nesterov else v), {"v": v}


def torch_optimizer(torch, params, *, lr, momentum, dampening, nesterov, velocity, weight_decay):
    """Torch's own."""
    if velocity == "step" and momentum > 0:
        raise NotSupportedError("torch.optim.SGD keeps the learning rate outside of the velocity")
    if nesterov and momentum > 0 and dampening > 0:
        raise NotSupportedError("torch.optim.SGD refuses Nesterov momentum with dampening")
    return torch.optim.SGD(
        params,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov and momentum > 0,
    )


def torch_state(state):
    """Torch's name for the velocity; without momentum there is none."""
    return {"v": state["momentum_buffer"]} if state.get("momentum_buffer") is not None else {}


def optax_optimizer(optax, *, lr, momentum, dampening, nesterov, velocity, weight_decay):
    """Optax's own; its parts one by one, where it has no argument for something."""
    if momentum == 0:
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(lr))
    if dampening > 0:
        raise NotSupportedError("optax.trace has no dampening")
    if velocity == "gradient" and weight_decay == 0:
        return optax.sgd(lr, momentum, nesterov)
    parts = [optax.trace(momentum, nesterov), optax.scale_by_learning_rate(lr)]
    return optax.chain(optax.add_decayed_weights(weight_decay), *(parts if velocity == "gradient" else parts[::-1]))


def optax_state(state, name):
    """The trace, wherever it stands in the chain."""
    traces = [part.trace[name] for part in state if hasattr(part, "trace")]
    return {"v": traces[0]} if traces else {}


sgd = Optimizer(
    name="sgd",
    summary="w - lr g, or w - lr v with a velocity v",
    slots=("v",),
    hypers={
        "lr": HyperSpec(low=0.0, typical=(0.5, 0.1), meaning="learning rate"),
        "momentum": HyperSpec(default=0.0, low=0.0, high=1.0, typical=(0.9,), meaning="μ, memory of the velocity"),
        "dampening": HyperSpec(default=0.0, low=0.0, high=1.0, typical=(0.5,), meaning="τ"),
        "nesterov": HyperSpec(default=False, choices=(False, True), meaning="look ahead along the velocity"),
        "velocity": HyperSpec(default="gradient", choices=("gradient", "step"), meaning="what the velocity sums up"),
        "weight_decay": HyperSpec(default=0.0, low=0.0, typical=(0.01,), meaning="λ"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    mistakes=(
        Mistake("uphill", "w - lr * g", "w + lr * g", "a step along the gradient"),
        Mistake(
            "momentum_as_mean",
            'v = g if t == 1 else momentum * state["v"] + (1 - dampening) * g',
            'v = momentum * state["v"] + (1 - momentum) * g',
            "the velocity as a mean of the gradients, not their sum",
        ),
        Mistake(
            "dampened_from_the_start", "v = g if t == 1 else momentum", "v = momentum",
            "the first gradient dampened like all others",
        ),
        Mistake("nesterov_forgotten", "lr * (g + momentum * v if nesterov else v)", "lr * v", "no look ahead"),
        Mistake(
            "velocity_uphill", "return w + (momentum", "return w - (momentum",
            "the sign that v has, applied twice",
        ),
        Mistake(
            "decay_uphill", "g = g + weight_decay * w", "g = g - weight_decay * w",
            "weights that grow by themselves",
        ),
    ),
)
