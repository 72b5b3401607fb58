"""RMSprop: the gradient over the root of a running mean of its square.

    v ← α v + (1 - α) g²                                            starts at 0
    d = v                          centered: a ← α a + (1 - α) g, d = v - a², the variance
    q = g / (√d + ε)               eps_place "outside": torch, or optax when asked
    q = g / √(d + ε)               "inside": optax and TensorFlow
    w ← w - lr q                   with momentum: b ← μ b + q, w ← w - lr b

`optax.rmsprop` has the learning rate inside of b, so with momentum the card composes optax's parts. The libraries'
defaults for α differ: 0.99 in torch, 0.9 in optax.
Tieleman, Hinton, Lecture 6.5 - RMSProp, Neural Networks for Machine Learning, Coursera (2012); centered: Graves,
Generating Sequences With Recurrent Neural Networks, arXiv:1308.0850 (2013), equations 38 to 41.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Optimizer


def numpy_init(w, *, momentum, centered, **others):
    """The running means start at 0, as many as are needed."""
    slots = ["v", *(["a"] if centered else []), *(["b"] if momentum > 0 else [])]
    return {slot: np.zeros_like(w) for slot in slots}


def numpy_update(w, g, state, t, *, lr, alpha, eps, eps_place, momentum, centered):
    """The lines above."""
    after = {"v": alpha * state["v"] + (1 - alpha) * np.square(g)}
    d = after["v"]
    if centered:
        after["a"] = alpha * state["a"] + (1 - alpha) * g
        d = d - np.square(after["a"])
    q = g / (np.sqrt(d) + eps) if eps_place == "outside" else g / np.sqrt(d + eps)
    if "b" in state:
        q = after["b"] = momentum * state["b"] + q
    return w - lr * q, after


def update_by_reciprocal(w, g, state, t, *, lr, alpha, eps, eps_place, momentum, centered):
    """The same step with the root's reciprocal first, as optax has it, and a by interpolation, as torch has it."""
    after = {"v": alpha * state["v"] + (1 - alpha) * g * g}
    d = after["v"]
    if centered:
        after["a"] = state["a"] + (1 - alpha) * (g - state["a"])
        d = d - after["a"] * after["a"]
    q = g * (1 / (np.sqrt(d) + eps) if eps_place == "outside" else 1 / np.sqrt(d + eps))
    if "b" in state:
        q = after["b"] = q + momentum * state["b"]
    return w - lr * q, after


def torch_optimizer(torch, params, *, lr, alpha, eps, eps_place, momentum, centered):
    """Torch's own."""
    if eps_place != "outside":
        raise NotSupportedError("torch.optim.RMSprop adds ε outside of the root")
    return torch.optim.RMSprop(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, centered=centered)


def torch_state(state):
    """Torch's names."""
    names = {"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"}
    return {slot: state[name] for slot, name in names.items() if name in state}


def optax_optimizer(optax, *, lr, alpha, eps, eps_place, momentum, centered):
    """Optax's own; with momentum its parts, the learning rate last."""
    inside = eps_place == "inside"
    if momentum == 0:
        return optax.rmsprop(lr, decay=alpha, eps=eps, eps_in_sqrt=inside, centered=centered)
    scale = optax.scale_by_stddev if centered else optax.scale_by_rms
    return optax.chain(
        scale(decay=alpha, eps=eps, eps_in_sqrt=inside), optax.trace(momentum), optax.scale_by_learning_rate(lr)
    )


def optax_state(state, name):
    """Of the chained transformations `scale_by_rms` or `scale_by_stddev`, and the trace; optax's names."""
    names = {"v": (0, "nu"), "a": (0, "mu"), "b": (1, "trace")}
    return {slot: getattr(state[n], at)[name] for slot, (n, at) in names.items() if hasattr(state[n], at)}


rmsprop = Optimizer(
    name="rmsprop",
    summary="w - lr g / (√v + ε)",
    slots=("v", "a", "b"),
    hypers={
        "lr": HyperSpec(default=0.01, low=0.0, typical=(0.1,), meaning="learning rate"),
        "alpha": HyperSpec(default=0.9, low=0.0, high=1.0, typical=(0.99,), meaning="α, memory of the means"),
        "eps": HyperSpec(default=1e-8, low=0.0, meaning="ε"),
        "eps_place": HyperSpec(default="outside", choices=("outside", "inside"), meaning="of the root"),
        "momentum": HyperSpec(default=0.0, low=0.0, high=1.0, typical=(0.9,), meaning="μ, memory of the steps"),
        "centered": HyperSpec(default=False, choices=(False, True), meaning="the variance instead of the mean square"),
    },
    numpy_init=numpy_init,
    numpy_update=numpy_update,
    torch_optimizer=torch_optimizer,
    torch_state=torch_state,
    optax_optimizer=optax_optimizer,
    optax_state=optax_state,
    variants=(update_by_reciprocal,),
    mistakes=(
        Mistake(
            "eps_exchanged", 'q = g / (np.sqrt(d) + eps) if eps_place == "outside"', "q = g / np.sqrt(d + eps) if True",
            "optax's default, ε inside, where it was asked outside",
        ),
        Mistake(
            "rate_inside_momentum", 'momentum * state["b"] + q', 'momentum * state["b"] + lr * q; lr = 1',
            "b sums up steps instead of directions, as in optax.rmsprop: seen in b, and in w once the rate changes",
        ),
        Mistake("mean_not_squared", 'd = d - np.square(after["a"])', 'd = d - after["a"]', "v - a instead of v - a²"),
        Mistake("square_forgotten", "np.square(g)", "np.abs(g)", "v follows |g| instead of g²"),
    ),
)
