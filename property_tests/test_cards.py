"""Cards and executors: everything is recorded, under its name, in its shape and dtype, and adds up exactly.

Nothing here needs a tolerance. What rounds is checked for structure alone; what is checked for its value
is computed on small integers and halves, where every correct program gets the same bits.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.case import Case, Network, Node, OptimizerSpec, TensorSpec
from harness.errors import NotSupportedError
from harness.generate.fitting import Fitting, fits, input_domain
from harness.generate.values import into
from harness.mutants import EXECUTOR_MUTANTS, mutated_module
from harness.registry import implementation, installed_cards
from harness.trace import Quantity, Trace
from reference_impls import numpy_impl
from reference_impls.jax_impl import JaxImplementation
from reference_impls.numpy_impl import NumpyImplementation
from reference_impls.torch_impl import TorchImplementation

CARDS = installed_cards()
BUILT_IN = {name: implementation(name) for name in ("numpy", "torch", "jax")}
CLASSES = (NumpyImplementation, TorchImplementation, JaxImplementation)
DTYPES = ("float32", "float64")
BATCH, FEATURES, OUTPUTS = 3, 2, 4


# Cases, one per card, each with its own hyperparameters and roles


def ways_of(card):
    """Two ways to use a card that differ in what it lets one choose, of the combinations that fit: first and last."""
    fitting, found = Fitting(CARDS, (OUTPUTS,)), {}
    firsts = [(BATCH, FEATURES, OUTPUTS, OUTPUTS)[:count] for count in card.axes]
    for inputs in fitting.placements(card, firsts, BATCH):
        for way in fitting.ways(card, inputs, BATCH):
            chosen = tuple(way.hypers[name] for name, spec in card.hypers.items() if spec.choices)
            found.setdefault(chosen, way)
    assert found, f"nothing fits {card.name}"
    ways = list(found.values())
    return ways if len(ways) < 3 else [ways[0], ways[-1]]


def case_of(card, way, roles, dtype, seed):
    """A case around one card, its gradient scaled by random numbers, with two updates."""
    rng = np.random.default_rng(seed)
    tensor = {role: TensorSpec([*way.params[role]]) for role in roles}
    node = Node("card", card.name, list(card.inputs), {role: role for role in roles}, dict(way.hypers))
    inputs = {
        role: TensorSpec([*shape], "int64" if role in card.integers else "case")
        for role, shape in zip(card.inputs, way.inputs, strict=True)
    }
    if card.kind == "layer":
        nodes = [node, Node("scaled", "multiply", ["card", "upstream"])]
        upstream = {"upstream": TensorSpec([*way.output])}
        network = Network(inputs, upstream, tensor, nodes, [Node("L", "value", ["scaled"])])
    else:
        network = Network(inputs, {}, tensor, [], [node])
    low = -1.0 if card.kind == "layer" else 0.1
    values = {name: rng.uniform(low, 0.9, spec.shape) for name, spec in network.tensors().items()}
    for role, (least, most) in CARDS.integer_ranges(network, CARDS.shapes(network)).items():
        values[role] = rng.integers(least, most, values[role].shape)
    for role in card.domains:
        values[role] = into(input_domain(card, role, way.hypers), values[role])
    return Case(network, values, dtype, OptimizerSpec("sgd", {"lr": 0.5}), steps=2)


def every_card():
    for card in CARDS.operations.values():
        for way in ways_of(card):
            for optional in dict.fromkeys(((), tuple(role for role in card.optional_params if role in way.params))):
                kept = {role: way.params[role] for role in card.params + optional}
                if fits(card, way.inputs, kept, way.hypers) is not None:
                    label = "-".join(map(str, (card.name, *way.hypers.values(), *optional)))
                    yield pytest.param(card, way, card.params + optional, id=label)


def in_alternating_dtypes():
    """Each of them in one of the dtypes: jax compiles for every one."""
    ways = zip(every_card(), itertools.cycle(DTYPES), strict=False)
    return [pytest.param(*way.values, dtype, id=f"{way.id}-{dtype}") for way, dtype in ways]


# The check of structure, and the same check seen to fail


def complaints(case, trace):
    """What is wrong with the trace's names, shapes, dtypes or memory."""
    shapes = {**CARDS.check(case), "loss": ()}
    inputs = [name for name, spec in case.network.inputs.items() if spec.dtype == "case"]
    nodes = [node.name for node in case.network.nodes]
    terms = [term.name for term in case.network.loss]
    rule, hypers = CARDS.optimizer(case.optimizer.name), CARDS.optimizer_hypers(case)
    state = {name: rule.numpy_init(w, **hypers) for name, w in case.params.items()}
    expected = {}
    for step in case.recorded:
        expected |= {Quantity(step, "value", name): shapes[name] for name in (*nodes, *terms, "loss")}
        expected |= {Quantity(step, "grad", name): shapes[name] for name in (*inputs, *case.params, *nodes)}
        for at in {step, min(step + 1, case.steps)}:
            expected |= {Quantity(at, "param", name): shapes[name] for name in case.params}
            if at:
                expected |= {
                    Quantity(at, "state", name, slot): x.shape for name in state for slot, x in state[name].items()
                }
    recorded = trace.quantities
    found = [f"{quantity} is missing" for quantity in expected.keys() - recorded.keys()]
    found += [f"{quantity} is unknown" for quantity in recorded.keys() - expected.keys()]
    for quantity in expected.keys() & recorded.keys():
        array = recorded[quantity]
        if array.shape != expected[quantity]:
            found.append(f"{quantity} has shape {array.shape}, needs {expected[quantity]}")
        if array.dtype != case.dtype:
            found.append(f"{quantity} has dtype {array.dtype}, needs {case.dtype}")
    arrays = [*recorded.items(), *case.values.items()]
    for (one, first), (other, second) in itertools.combinations(arrays, 2):
        if np.may_share_memory(first, second) and not (isinstance(one, str) and isinstance(other, str)):
            found.append(f"{one} shares memory with {other}")
    if trace.losses is None or trace.losses.shape != (case.steps + 1,) or trace.losses.dtype != case.dtype:
        found.append("losses needs one number of the case's dtype for every step")
    return found


