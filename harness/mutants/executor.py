"""Mistakes in the executors: in the chaining of cards, and in the training loops that people write."""

from __future__ import annotations

from harness.mutants.mutant import Mutant

_NUMPY = "reference_impls.numpy_impl"
_TORCH = "reference_impls.torch_impl"
_JAX = "reference_impls.jax_impl"

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
        "states = {name: rule.numpy_init(w, **hypers) for name, w in params.items()}",
        "the moments start anew in every step",
    ),
    Mutant(
        "torch_gradients_not_zeroed",
        _TORCH,
        "w.grad = None",
        "w.grad = w.grad",
        "optimizer.zero_grad() forgotten: every step has the gradients of all steps before it",
    ),
    Mutant(
        "torch_loss_not_summed",
        _TORCH,
        "values[LOSS] = reduce(operator.add, [values[term.name] for term in case.network.loss])",
        "values[LOSS] = values[case.network.loss[-1].name]",
        "backward() called on the last term of the loss alone",
    ),
    Mutant(
        "torch_parameters_left_out",
        _TORCH,
        "card.torch_optimizer(torch, list(params.values()),",
        "card.torch_optimizer(torch, list(params.values())[:1],",
        "a parameter that the optimizer was never given",
    ),
    Mutant(
        "jax_state_thrown_away",
        _JAX,
        "params, state, loss, step_grads = take_step(params, state, {**given, **inputs})",
        "params, _, loss, step_grads = take_step(params, state, {**given, **inputs})",
        "the new optimizer state not carried on to the next step",
    ),
    Mutant(
        "jax_updates_applied_twice",
        _JAX,
        "return optax.apply_updates(params, updates), state, loss, grads",
        "return optax.apply_updates(optax.apply_updates(params, updates), updates), state, loss, grads",
        "the updates added to the parameters twice",
    ),
)
"""The target is the executor's module."""
