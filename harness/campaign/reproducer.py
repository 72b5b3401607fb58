"""A standalone script for one discrepancy: NumPy and the frameworks at fault are all that it needs.

The script starts where the judge does. For a value or a gradient, from the parameters that the implementation at fault
had at that step; for an update, from its own parameter, gradient and state. When the whole network's bound hides a
fault that one operation shows, that operation alone is written, with the implementation's own numbers going in. The
exact value and its bound are computed here and embedded, so whoever runs the script needs no ball arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.arrays import BallArray, ErrorModel, Known, WideArray
from harness.campaign.records import SEVERITY, CaseRecord, Finding
from harness.campaign.run import compare as run_and_judge
from harness.campaign.script.network import Unrolled
from harness.campaign.script.page import Shown, page
from harness.campaign.script.update import UnrolledUpdate, Update
from harness.case import Case, Network, Node, TensorSpec
from harness.errors import GradparityError
from harness.judge.bounds import radius_of, step_bounds, straddling, update_bounds
from harness.judge.calibration import load_budgets
from harness.judge.compare import compare
from harness.judge.findings import gravity
from harness.judge.judge import own_parameters
from harness.judge.kinks import read_branches, undetermined_of
from harness.judge.monte_carlo import monte_carlo_bounds
from harness.judge.oracle import Undecided, exact_step, exact_updates
from harness.judge.update_judge import open_sides, own_start, sides_taken
from harness.protocol import Implementation
from harness.registry import Cards
from harness.spec import Array
from harness.trace import Quantity, Trace

BITS = 256


@dataclass(frozen=True)
class _Question:
    """What the script computes, and what it holds the answers against."""

    text: Unrolled | UnrolledUpdate
    exact: BallArray
    bound: Array
    sides: Mapping[str, BallArray]
    likely: bool = False


def reproduce(
    case: Case, cards: Cards, implementations: Sequence[Implementation], sources: Mapping[str, Cards] | None = None
) -> str:
    """Judge a case, and write the script for its gravest finding; where all agree, for the largest error / bound."""
    record = run_and_judge(case, implementations, cards)
    finding = gravest_finding(record)
    return script(case, cards, quantity_of(case, finding), implementations, finding=finding, sources=sources)


def gravest_finding(record: CaseRecord) -> Finding:
    """The finding that a script should show."""
    if not record.findings:
        raise GradparityError("nothing ran, so there is nothing to reproduce")
    return max(record.findings, key=gravity)


def quantity_of(case: Case, finding: Finding) -> Quantity:
    """The quantity that a finding speaks of.

    The first gradient where it names none, as after a crash, or parameters that nobody has computed yet.
    """
    slots = ("",) if case.optimizer is None else ("", *_slots(finding.place))
    names = [*case.network.tensors(), *(node.name for _, node in case.network.operations()), "loss"]
    for step in range(case.steps + 1) if finding.place else ():
        if not finding.place.endswith(f" at step {step}"):
            continue
        for kind in ("value", "grad", "param", "state"):
            for name in names:
                for slot in slots:
                    quantity = Quantity(step, kind, name, slot)
                    if str(quantity) == finding.place and (kind, step) != ("param", 0):
                        return quantity
    first = next(iter(case.network.params), None)
    return Quantity(0, "value", "loss") if first is None else Quantity(0, "grad", first)


def _slots(place: str) -> tuple[str, ...]:
    return (place.split()[1],) if place.startswith("state ") else ()


def script(
    case: Case,
    cards: Cards,
    quantity: Quantity,
    implementations: Sequence[Implementation],
    *,
    finding: Finding | None = None,
    sources: Mapping[str, Cards] | None = None,
) -> str:
    """The script that shows one quantity in every implementation, beside the exact one.

    `cards` are what is judged by. `sources` are the cards of an implementation that has others, as a mutant has;
    its functions are taken from there. The numbers are those of the implementation that the finding is on.

    Raises:
        GradparityError: the quantity was not recorded, has no exact value, or a card's source cannot be had.
    """
    traces, crashes = _run(case, implementations)
    suspect = finding.implementation if finding else next(iter(traces), "")
    trace = traces.get(suspect) or next(iter(traces.values()), Trace({}))
    try:
        question, seen = _ask(case, cards, quantity, trace, traces, finding)
    except Undecided as undecided:
        raise GradparityError(f"the exact value of {quantity} could not be had: {undecided}") from None
    if question.exact.size == 0:
        raise GradparityError(f"{quantity} has no elements, so there is no number to show")
    found = (trace.quantities.get(quantity), trace.unwatched.get(quantity))
    worst = _worst(question, [array for array in found if array is not None])
    index = tuple(int(i) for i in np.unravel_index(worst, question.exact.shape))
    shown = Shown(
        case=case,
        quantity=quantity,
        index=index,
        text=question.text,
        exact=question.exact,
        bound=float(question.bound[index]),
        likely=question.likely,
        sides=question.sides,
        values={name: float(np.asarray(array)[index]) for name, array in seen.items()},
        crashes=crashes,
        finding=finding,
        sources=sources or {},
    )
    return page(shown, cards, implementations)


def _run(case: Case, implementations: Sequence[Implementation]) -> tuple[dict[str, Trace], dict[str, str]]:
    traces: dict[str, Trace] = {}
    crashes: dict[str, str] = {}
    for one in implementations:
        try:
            traces[one.name] = one.run(case)
        except Exception as error:  # noqa: BLE001 - a crash is what the script then shows
            crashes[one.name] = f"{type(error).__name__}: {error}"
    return traces, crashes


def _ask(
    case: Case,
    cards: Cards,
    quantity: Quantity,
    trace: Trace,
    traces: Mapping[str, Trace],
    finding: Finding | None,
) -> tuple[_Question, dict[str, Array]]:
    """The question, and what each implementation had there; an update is asked from the suspect's own numbers."""
    seen = {name: one.quantities[quantity] for name, one in traces.items() if quantity in one.quantities}
    model = ErrorModel.of(case.dtype, load_budgets())
    if quantity.kind in ("param", "state"):
        return _ask_update(case, cards, quantity, trace, traces, model), seen
    own = own_parameters(case, trace, quantity.step)
    if own is None:
        raise GradparityError(f"the parameters at step {quantity.step} were not recorded")
    still = replace(case, values={**case.values, **own}, steps=0, optimizer=None, record=())
    here = quantity._replace(step=0)
    if finding is not None and finding.verdict == "suspicious":
        likely = monte_carlo_bounds(still.network, cards, still.values, model)
        table = likely.values if quantity.kind == "value" else likely.grads
        exact = exact_step(still.network, cards, still.values, bits=BITS)
        exacts = exact.values if quantity.kind == "value" else exact.grads
        known = _ball(exacts[quantity.name])
        return _Question(Unrolled(still, here), known, table[quantity.name], {}, likely=True), seen
    question = _ask_network(still, cards, here, traces, quantity.step, model)
    if finding is not None and finding.verdict in ("mismatch", "non-finite") and quantity in trace.quantities:
        value = np.asarray(trace.quantities[quantity])
        if compare(value, question.exact, question.bound).verdict not in ("mismatch", "non-finite"):
            alone = operation_alone(still, cards, quantity, trace)
            if alone is not None:
                return _ask_network(alone, cards, here, {}, 0, model), seen
    return question, seen