def bits(trace):
    return {quantity: (array.tobytes(), array.shape) for quantity, array in trace.quantities.items()}


def test_the_check_of_determinism_sees_the_last_bit():
    trace = BUILT_IN["numpy"].run(Case(SHARED, shared_values(0)))
    other = dict(trace.quantities)
    quantity = Quantity(0, "grad", "b")
    other[quantity] = np.nextafter(other[quantity], np.inf)
    assert {name for name, array in bits(Trace(other)).items() if array != bits(trace)[name]} == {quantity}


@pytest.mark.parametrize(("card", "way", "roles", "dtype"), in_alternating_dtypes())
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_card_is_recorded_completely_by_all_three(card, way, roles, dtype, seed):
    case = case_of(card, way, roles, dtype, seed)
    before = case.to_json()
    for built_in in BUILT_IN.values():
        try:
            trace = built_in.run(case)
        except NotSupportedError:
            event(f"{built_in.name} has no {card.name} with {way.hypers}")
            assert built_in.name != "numpy"
            continue
        assert complaints(case, trace) == [], built_in.name
        assert bits(built_in.run(case)) == bits(trace), f"{built_in.name} is not deterministic"
    assert case.to_json() == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", sorted(CARDS.optimizers))
def test_every_optimizer_is_recorded_completely_by_all_that_have_it(optimizer, dtype):
    card = CARDS.optimizer(optimizer)
    hypers = {name: 0.5 for name, spec in card.hypers.items() if spec.default is None}
    case = Case(SHARED, shared_values(0), dtype, OptimizerSpec(optimizer, hypers), steps=5, record=(0, 3))
    assert set(card.numpy_init(np.zeros(1), **CARDS.optimizer_hypers(case))) <= set(card.slots)
    lacking = []
    for built_in in BUILT_IN.values():
        try:
            trace = built_in.run(case)
        except NotSupportedError:
            lacking.append(built_in.name)
        else:
            assert complaints(case, trace) == [], built_in.name
    assert "numpy" not in lacking


def planted(change):
    """A correct trace of two SGD steps, with its quantities changed."""
    case = Case(SHARED, shared_values(0), "float64", OptimizerSpec("sgd", {"lr": 0.5}), steps=2)
    trace = BUILT_IN["numpy"].run(case)
    quantities = dict(trace.quantities)
    losses = change(case, quantities)
    return complaints(case, Trace(quantities, trace.losses if losses is None else losses))


