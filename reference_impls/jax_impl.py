"""JAX as its users write it: `jax.value_and_grad` of a pure function, compiled, with optax for the updates.

Two programs are compiled per network. The **step** is the user's own: loss, gradients of the parameters, update (or,
in a case without steps, no update). The **watched** program is the same network with a probe added to every node, and
is differentiated with respect to the probes as well, since reverse mode tells only gradients of arguments. The probes
are minus zero, the one number that changes no other when added, zeros of either sign included. Trajectories come from
the step; values and gradients at nodes from the watched program, at the recorded steps.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping
from functools import partial, reduce
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np

from harness.case import Case, Network
from harness.errors import NotSupportedError
from harness.registry import Cards, installed_cards
from harness.spec import Array
from harness.trace import LOSS, Quantity, Trace

EXECUTABLES = 512
"""How many compiled programs are kept; the oldest goes first."""


class JaxImplementation:
    """`jax.value_and_grad`, `jax.jit` and optax, through the cards' jax lines.

    Cases are taken as checked (`Cards.check`). Without `cards`, those of every installed distribution are used.
    """

    name = "jax"

    def __init__(self, *, cards: Cards | None = None) -> None:
        self._cards = cards
        self._executables: dict[Hashable, Any] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of jax, its compiler, and optax."""
        return {name: version(name) for name in ("jax", "jaxlib", "optax")}

    def elementary(self) -> Mapping[str, Callable[..., Array]]:
        """Functions of `jax.numpy`, compiled, from NumPy arrays to NumPy arrays."""
        import jax

        names = ("divide", "exp", "expm1", "log", "log1p", "logaddexp", "sqrt", "tanh")
        functions = {name: getattr(jax.numpy, name) for name in names}
        functions |= {"erf": jax.scipy.special.erf, "sigmoid": jax.nn.sigmoid}
        return {name: partial(_compute, jax, jax.jit(function)) for name, function in functions.items()}

    def numerics(self) -> Mapping[str, str]:
        """Devices, and the settings that change numbers, as they are outside of `run`."""
        import jax

        names = ("jax_default_matmul_precision", "jax_enable_x64")
        devices = f"{jax.default_backend()} ({', '.join(map(str, jax.devices()))})"
        return {"devices": devices, **{name[4:]: str(getattr(jax.config, name)) for name in names}}

    def run(self, case: Case) -> Trace:
        """Compute the case.

        Raises:
            NotSupportedError: a card has no jax line.
        """
        import jax

        cards = installed_cards() if self._cards is None else self._cards
        with jax.enable_x64(case.dtype == "float64"):
            return self._run(jax, cards, case)

    def hessian_vector(self, case: Case, directions: Mapping[str, Array]) -> Mapping[str, Array]:
        """The Hessian of the total loss times a direction: `jax.jvp` of `jax.grad`, forward over reverse.

        Raises:
            NotSupportedError: a card has no jax line.
        """
        import jax

        cards = installed_cards() if self._cards is None else self._cards
        with jax.enable_x64(case.dtype == "float64"):
            program = self._executable(case, "curvature", lambda: _curvature(jax, cards, case.network))
            given = {name: jax.numpy.asarray(array) for name, array in case.values.items()}
            along = {name: jax.numpy.asarray(array) for name, array in directions.items()}
            at = {name: given.pop(name) for name in along}
            return {name: np.array(array) for name, array in program(at, along, given).items()}

    def _run(self, jax: Any, cards: Cards, case: Case) -> Trace:
        network = case.network
        shapes = cards.check(case)
        probes = {node.name: jax.numpy.full(shapes[node.name], -0.0, case.dtype) for node in network.nodes}
        given = {name: jax.numpy.asarray(array) for name, array in case.values.items()}
        params = {name: given.pop(name) for name in network.params}
        inputs = {name: given.pop(name) for name, spec in network.inputs.items() if spec.dtype == "case"}
        watched = self._executable(case, "watched", lambda: _watched(jax, cards, network))
        optimizer, slots = _optimizer(cards, case)
        state: Any = None
        if optimizer is not None:
            state = optimizer.init(params)
            take_step = self._executable(case, "step", lambda: _step(jax, cards, network, optimizer))
        losses = []
        recorded = set(case.recorded)
        quantities: dict[Quantity, Array] = {}
        unwatched: dict[Quantity, Array] = {}

        for step in range(case.steps + 1):
            last = step == case.steps
            if step in recorded or step - 1 in recorded:
                for name, w in params.items():
                    quantities[Quantity(step, "param", name)] = np.array(w)
                    for slot, array in slots(state, name).items() if step else ():
                        quantities[Quantity(step, "state", name, slot)] = np.array(array)
            if step in recorded or last:
                (loss, values), grads = watched(params, inputs, probes, given)
            if case.steps == 0:
                plain = self._executable(case, "plain", lambda: _plain(jax, cards, network))
                unwatched |= _named(step, *plain(params, {**given, **inputs}))
            if not last:
                params, state, loss, step_grads = take_step(params, state, {**given, **inputs})
            losses.append(loss)
            if step in recorded:
                for name, array in values.items():
                    quantities[Quantity(step, "value", name)] = np.array(array)
                for name, array in {key: array for part in grads for key, array in part.items()}.items():
                    quantities[Quantity(step, "grad", name)] = np.array(array)
                if not last:
                    unwatched |= _named(step, loss, step_grads)
        return Trace(quantities, np.array(jax.device_get(losses), case.dtype), unwatched=unwatched)

    def _executable(self, case: Case, program: str, build: Callable[[], Any]) -> Any:
        optimizer = msgspec.json.encode(case.optimizer, order="sorted") if program == "step" else b""
        key = (program, case.dtype, msgspec.json.encode(case.network, order="sorted"), optimizer)
        if key not in self._executables:
            if len(self._executables) >= EXECUTABLES:
                del self._executables[next(iter(self._executables))]
            self._executables[key] = build()
        return self._executables[key]


