"""One step of an optimizer unrolled into plain Python, from given numbers: by hand, with `torch.optim`, with optax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.campaign.script.network import jax_start
from harness.campaign.script.numbers import assigned, float_text, hyper_text
from harness.campaign.script.source import Sources
from harness.case import Case
from harness.errors import GradparityError
from harness.registry import Cards
from harness.schedule_spec import Clipping, Schedule
from harness.spec import Array, Hyper, Optimizer
from harness.trace import Quantity


@dataclass(frozen=True)
class Update:
    """One optimizer step: the parameter, its gradient and state before, and the number t of the step.

    `others` are the other parameters' gradients, where clipping by norm needs them.
    """

    w: Array
    g: Array
    state: Mapping[str, Array]
    t: int
    others: Sequence[Array] = ()


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
        if self.update.others:
            lines += ["# the gradients of the other parameters, for clipping", "OTHERS = {}"]
            lines += [assigned(f"OTHERS['other {n}']", array) for n, array in enumerate(self.update.others)]
        if self.update.t > 1:
            lines += ["# the optimizer's state before", "STATE = {}"]
            lines += [assigned(f"STATE[{slot!r}]", array) for slot, array in self.update.state.items()]
        return lines

    def numpy(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that takes the step by hand."""
        rule = _Rule(self.case, cards, sources)
        lines, g = [], "G"
        clip = rule.clip("numpy_clip")
        if clip:
            lines, g = [f"grads = {clip[0]}({_everything(self.update, 'G', 'OTHERS')}{clip[1]})"], 'grads["w"]'
        schedule = rule.schedule("numpy_rate")
        if schedule:
            lines.append(f"rate = {schedule[0]}({rule.lr}, {self.update.t}{schedule[1]})")
        update = rule.function("numpy_update")
        before = "STATE" if self.update.t > 1 else f"{rule.function('numpy_init')}(W{rule.hypers})"
        lines.append(f"w, state = {update}(W, {g}, {before}, {self.update.t}{rule.hypers})")
        return [*lines, f"return {self._result('w', 'state')}"]

    def torch(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that takes the step with `torch.optim`."""
        rule, t = _Rule(self.case, cards, sources), self.update.t
        lines = ["import torch", "w = torch.tensor(W).requires_grad_()", "w.grad = torch.tensor(G)"]
        lines.append(f"optimizer = {rule.function('torch_optimizer')}(torch, [w]{rule.given})")
        schedule = rule.schedule("torch_scheduler")
        if schedule:
            lines.append(f"scheduler = {schedule[0]}(torch, optimizer{schedule[1]})")
        slots = ""
        if t > 1 or self.quantity.kind == "state":
            slots = rule.function("torch_state")
        if t > 1:
            lines += [
                "optimizer.step()  # makes the state, which is then set to what it was",
                f"for slot, tensor in {slots}(optimizer.state[w]).items():",
                "    tensor.copy_(torch.tensor(STATE[slot]))",
                'if "step" in optimizer.state[w]:',
                f'    optimizer.state[w]["step"] = torch.tensor({t - 1}.0)',
                "w.data.copy_(torch.tensor(W))",
            ]
            lines += [f"for _ in range({t - 1}):", "    scheduler.step()"] if schedule else []
        clip = rule.clip("torch_clip")
        if clip:
            lines.append("params = [w]")
            if self.update.others:
                lines += [
                    "for array in OTHERS.values():",
                    "    params.append(torch.zeros(array.shape, dtype=w.dtype).requires_grad_())",
                    "    params[-1].grad = torch.tensor(array)",
                ]
            lines.append(f"{clip[0]}(torch, params{clip[1]})")
        result = self._result("w", f"{slots}(optimizer.state[w])")
        return [*lines, "optimizer.step()", f"return {result}.detach().numpy()"]

    def jax(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that takes the step with optax."""
        rule, t = _Rule(self.case, cards, sources), self.update.t
        lines = [*jax_start(self.case, "import optax")]
        schedule, clip = rule.schedule("optax_schedule"), rule.clip("optax_clip")
        if schedule:
            lines.append(f"rate = {schedule[0]}(optax, {rule.lr}{schedule[1]})")
        lines.append(f"optimizer = {rule.function('optax_optimizer')}(optax{rule.hypers})")
        if clip:
            lines.append(f"optimizer = optax.chain({clip[0]}(optax{clip[1]}), optimizer)")
        own = "state[1]" if clip else "state"
        slots = ""
        if t > 1 or self.quantity.kind == "state":
            slots = rule.function("optax_state")
        zeros = "{n: np.zeros_like(g) for n, g in OTHERS.items()}"
        lines += [
            f"w = jax.tree.map(jax.numpy.asarray, {_everything(self.update, 'W', zeros)})",
            f"g = jax.tree.map(jax.numpy.asarray, {_everything(self.update, 'G', 'OTHERS')})",
            "state = optimizer.init(w)",
        ]
        if t > 1:
            lines += [
                "_, state = optimizer.update(g, state, w)  # makes the state, which is then set to what it was",
                f'before = {{id(array): STATE[slot] for slot, array in {slots}({own}, "w").items()}}',
                f"count = {t - 1}  # the only whole numbers in the state count the steps",
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
        result = self._result('w["w"]', f'{slots}({own}, "w")')
        return [*lines, f"return np.asarray({result})"]

    def _result(self, w: str, state: str) -> str:
        return w if self.quantity.kind == "param" else f"{state}[{self.quantity.slot!r}]"


def _everything(update: Update, own: str, others: str) -> str:
    """A dictionary of the parameter's array and those of the others."""
    return f'{{"w": {own}, **{others}}}' if update.others else f'{{"w": {own}}}'


class _Rule:
    """The cards of an update, and their functions in the script.

    `given` are the optimizer's hyperparameters as they stand in a call, and `hypers` the same with a scheduled rate.
    """

    def __init__(self, case: Case, cards: Cards, sources: Sources) -> None:
        assert case.optimizer is not None
        self._card, self._sources = cards.optimizer(case.optimizer.name), sources
        self._schedule, self._clip = cards.schedule(case), cards.clipping(case)
        self._known = cards.optimizer_hypers(case)
        self.given = self.hypers = hyper_text(self._known)
        self.lr = ""
        if self._schedule is not None:
            self.lr = float_text(float(self._known[self._card.rate]))  # type: ignore[arg-type]
            kept = {name: value for name, value in self._known.items() if name != self._card.rate}
            self.hypers = f"{hyper_text(kept)}, {self._card.rate}=rate"

    def function(self, name: str) -> str:
        """One of the optimizer's functions."""
        known = dict(self._known)
        if self._schedule is not None and name in ("numpy_update", "numpy_init", "optax_optimizer"):
            del known[self._card.rate]
        return self._taken(self._card, name, known if name not in ("torch_state", "optax_state") else {})

    def schedule(self, name: str) -> tuple[str, str] | None:
        """One of the schedule's functions, and its hyperparameters; None without a schedule."""
        return None if self._schedule is None else self._with_hypers(*self._schedule, name)

    def clip(self, name: str) -> tuple[str, str] | None:
        """One of the clipping's functions, and its hyperparameters; None without clipping."""
        return None if self._clip is None else self._with_hypers(*self._clip, name)

    def _with_hypers(self, card: Schedule | Clipping, hypers: dict[str, Hyper], name: str) -> tuple[str, str]:
        return self._taken(card, name, hypers), hyper_text(hypers)

    def _taken(self, card: Optimizer | Schedule | Clipping, name: str, known: Mapping[str, Hyper]) -> str:
        function = getattr(card, name)
        if function is None:
            raise GradparityError(f"{card.name!r} has no {name}")
        return self._sources.function(function, f"{card.name}_{name}", known)