FAULTS = {
    "a wrong name": (
        lambda case, q: q.update({Quantity(0, "value", "hidden"): q.pop(Quantity(0, "value", "h"))}),
        {"value h at step 0 is missing", "value hidden at step 0 is unknown"},
    ),
    "a wrong step": (
        lambda case, q: q.update({Quantity(3, "param", "W"): q.pop(Quantity(2, "param", "W"))}),
        {"param W at step 2 is missing", "param W at step 3 is unknown"},
    ),
    "a wrong shape": (
        lambda case, q: q.update({Quantity(0, "grad", "b"): q[Quantity(0, "grad", "b")].reshape(1, 2).copy()}),
        {"grad b at step 0 has shape (1, 2), needs (2,)"},
    ),
    "a wrong dtype": (
        lambda case, q: q.update({Quantity(0, "grad", "b"): np.zeros(2, "float32")}),
        {"grad b at step 0 has dtype float32, needs float64"},
    ),
    "a view of the parameter": (
        lambda case, q: q.update({Quantity(0, "param", "W"): q[Quantity(1, "param", "W")].view()}),
        {"param W at step 0 shares memory with param W at step 1"},
    ),
    "the case's own array": (
        lambda case, q: q.update({Quantity(0, "param", "W"): case.values["W"]}),
        {"param W at step 0 shares memory with W"},
    ),
    "a loss forgotten": (
        lambda case, q: np.zeros(2),
        {"losses needs one number of the case's dtype for every step"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_of_structure_sees(fault):
    change, expected = FAULTS[fault]
    assert set(planted(change)) == expected


def test_the_check_of_structure_is_silent_without_a_fault():
    assert planted(lambda case, q: None) == []


def test_torch_views_instead_of_copies_are_seen(monkeypatch):
    monkeypatch.setattr("reference_impls.torch_impl._copy", lambda tensor: tensor.detach().numpy())
    case = Case(SHARED, shared_values(0), "float64", OptimizerSpec("sgd", {"lr": 0.5}), steps=2)
    found = complaints(case, TorchImplementation().run(case))
    assert {f"param {name} at step {k} shares memory with param {name} at step {k + 1}"
            for name in ("W", "b") for k in (0, 1)} <= set(found)


# Exact arithmetic: nodes and parameters used more than once

SHARED = Network(
    inputs={"x": TensorSpec([3, 2])},
    constants={"t": TensorSpec([3, 2])},
    params={"W": TensorSpec([2, 2]), "b": TensorSpec([2])},
    nodes=[
        Node("z", "dense", ["x"], {"W": "W", "b": "b"}),
        Node("h", "relu", ["z"]),
        Node("y", "dense", ["h"], {"W": "W", "b": "b"}),
        Node("same", "identity", ["y"]),
        Node("sum", "add", ["same", "h"]),
        Node("more", "add", ["sum", "y"]),
        Node("product", "multiply", ["more", "z"]),
        Node("square", "square", ["h"]),
        Node("out", "subtract", ["product", "square"]),
        Node("unused", "power", ["z"], {}, {"exponent": 2}),
    ],
    loss=[
        Node("E", "squared_error", ["out", "t"]),
        Node("R", "l2_penalty", [], {"w": "W"}, {"strength": 2.0}),
    ],
)
"""On integers from -2 to 2 every number on the way is an integer below 2**24: exact in float32 as well."""


def shared_values(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.integers(-2, 3, spec.shape) for name, spec in SHARED.tensors().items()}


def differences(case, columns):
    """Where the columns are not equal to the last bit (zeros may differ in sign)."""
    traces = [column.run(case) for column in columns]
    names = {quantity for trace in traces for quantity in trace.quantities}
    return {
        str(quantity) for quantity in names
        if len({str(trace.quantities[quantity].tolist()).replace("-0.0", "0.0") for trace in traces}) > 1
    }


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_three_agree_exactly_on_integers(dtype, seed):
    case = Case(SHARED, shared_values(seed), dtype)
    assert differences(case, BUILT_IN.values()) == set()


def without_second_contribution():
    """The add card of each framework, with the gradient of its second input dropped."""
    add = CARDS.operation("add")
    yield NumpyImplementation, replace(add, numpy_backward=lambda p, saved, dy: ((dy, None), {}))
    yield TorchImplementation, replace(add, torch_forward=lambda torch, p, a, b: a + b.detach())
    yield JaxImplementation, replace(add, jax_forward=lambda jax, p, a, b: a + jax.lax.stop_gradient(b))


@pytest.mark.parametrize(("column", "card"), list(without_second_contribution()))
def test_a_contribution_dropped_at_a_shared_node_is_seen(column, card):
    case = Case(SHARED, shared_values(0))
    broken = column(cards=CARDS.replacing(card))
    good = [built_in for built_in in BUILT_IN.values() if built_in.name != broken.name]
    assert differences(case, good) == set()
    assert {"grad h at step 0", "grad W at step 0"} <= differences(case, [broken, *good])


def test_an_executor_that_overwrites_instead_of_adding_is_seen():
    mutant = next(one for one in EXECUTOR_MUTANTS if one.name == "last_contribution_wins")
    broken = mutated_module(mutant, numpy_impl).NumpyImplementation()
    found = differences(Case(SHARED, shared_values(0)), [broken, *list(BUILT_IN.values())[1:]])
    assert {"grad h at step 0", "grad z at step 0", "grad W at step 0", "grad b at step 0"} <= found


# By hand

BY_HAND = Network(
    inputs={"x": TensorSpec([1, 1])},
    constants={"t": TensorSpec([1, 1])},
    params={"w": TensorSpec([1, 1]), "b": TensorSpec([1])},
    nodes=[
        Node("z", "dense", ["x"], {"W": "w", "b": "b"}),
        Node("h", "relu", ["z"]),
        Node("y", "dense", ["h"], {"W": "w", "b": "b"}),
        Node("sum", "add", ["y", "h"]),
    ],
    loss=[
        Node("E", "squared_error", ["sum", "t"]),
        Node("R", "l2_penalty", [], {"w": "w"}, {"strength": 2}),
    ],
)
BY_HAND_VALUES = {"x": np.array([[3]]), "t": np.array([[10]]), "w": np.array([[2]]), "b": np.array([-1])}


def expect(trace, step, kind, **numbers):
    for name, number in numbers.items():
        name, _, slot = name.partition("_")
        assert trace.quantities[Quantity(step, kind, name, slot)].item() == number, (step, kind, name, slot)


def check_sgd_by_hand(column, dtype):
    """w = 2, b = -1, x = 3, t = 10, with w and b used twice; then two updates with learning rate 1/2."""
    trace = column.run(Case(BY_HAND, BY_HAND_VALUES, dtype, OptimizerSpec("sgd", {"lr": 0.5}), steps=2))
    expect(trace, 0, "value", z=5, h=5, y=9, sum=14, E=16, R=4, loss=20)
    # d sum = 2 (14 - 10); dh = 8 + 8 w; dw = 5 dy + 3 dz + 2 w; db = dy + dz
    expect(trace, 0, "grad", sum=8, y=8, h=24, z=24, x=48, w=116, b=32)
    expect(trace, 1, "param", w=-56, b=-17)
    expect(trace, 1, "value", z=-185, h=0, y=-17, sum=-17, E=729, R=3136, loss=3865)
    expect(trace, 1, "grad", sum=-54, y=-54, h=2970, z=0, x=0, w=-112, b=-54)
    expect(trace, 2, "param", w=0, b=10)
    assert trace.losses.tolist() == [20, 3865, 100]


def check_adam_by_hand(column, dtype):
    """With β₁ = 1/2, β₂ = 3/4, ε = 0 the first step is exactly the learning rate, whatever the gradient."""
    hypers = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 0.0}
    trace = column.run(Case(BY_HAND, BY_HAND_VALUES, dtype, OptimizerSpec("adam", hypers), steps=1))
    expect(trace, 1, "param", w=1.5, b=-1.5)
    expect(trace, 1, "state", w_m=58, w_v=3364, b_m=16, b_v=256)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("column", BUILT_IN.values(), ids=BUILT_IN)
@pytest.mark.parametrize("check", [check_sgd_by_hand, check_adam_by_hand])
def test_equals_the_computation_by_hand(check, column, dtype):
    check(column, dtype)


def wrong_optimizers():
    """Per framework: SGD that goes uphill, and Adam that starts its count one late."""
    sgd, adam = CARDS.optimizer("sgd"), CARDS.optimizer("adam")
    yield check_sgd_by_hand, NumpyImplementation, replace(
        sgd, numpy_update=lambda w, g, state, t, *, lr, **h: (w + lr * g, {}))
    yield check_sgd_by_hand, TorchImplementation, replace(
        sgd, torch_optimizer=lambda torch, params, *, lr, **h: torch.optim.SGD(params, lr=lr, maximize=True))
    yield check_sgd_by_hand, JaxImplementation, replace(
        sgd, optax_optimizer=lambda optax, *, lr, **h: optax.sgd(-lr))
    yield check_adam_by_hand, NumpyImplementation, replace(
        adam, numpy_update=lambda w, g, state, t, **h: adam.numpy_update(w, g, state, t + 1, **h))
    yield check_adam_by_hand, TorchImplementation, replace(
        adam, torch_state=lambda state: {"m": state["exp_avg_sq"], "v": state["exp_avg"]})
    yield check_adam_by_hand, JaxImplementation, replace(
        adam, optax_optimizer=lambda optax, *, beta1, beta2, **h: adam.optax_optimizer(
            optax, beta1=beta2, beta2=beta1, **h))


@pytest.mark.parametrize(("check", "column", "card"), list(wrong_optimizers()))
def test_a_wrong_optimizer_is_seen(check, column, card):
    with pytest.raises(AssertionError, match=r"param|state"):
        check(column(cards=CARDS.replacing(card)), "float64")


# The contract


@pytest.mark.parametrize("op", ["dense", "sgd"])
@pytest.mark.parametrize("column", [TorchImplementation, JaxImplementation])
def test_a_card_without_this_framework_is_not_supported(column, op):
    absent = {"torch_forward": None, "jax_forward": None} if op == "dense" else {
        "torch_optimizer": None, "optax_optimizer": None}
    card = replace(CARDS.operation(op) if op == "dense" else CARDS.optimizer(op), **absent)
    case = Case(BY_HAND, BY_HAND_VALUES, "float64", OptimizerSpec("sgd", {"lr": 0.5}), steps=1)
    with pytest.raises(NotSupportedError, match=f"{column.name}: .*{op!r}"):
        column(cards=CARDS.replacing(card)).run(case)


@pytest.mark.parametrize("column", BUILT_IN.values(), ids=BUILT_IN)
def test_versions_are_told(column):
    assert column.name in column.versions
    assert all(column.versions.values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("column", BUILT_IN.values(), ids=BUILT_IN)
def test_nodes_made_from_constants_have_gradients_too(column, dtype):
    network = Network(
        constants={"c": TensorSpec([2])},
        nodes=[Node("same", "identity", ["c"]), Node("s", "square", ["same"])],
        loss=[Node("L", "value", ["s"])],
    )
    trace = column.run(Case(network, {"c": np.array([3, -1])}, dtype))
    assert trace.quantities[Quantity(0, "grad", "same")].tolist() == [6, -2]
    assert trace.quantities[Quantity(0, "grad", "s")].tolist() == [1, 1]


@pytest.mark.parametrize("column", BUILT_IN.values(), ids=BUILT_IN)
def test_negative_zeros_survive(column):
    network = Network(inputs={"x": TensorSpec([2])}, nodes=[Node("y", "identity", ["x"])],
                      loss=[Node("L", "value", ["y"])])
    trace = column.run(Case(network, {"x": np.array([-0.0, 0.0])}))
    assert np.signbit(trace.quantities[Quantity(0, "value", "y")]).tolist() == [True, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_l1_at_zero_is_a_documented_divergence(dtype):
    network = Network(params={"w": TensorSpec([3])},
                      loss=[Node("R", "l1_penalty", [], {"w": "w"}, {"strength": 2.0})])
    case = Case(network, {"w": np.array([-3, 0, 5])}, dtype)
    grads = {name: column.run(case).quantities[Quantity(0, "grad", "w")].tolist() for name, column in BUILT_IN.items()}
    assert grads == {"numpy": [-2, 0, 2], "torch": [-2, 0, 2], "jax": [-2, 2, 2]}