def forward(jax: Any, lines: Any, network: Network, given: Mapping[str, Any], probes: Mapping[str, Any]) -> Any:
    """The total loss, and every node's and term's value; a node that has a probe has it added."""
    values = dict(given)
    for node, line, hypers in lines:
        roles = {role: values[name] for role, name in node.params.items()}
        values[node.name] = line(jax, roles, *(values[name] for name in node.inputs), **hypers)
        if node.name in probes:
            values[node.name] = values[node.name] + probes[node.name]
    values[LOSS] = reduce(operator.add, [values[term.name] for term in network.loss])
    return values[LOSS], {name: values[name] for name in (*(node.name for node, _, _ in lines), LOSS)}


def _watched(jax: Any, cards: Cards, network: Network) -> Any:
    lines = _lines(cards, network)

    def loss_and_values(params: Any, inputs: Any, probes: Any, given: Any) -> Any:
        return forward(jax, lines, network, {**given, **inputs, **params}, probes)

    return jax.jit(jax.value_and_grad(loss_and_values, argnums=(0, 1, 2), has_aux=True))


def _curvature(jax: Any, cards: Cards, network: Network) -> Any:
    lines = _lines(cards, network)

    def loss_of(at: Any, given: Any) -> Any:
        return forward(jax, lines, network, {**given, **at}, {})[0]

    def product(at: Any, along: Any, given: Any) -> Any:
        return jax.jvp(lambda point: jax.grad(loss_of)(point, given), (at,), (along,))[1]

    return jax.jit(product)


def _plain(jax: Any, cards: Cards, network: Network) -> Any:
    lines = _lines(cards, network)

    def loss_of(params: Any, given: Any) -> Any:
        return forward(jax, lines, network, {**given, **params}, {})[0]

    return jax.jit(jax.value_and_grad(loss_of))


def _step(jax: Any, cards: Cards, network: Network, optimizer: Any) -> Any:
    import optax

    value_and_grad = _plain(jax, cards, network)

    def step(params: Any, state: Any, given: Any) -> Any:
        loss, grads = value_and_grad(params, given)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss, grads

    return jax.jit(step)


def _named(step: int, loss: Any, grads: Any) -> dict[Quantity, Array]:
    named = {Quantity(step, "grad", name): np.array(grad) for name, grad in grads.items()}
    return {Quantity(step, "value", LOSS): np.array(loss), **named}


def _compute(jax: Any, compiled: Callable[..., Any], *arrays: Array) -> Array:
    with jax.enable_x64(arrays[0].dtype == np.float64):
        return np.array(compiled(*arrays))


def _lines(cards: Cards, network: Network) -> Any:
    lines = []
    for _, node in network.operations():
        card = cards.operation(node.op)
        if card.jax_forward is None:
            raise NotSupportedError(f"jax: the card {card.name!r} has no jax_forward")
        lines.append((node, card.jax_forward, cards.hypers(node)))
    return lines


def _optimizer(cards: Cards, case: Case) -> tuple[Any, Any]:
    """The library's optimizer, and a function from its state and a parameter's name to the slots."""
    if case.optimizer is None:
        return None, lambda state, name: {}
    import optax

    card, hypers = cards.optimizer(case.optimizer.name), cards.optimizer_hypers(case)
    if card.optax_optimizer is None or card.optax_state is None:
        raise NotSupportedError(f"jax: the optimizer {card.name!r} has no optax_optimizer or no optax_state")
    read = card.optax_state
    clip, schedule = cards.clipping(case), cards.schedule(case)
    given: dict[str, Any] = dict(hypers)
    if schedule is not None:
        if schedule[0].optax_schedule is None:
            raise NotSupportedError(f"jax: the schedule {schedule[0].name!r} has no optax_schedule")
        given[card.rate] = schedule[0].optax_schedule(optax, hypers[card.rate], **schedule[1])
    optimizer = card.optax_optimizer(optax, **given)
    if clip is None:
        return optimizer, read
    if clip[0].optax_clip is None:
        raise NotSupportedError(f"jax: the clipping {clip[0].name!r} has no optax_clip")
    return optax.chain(clip[0].optax_clip(optax, **clip[1]), optimizer), lambda state, name: read(state[1], name)
