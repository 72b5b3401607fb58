"""Running NumPy with one mistake in it: in one node of a net, in the optimizer, or in the chaining."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import numpy as np

import reference_impls.numpy_impl
from benchmarks.bugs import Bug
from benchmarks.population import OPTIMIZERS, REGIMES, draw_values, optimizer_case, small_architecture
from benchmarks.tally import FAULTS
from harness import Case, installed_cards
from harness.campaign.records import Verdict
from harness.case import Dtype
from harness.judge.findings import find
from harness.judge.judge import judge
from harness.mutants import Mutant, mutated_cards, mutated_module
from harness.registry import Cards
from harness.trace import Trace
from reference_impls.numpy_impl import NumpyImplementation

PLANTED = "{} with a mistake"
"""The name under which a mutated card stands beside the real one."""


@dataclass(frozen=True)
class Caught:
    """What the judge says of a planted mistake: its verdict, and whether it names operation and node."""

    verdict: Verdict
    seen: bool
    op_named: bool
    node_named: bool | None


@cache
def _cards(mutant: Mutant) -> Cards:
    return mutated_cards(mutant, installed_cards())


@cache
def _executor(mutant: Mutant) -> NumpyImplementation:
    made: NumpyImplementation = mutated_module(mutant, reference_impls.numpy_impl).NumpyImplementation()
    return made


def places(bug: Bug, case: Case) -> list[str]:
    """The nodes in which it can be planted; [""] for one that is in no node; empty where it cannot be at all."""
    if bug.in_executor or bug.in_optimizer:
        optimizer = "" if case.optimizer is None else case.optimizer.name
        return [""] if not bug.in_optimizer or bug.op == f"{optimizer} update" else []
    return [node.name for _, node in case.network.operations() if node.op == bug.mutant.target]


def plant(bug: Bug, case: Case, node: str = "") -> Trace | None:
    """NumPy's trace with the mistake in this node; None when shapes give it away."""
    made: NumpyImplementation
    try:
        if bug.in_executor:
            return _executor(bug.mutant).run(case)
        if not node:
            return NumpyImplementation(cards=_cards(bug.mutant)).run(case)
        real, mutated = installed_cards(), _cards(bug.mutant)
        op = bug.mutant.target
        both = {**real.operations, PLANTED.format(op): mutated.operations[op]}
        made = NumpyImplementation(cards=Cards(both, real.optimizers))
        trace = made.run(with_op(case, node, PLANTED.format(op)))
    except ValueError:
        return None
    shapes = installed_cards().check(case)
    fits = all(array.shape == shapes.get(quantity.name, ()) for quantity, array in trace.quantities.items())
    return trace if fits else None


def with_op(case: Case, node: str, op: str) -> Case:
    """The case with another operation in one node."""
    network = case.network
    nodes, loss = (
        [msgspec.structs.replace(one, op=op) if one.name == node else one for one in group]
        for group in (network.nodes, network.loss)
    )
    return replace(case, network=msgspec.structs.replace(network, nodes=nodes, loss=loss))


def caught(bug: Bug, case: Case, node: str, trace: Trace) -> Caught:
    """Judge a trace with a planted mistake."""
    finding = find(case, "numpy", judge(case, installed_cards(), trace))
    seen = finding.verdict in FAULTS
    op_named = seen and bool({*bug.op.split(" or ")} & {*finding.op.split(" or ")})
    return Caught(finding.verdict, seen, op_named, _belongs(case, node, finding.place) if node else None)


def _belongs(case: Case, node: str, place: str) -> bool:
    """Whether a place such as `grad W1 at step 0` is a value of the node, or a gradient of what it uses."""
    kind, name, *_ = place.split(" ")
    planted = next((one for _, one in case.network.operations() if one.name == node), None)
    assert planted is not None
    return name == node if kind == "value" else name in (*planted.inputs, *planted.params.values())


def random_cases(bug: Bug, dtype: Dtype, regime: str, count: int, seed: int) -> Iterator[tuple[Case, str]]:
    """Cases in which it can be planted, and the node: small nets in one regime, or updates from given gradients."""
    for index in range(count):
        rng = np.random.default_rng([seed, list(REGIMES).index(regime), index])
        if bug.in_optimizer:
            rules = [one for one in OPTIMIZERS if bug.op == f"{one.name} update"]
            case = optimizer_case(rng, rules[index % len(rules)], dtype)
        else:
            target = "" if bug.in_executor else bug.mutant.target
            architecture = small_architecture(
                rng, op=target, shape=bug.shape, square=bug.square, reduction=bug.reduction
            )
            network = architecture.network()
            case = Case(network=network, values=draw_values(rng, architecture, network, regime), dtype=dtype)
        yield case, str(rng.choice(places(bug, case)))


def differs(case: Case, trace: Trace) -> bool:
    """Whether any number is another than the correct program's."""
    correct = NumpyImplementation().run(case).quantities
    return any(not np.array_equal(array, correct[name], equal_nan=True) for name, array in trace.quantities.items())
