"""A gradient comes in as many parts as a framework's line uses its input: what the cards say, against the frameworks.

Torch's graph has an edge for every use. In JAX a line is linearised, and the uses of its tangent are counted. A card
that knew of too few would hold a correct program to a bound without the roundings of its additions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import jax
import jax.extend
import numpy as np
import pytest
import torch

from harness import Cards, NotSupportedError, installed_cards
from harness.generate import cases, sample

CARDS = installed_cards()
NAMES = [name for name, card in CARDS.operations.items() if card.inputs]
CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call")


def used(cards: Cards, name: str):
    """Nodes of this card in generated networks, with the numbers that reach them."""
    for case in sample(cases(cards, featuring=name, max_depth=1, dtypes=("float64",), max_steps=0), 6):
        node = next((node for _, node in case.network.operations() if node.op == name), None)
        if node is not None:
            shapes, draw = cards.check(case), np.random.default_rng(0).uniform
            whole = dict(zip(cards.operations[name].inputs, node.inputs, strict=True))
            roles = {
                role: case.values[at].copy() if role in cards.operations[name].integers else draw(0.1, 0.9, shapes[at])
                for role, at in whole.items()
            }
            params = {role: draw(0.1, 0.9, case.values[at].shape) for role, at in node.params.items()}
            yield roles, params, cards.hypers(node)


def known(card, roles, params, hypers):
    """How many parts the card has, or says there are."""
    _, saved = card.numpy_forward(params, *roles.values(), **hypers)
    shapes = [array.shape for array in roles.values()]
    counts = {role: count if isinstance(count, int) else count(shapes) for role, count in card.parts.items()}
    rules = [card.numpy_backward, *(one.numpy_backward for one in card.variants if one.numpy_backward is not None)]
    for rule in rules:
        dinputs, dparams = rule(params, saved, card.numpy_forward(params, *roles.values(), **hypers)[0], **hypers)
        for role, grad in (*zip(roles, dinputs, strict=True), *dparams.items()):
            counts[role] = max(counts.get(role, 1), len(grad) if isinstance(grad, tuple) else 1)
    return counts


def in_torch(card, roles, params, hypers):
    """Edges that lead to each leaf."""
    tensors = {role: torch.as_tensor(array) for role, array in {**roles, **params}.items()}
    for tensor in tensors.values():
        tensor.requires_grad_(tensor.is_floating_point())
    value = card.torch_forward(
        torch, {role: tensors[role] for role in params}, *(tensors[role] for role in roles), **hypers
    )
    edges, seen, left = Counter(), set(), [value.grad_fn]
    while left:
        function = left.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        for further, _ in function.next_functions:
            leaf = getattr(further, "variable", None)
            edges.update([] if leaf is None else [id(leaf)])
            left.append(further)
    return {role: edges[id(tensor)] for role, tensor in tensors.items()}


def uses(jaxpr, variable):
    """How often a variable is used, what is called from there included."""
    count = sum(one is variable for one in jaxpr.outvars)
    for equation in jaxpr.eqns:
        places = [number for number, one in enumerate(equation.invars) if one is variable]
        inner = next((v.jaxpr for v in equation.params.values() if isinstance(v, jax.extend.core.ClosedJaxpr)), None)
        if equation.primitive.name in CALLS and inner is not None:
            count += sum(uses(inner, inner.invars[number]) for number in places)
        else:
            count += len(places)
    return count


def in_jax(card, roles, params, hypers):
    """Uses of each tangent in the linearised line."""
    real = {role: array for role, array in {**roles, **params}.items() if array.dtype == np.float64}

    def line(real):
        both = {**roles, **params, **real}
        return card.jax_forward(jax, {role: both[role] for role in params}, *(both[role] for role in roles), **hypers)

    with jax.enable_x64(True):
        linear = jax.make_jaxpr(lambda tangents: jax.jvp(line, (real,), (tangents,))[1])(real)
    return {role: uses(linear.jaxpr, one) for role, one in zip(sorted(real), linear.jaxpr.invars, strict=True)}


NOT_COUNTED = {"torch": {"gru_cell"}, "jax": set()}
"""Cards that the library has not got; see the cards."""
COUNTED = {"torch": in_torch, "jax": in_jax}


def unknown(cards, name, who):
    """What the card knows too few parts of."""
    card = cards.operations[name]
    found, nodes = {}, 0
    for one in used(cards, name):
        try:
            counted = COUNTED[who](card, *one)
        except NotSupportedError:
            continue
        nodes += 1
        told = known(card, *one)
        found |= {role: (count, told.get(role, 1)) for role, count in counted.items() if count > told.get(role, 1)}
    assert nodes or name in NOT_COUNTED[who], "no node of this card was counted"
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", COUNTED)
def test_a_card_knows_of_every_part(name, who):
    assert unknown(CARDS, name, who) == {}


@pytest.mark.parametrize("who", COUNTED)
def test_a_card_that_forgets_a_part_is_found(who):
    forgetful = CARDS.replacing(replace(CARDS.operation("cosine_embedding"), variants=(), parts={"a": 3, "b": 2}))
    assert unknown(forgetful, "cosine_embedding", who) == {"b": (3, 2)}