def _ask_network(
    case: Case, cards: Cards, quantity: Quantity, traces: Mapping[str, Trace], step: int, model: ErrorModel
) -> _Question:
    exact = exact_step(case.network, cards, case.values, bits=BITS)
    bounds = step_bounds(case.network, cards, case.values, model)
    undetermined = undetermined_of(bounds.comparisons)
    sides: dict[str, BallArray] = {}
    if undetermined:
        chosen = {
            name: [(straddling(near), one.taken) for near, one in zip(made, exact.comparisons[name], strict=True)]
            for name, made in undetermined.items()
        }
        bounds = step_bounds(case.network, cards, case.values, model, chosen)
        for name, trace in traces.items():
            choices = read_branches(case, cards, trace, step, case.values, undetermined, model)
            if choices is not None:
                own = exact_step(case.network, cards, case.values, choices, bits=BITS)
                sides[name] = _ball((own.values if quantity.kind == "value" else own.grads)[quantity.name])
    tables = (exact.values, bounds.values) if quantity.kind == "value" else (exact.grads, bounds.grads)
    exactly, radius = _ball(tables[0][quantity.name]), tables[1][quantity.name]
    return _Question(Unrolled(case, quantity), exactly, radius, sides)


def _ball(known: Known) -> BallArray:
    return known.ball() if isinstance(known, WideArray) else known


