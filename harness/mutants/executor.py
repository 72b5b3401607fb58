"""Mistakes in the chaining of cards, planted in the NumPy executor; every card carries its own."""

from __future__ import annotations

from harness.mutants.mutant import Mutant

_NUMPY = "reference_impls.numpy_impl"

EXECUTOR_MUTANTS = (
    Mutant(
        "weights_updated_before_use",
        _NUMPY,
        "dinputs, dparams = card.numpy_backward(roles, saved[node.name], grads[node.name], **hypers)",
        "_, step = card.numpy_backward(roles, saved[node.name], grads[node.name], **hypers); dinputs, dparams = "
        "card.numpy_backward({role: w - 0.1 * step.get(role, 0) for role, w in roles.items()}, saved[node.name], "
        "grads[node.name], **hypers)",
        "W2 updated before it is used to carry the gradient to the layer below",
    ),
    Mutant(
        "last_contribution_wins",
        _NUMPY,
        "grads[name] = grads[name] + grad if name in grads else grad",
        "grads[name] = grad",
        "a node or parameter that is used twice keeps one of its two gradients",
    ),
    Mutant(
        "penalty_without_gradient",
        _NUMPY,
        "np.ones_like(values[name]) for name in terms}",
        "np.ones_like(values[name]) for name in terms[:1]}",
        "the penalty is added to the loss, but its gradient is not",
    ),
    Mutant(
        "penalty_missing_from_loss",
        _NUMPY,
        "[values[term.name] for term in network.loss]",
        "[values[term.name] for term in network.loss[:1]]",
        "the penalty acts on the gradient, but the loss that is reported leaves it out",
    ),
    Mutant(
        "steps_counted_from_two",
        _NUMPY,
        "states[name], step + 1, **hypers)",
        "states[name], step + 2, **hypers)",
        "the optimizer is told that its first step is the second",
    ),
    Mutant(
        "state_forgotten",
        _NUMPY,
        "states = {name: state for name, (_, state) in updated.items()}",
        "states = {name: rule.numpy_init(w) for name, w in params.items()}",
        "the moments start anew in every step",
    ),
)
"""The target is the executor's module."""
