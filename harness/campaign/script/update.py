"""One step of an optimizer unrolled into plain Python, from given numbers: by hand, with `torch.optim`, with optax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.campaign.script.network import jax_start
from harness.campaign.script.numbers import assigned, hyper_text
from harness.campaign.script.source import Sources
from harness.case import Case
from harness.errors import GradparityError
from harness.registry import Cards
from harness.spec import Array, Hyper, Optimizer
from harness.trace import Quantity


@dataclass(frozen=True)
class Update:
    """One optimizer step: the parameter, its gradient and state before, and the number t of the step."""

    w: Array
    g: Array
    state: Mapping[str, Array]
    t: int


@dataclass(frozen=True)
class UnrolledUpdate:
    """One step of the optimizer, from given numbers; the quantity is the parameter or a slot of its state."""

    case: Case
    quantity: Quantity
    update: Update

    def given(self) -> list[str]:
        """The numbers before the step."""
        name = self.quantity.name
        lines = [assigned("W", self.update.w, f"parameter {name!r} before update {self.update.t}")]
        lines.append(assigned("G", self.update.g, f"the gradient of the loss with respect to {name!r}"))
        if self.update.t > 1:
            lines += ["# the optimizer's state before", "STATE = {}"]
            lines += [assigned(f"STATE[{slot!r}]", array) for slot, array in self.update.state.items()]
        return lines

    def _rule(self, cards: Cards) -> tuple[Optimizer, str, dict[str, Hyper]]:
        assert self.case.optimizer is not None
        hypers = cards.optimizer_hypers(self.case)
        return cards.optimizer(self.case.optimizer.name), hyper_text(hypers), hypers

    def _result(self, w: str, state: str) -> str:
        return w if self.quantity.kind == "param" else f"{state}[{self.quantity.slot!r}]"

    def numpy(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that takes the step by hand."""
        card, hypers, known = self._rule(cards)
        rule = sources.function(card.numpy_update, f"{card.name}_numpy_update", known)
        before = "STATE"
        if self.update.t == 1:
            before = f"{sources.function(card.numpy_init, f'{card.name}_numpy_init')}(W)"
        return [f"w, state = {rule}(W, G, {before}, {self.update.t}{hypers})", f"return {self._result('w', 'state')}"]

    def torch(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that takes the step with `torch.optim`."""
        card, hypers, known = self._rule(cards)
        if card.torch_optimizer is None or card.torch_state is None:
            raise GradparityError(f"the optimizer {card.name!r} has no torch_optimizer or no torch_state")
        made = sources.function(card.torch_optimizer, f"{card.name}_torch_optimizer", known)
        lines = ["import torch", "w = torch.tensor(W).requires_grad_()", "w.grad = torch.tensor(G)"]
        lines.append(f"optimizer = {made}(torch, [w]{hypers})")
        slots = ""
        if self.update.t > 1 or self.quantity.kind == "state":
            slots = sources.function(card.torch_state, f"{card.name}_torch_state")
        if self.update.t > 1:
            lines += [
                "optimizer.step()  # makes the state, which is then set to what it was",
                f"for slot, tensor in {slots}(optimizer.state[w]).items():",
                "    tensor.copy_(torch.tensor(STATE[slot]))",
                'if "step" in optimizer.state[w]:',
                f'    optimizer.state[w]["step"] = torch.tensor({self.update.t - 1}.0)',
                "w.data.copy_(torch.tensor(W))",
            ]
        result = self._result("w", f"{slots}(optimizer.state[w])")
        return [*lines, "optimizer.step()", f"return {result}.detach().numpy()"]

    def jax(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that takes the step with optax."""
        card, hypers, known = self._rule(cards)
        if card.optax_optimizer is None or card.optax_state is None:
            raise GradparityError(f"the optimizer {card.name!r} has no optax_optimizer or no optax_state")
        made = sources.function(card.optax_optimizer, f"{card.name}_optax_optimizer", known)
        slots = ""
        if self.update.t > 1 or self.quantity.kind == "state":
            slots = sources.function(card.optax_state, f"{card.name}_optax_state")
        lines = [
            *jax_start(self.case, "import optax"),
            f"optimizer = {made}(optax{hypers})",
            'w, g = {"w": jax.numpy.asarray(W)}, {"w": jax.numpy.asarray(G)}',
            "state = optimizer.init(w)",
        ]
        if self.update.t > 1:
            lines += [
                "_, state = optimizer.update(g, state, w)  # makes the state, which is then set to what it was",
                f'before = {{id(array): STATE[slot] for slot, array in {slots}(state, "w").items()}}',
                f"count = {self.update.t - 1}  # the only whole numbers in the state count the steps",
                "state = jax.tree.map(",
                "    lambda leaf: jax.numpy.full_like(leaf, count) if leaf.dtype.kind in 'iu'"
                " else jax.numpy.asarray(before.get(id(leaf), leaf)),",
                "    state,",
                ")",
            ]
        lines += [
            "@jax.jit",
            "def step(w, g, state):",
            "    updates, state = optimizer.update(g, state, w)",
            "    return optax.apply_updates(w, updates), state",
            "w, state = step(w, g, state)",
        ]
        result = self._result('w["w"]', f'{slots}(state, "w")')
        return [*lines, f"return np.asarray({result})"]