def _ask_update(
    case: Case, cards: Cards, quantity: Quantity, trace: Trace, traces: Mapping[str, Trace], model: ErrorModel
) -> _Question:
    name, step = quantity.name, quantity.step - 1
    params = own_parameters(case, trace, step) if step >= 0 else None
    before = None if params is None or case.optimizer is None else own_start(case, cards, trace, step, params)
    if before is None or name not in before.params:
        raise GradparityError(f"what {quantity} was computed from was not recorded")
    alone = before.only(name)
    exact = exact_updates(cards, case, alone, bits=BITS)[name]
    bound = update_bounds(cards, case, alone, model)[name]
    sides: dict[str, BallArray] = {}
    if any(mask is not None for mask in bound.undecided):
        _, choices = next(open_sides(exact, bound))
        bound = update_bounds(cards, case, alone, model, {name: choices})[name]
        for who, one in traces.items():
            taken = sides_taken(case, cards, one, step, name, model)
            if quantity in taken:
                sides[who] = taken[quantity]
    others = [g for other, g in before.grads.items() if other != name] if case.optimizer and case.optimizer.clip else []
    text = UnrolledUpdate(
        case, quantity, Update(before.params[name], before.grads[name], before.states[name] or {}, step + 1, others)
    )
    if quantity.kind == "param":
        return _Question(text, exact.w, radius_of(bound.w), sides)
    return _Question(text, exact.state[quantity.slot], radius_of(bound.state[quantity.slot]), sides)


def operation_alone(case: Case, cards: Cards, quantity: Quantity, trace: Trace) -> Case | None:
    """A case of only the operations that make one quantity, with an implementation's own numbers going in.

    A gradient's upstream gradients go in as factors: the loss is the sum of u y over the operation's users.
    None when they were not recorded, or the cards `multiply` and `value`, which this needs, are not there.
    """
    network, step = case.network, quantity.step
    operations = [node for _, node in network.operations()]
    terms = {term.name for term in network.loss}
    backward = quantity.kind == "grad"
    chosen = [
        node
        for node in operations
        if (quantity.name in {*node.inputs, *node.params.values()} if backward else node.name == quantity.name)
    ]
    layers = [node for node in chosen if node.name not in terms]
    if not chosen or (layers and not {"multiply", "value"} <= set(cards.operations)):
        return None
    known = {**case.values, **{q.name: a for q, a in trace.quantities.items() if q.step == step and q.kind == "value"}}
    used = dict.fromkeys(name for node in chosen for name in (*node.inputs, *node.params.values()))
    upstream = {node.name: trace.quantities.get(Quantity(step, "grad", node.name)) for node in layers}
    if any(name not in known for name in used) or (backward and any(array is None for array in upstream.values())):
        return None
    values: dict[str, Array] = {name: np.asarray(known[name]) for name in used}
    nodes: list[Node] = []
    loss = [node for node in chosen if node.name in terms]
    constants = {name: spec for name, spec in network.constants.items() if name in used}
    for number, node in enumerate(layers):
        factor, product, term = (f"{what} {number} of {quantity.name[:60]}" for what in ("factor", "product", "term"))
        slope = upstream[node.name] if backward else np.ones(known[node.name].shape, case.dtype)
        values[factor] = np.asarray(slope)
        constants[factor] = TensorSpec(list(values[factor].shape))
        nodes += [node, Node(product, "multiply", [node.name, factor])]
        loss.append(Node(term, "value", [product]))
    params = {name: spec for name, spec in network.params.items() if name in used}
    inputs = {
        name: network.inputs.get(name, TensorSpec(list(values[name].shape)))
        for name in used
        if name not in params and name not in constants
    }
    return Case(network=Network(inputs, constants, params, nodes, loss), values=values, dtype=case.dtype)


def _worst(question: _Question, found: Sequence[Array]) -> int:
    """The flat index of the element to show."""
    judged = [compare(np.asarray(array), question.exact, question.bound) for array in found]
    if not judged:
        return 0
    return max(judged, key=lambda one: (SEVERITY.index(one.verdict), one.worst_ratio)).worst
