"""Convolutions and pooling: against loops over every element, at ties, and where XLA would end the process.

Numbers are small multiples of 12 and divisors have no factors but 2 and 3, so every correct program gets the same bits.
"""

import itertools
import math
import subprocess
import sys

import jax
import numpy as np
import pytest
import torch

from harness.case import Case, Network, Node, TensorSpec
from harness.errors import CaseError, NotSupportedError
from harness.generate.fitting import Fitting
from harness.mutants import card_mutants, mutated_cards
from harness.registry import implementation, installed_cards
from harness.trace import Quantity
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
PROGRAMS = [implementation(name) for name in ("numpy", "torch", "jax")]
OPS = ("conv1d", "conv2d", "conv_transpose2d", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d")

# What is tried: an operation, the shapes of x and W, and hyperparameters, all of them unlike each other


TRIED = [
    ("conv1d", (2, 4, 6), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ("conv1d", (2, 2, 7), (3, 2, 2), {"padding": 2, "dilation": 3}),
    ("conv1d", (3, 2, 1), (2, 2, 2), {"padding": 2, "stride": 2}),
    ("conv2d", (2, 4, 5, 4), (6, 2, 3, 2), {"stride": (2, 1), "padding": (1, 2), "groups": 2}),
    ("conv2d", (2, 3, 5, 4), (2, 3, 2, 3), {"stride": (1, 3), "padding": (0, 1), "dilation": (3, 1)}),
    ("conv2d", (3, 2, 1, 5), (2, 1, 1, 2), {"padding": (1, 0), "groups": 2}),
    ("conv_transpose2d", (2, 3, 3, 2), (3, 2, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ("conv_transpose2d", (2, 2, 1, 4), (2, 3, 1, 3), {"stride": (1, 2), "dilation": (1, 3), "padding": (0, 2)}),
    ("max_pool1d", (2, 3, 7), None, {"kernel": 3, "stride": 2, "padding": 1}),
    ("max_pool1d", (2, 3, 7), None, {"kernel": 1, "stride": 3}),
    ("max_pool2d", (2, 2, 5, 6), None, {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 1)}),
    ("max_pool2d", (2, 2, 4, 6), None, {"kernel": (2, 4), "stride": (2, 3), "padding": (0, 1)}),
    ("avg_pool1d", (2, 3, 8), None, {"kernel": 4, "stride": 3, "padding": 2}),
    ("avg_pool1d", (2, 3, 4), None, {"kernel": 2, "stride": 1, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", (2, 2, 5, 6), None, {"kernel": (2, 4), "stride": (1, 3), "padding": (1, 0)}),
    ("avg_pool2d", (2, 2, 3, 4), None,
     {"kernel": (2, 4), "stride": (2, 1), "padding": (1, 2), "count_include_pad": False}),
]  # fmt: skip


def case_of(op, x, W, hypers, dtype="float64", seed=0, levels=9):
    """The operation on small multiples of 12, and each of its results times another."""
    rng = np.random.default_rng(seed)
    params = {} if W is None else {"W": W, "b": (W[1] if op == "conv_transpose2d" else W[0],)}
    node = Node("y", op, ["x"], {role: role for role in params}, hypers)
    shape = CARDS.operation(op).output_shape([x], params, **CARDS.hypers(node))
    network = Network(
        inputs={"x": TensorSpec(list(x))},
        constants={"upstream": TensorSpec(list(shape))},
        params={role: TensorSpec(list(size)) for role, size in params.items()},
        nodes=[node, Node("scaled", "multiply", ["y", "upstream"])],
        loss=[Node("L", "value", ["scaled"])],
    )
    values = {name: rng.integers(-levels, levels + 1, spec.shape) for name, spec in network.tensors().items()}
    return Case(network, {name: 12 * array for name, array in values.items()}, dtype)


def triples(case):
    """Every (place of the larger image, offset in the window, window) that belong together, and the kernel's size."""
    node, shapes = case.network.nodes[0], CARDS.check(case)
    hypers = CARDS.hypers(node)
    large, small = (shapes["y"], shapes["x"]) if node.op == "conv_transpose2d" else (shapes["x"], shapes["y"])
    axes = len(large) - 2
    kernel = hypers.get("kernel", shapes["W"][2:] if "W" in shapes else None)
    each = [kernel, *(hypers.get(name, 1) for name in ("stride", "padding", "dilation"))]
    each = [one if isinstance(one, tuple) else (one,) * axes for one in each]
    found = []
    for window in np.ndindex(*small[2:]):
        for offset in np.ndindex(*each[0]):
            place = tuple(o * s + k * d - p for o, k, s, p, d in zip(window, offset, *each[1:], strict=True))
            if all(0 <= at < size for at, size in zip(place, large[2:], strict=True)):
                found.append((place, offset, window))
    return found, each[0]


def looped(case):
    """Value and gradients, by loops over every element."""
    node, given = case.network.nodes[0], case.values
    hypers, x, dy = CARDS.hypers(node), given["x"], given["upstream"]
    found, kernel = triples(case)
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    if "W" in given:
        return _looped_convolution(node.op, given, found, hypers.get("groups", 1))
    for n, c in np.ndindex(*x.shape[:2]):
        for window in np.ndindex(*dy.shape[2:]):
            places = [(n, c, *place) for place, _, at in found if at == window]
            here = (n, c, *window)
            if node.op.startswith("max"):
                best = max(places, key=lambda place: (x[place], [-at for at in place]))
                y[here], dx[best] = x[best], dx[best] + dy[here]
                continue
            m = math.prod(kernel) if hypers["count_include_pad"] else len(places)
            for place in places:
                y[here], dx[place] = y[here] + x[place] / m, dx[place] + dy[here] / m
    return {"y": y, "dx": dx}


def _looped_convolution(op, given, found, groups):
    x, W, dy = given["x"], given["W"], given["upstream"]
    y, dx, dW = np.zeros(dy.shape) + given["b"].reshape(-1, *(1,) * (dy.ndim - 2)), np.zeros(x.shape), np.zeros(W.shape)
    for n, c, o in itertools.product(range(x.shape[0]), range(x.shape[1]), range(dy.shape[1])):
        group = x.shape[1] // groups
        if c // group != o // (dy.shape[1] // groups):
            continue
        for place, offset, window in found:
            read, made = (window, place) if op == "conv_transpose2d" else (place, window)
            w = (c, o, *offset) if op == "conv_transpose2d" else (o, c % group, *offset)
            y[n, o, *made] += W[w] * x[n, c, *read]
            dx[n, c, *read] += W[w] * dy[n, o, *made]
            dW[w] += x[n, c, *read] * dy[n, o, *made]
    return {"y": y, "dx": dx, "dW": dW, "db": dy.sum(axis=(0, *range(2, dy.ndim)))}


def computed(program, case):
    """The same quantities, as an implementation has them."""
    trace = program.run(case).quantities
    grads = {f"d{name}": trace[Quantity(0, "grad", name)] for name in ("x", *case.params)}
    return {"y": trace[Quantity(0, "value", "y")], **grads}


def differing(one, other):
    return [name for name in one if not np.array_equal(one[name], other[name])]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "x", "W", "hypers"), TRIED)
def test_every_implementation_does_what_the_loops_do(op, x, W, hypers, dtype):
    case = case_of(op, x, W, hypers, dtype)
    expected = looped(case)
    assert all(array.any() for array in expected.values())
    for program in PROGRAMS:
        assert differing(expected, computed(program, case)) == [], program.name


@pytest.mark.parametrize("mutant", [one for one in card_mutants(CARDS) if one.target in OPS], ids=lambda one: one.name)
def test_the_loops_see_every_mistake(mutant):
    planted = NumpyImplementation(cards=mutated_cards(mutant, CARDS))
    seen = False
    for op, *tried in TRIED:
        if op == mutant.target:
            case = case_of(op, *tried, levels=2)
            try:
                seen = seen or differing(looped(case), computed(planted, case)) != []
            except (ValueError, IndexError):
                seen = True
    assert seen


# Ties


@pytest.mark.parametrize(("op", "x", "W", "hypers"), [one for one in TRIED if one[0].startswith("max")])
@pytest.mark.parametrize("levels", [0, 1])
def test_the_first_of_equal_numbers_has_the_gradient_in_every_implementation(op, x, W, hypers, levels):
    case = case_of(op, x, W, hypers, levels=levels)
    case = Case(case.network, {"x": case.values["x"], "upstream": 1 + np.arange(case.values["upstream"].size).reshape(
        case.values["upstream"].shape)})  # fmt: skip
    for program in PROGRAMS:
        assert differing(looped(case), computed(program, case)) == [], program.name


# What the frameworks do, and the bounds rest on


def test_no_framework_lets_a_zero_patch_know_of_its_neighbours():
    """A sum over a window of zeros is 0. Winograd's and Fourier's algorithms mix it with what is beside the window."""
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(2, 64, 24, 24)).astype(np.float32), rng.normal(size=(64, 64, 3, 3)).astype(np.float32)
    x[:, :, 5:15, 5:15] = 0
    card, plain = CARDS.operation("conv2d"), {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    by_torch = card.torch_forward(torch, {"W": torch.tensor(W)}, torch.tensor(x), **plain).numpy()
    by_jax = np.asarray(jax.jit(lambda W, x: card.jax_forward(jax, {"W": W}, x, **plain))(W, x))
    by_fourier = np.fft.irfft2(np.fft.rfft2(x[0, 0]) * np.fft.rfft2(W[0, 0], (24, 24)), (24, 24))
    for y in (by_torch, by_jax):
        assert not y[:, :, 6:14, 6:14].any()
        assert y[:, :, :5].all()
    assert by_fourier[8:14, 8:14].any(), "the check sees an algorithm that mixes"


FATAL = {"stride": (2, 2), "padding": (1, 1), "dilation": (1, 1)}
ENDING = """
import numpy, jax
def loss(x):
    y = jax.lax.conv_general_dilated(x, numpy.ones((1, 1, 2, 2)), (2, 2), [(1, 1), (1, 1)])
    return (y * y).sum()
jax.jit(jax.grad(loss)).lower(numpy.ones((2, 1, 1, 4))).compile()
"""


def test_xla_still_ends_the_process_where_the_card_refuses():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False)
    assert done.returncode < 0
    assert "Window dimensions do not match RHS shape" in done.stderr
    mended = ENDING.replace("(2, 1, 1, 4)", "(2, 1, 1, 5)")
    assert subprocess.run([sys.executable, "-c", mended], capture_output=True, check=False).returncode == 0


def refused(op, x, W, dtype="float64", **hypers):
    case = case_of(op, x, W, hypers, dtype)
    try:
        computed(implementation("jax"), case)
    except NotSupportedError as error:
        return "would end the process" in str(error)
    return False


def test_what_would_end_the_process_is_refused_and_little_else():
    fatal, made = (2, 1, 1, 4), (1, 1, 2, 2)
    assert refused("conv2d", fatal, made, **FATAL)
    assert refused("conv2d", (2, 1, 4, 1), made, **FATAL)
    assert refused("conv2d", (2, 2, 1, 4), (2, 1, 2, 2), **FATAL, groups=2)
    assert refused("conv_transpose2d", (2, 1, 1, 3), (1, 1, 3, 2), **FATAL | {"stride": (1, 2)})
    assert not refused("conv2d", (2, 2, 1, 4), (2, 1, 2, 2), "float32", **FATAL, groups=2)
    assert not refused("conv2d", (2, 1, 1, 5), made, **FATAL)
    assert not refused("conv2d", (2, 1, 1, 2), made, **FATAL)
    assert not refused("conv2d", (2, 1, 4, 4), made, **FATAL)
    assert not refused("conv_transpose2d", (2, 1, 1, 2), (1, 1, 3, 2), **FATAL | {"stride": (1, 2)})


# What is refused by the cards, and what is generated


@pytest.mark.parametrize(
    ("op", "x", "W", "hypers", "complaint"),
    [
        ("conv2d", (2, 3, 4), (1, 3, 2, 2), {}, "four axes"),
        ("conv2d", (2, 3, 4, 4), (2, 3, 2, 2), {"groups": 2}, "multiple of 2, 3 / 2"),
        ("conv2d", (2, 4, 4, 4), (3, 2, 2, 2), {"groups": 2}, "multiple of 2, 4 / 2"),
        ("conv2d", (2, 3, 4, 4), (2, 3, 5, 2), {}, "has no window"),
        ("conv2d", (2, 3, 4, 4), (2, 3, 2, 2), {"stride": (1,)}, "2 whole number"),
        ("conv2d", (2, 3, 4, 4), (2, 3, 2, 2), {"stride": (1, 0)}, "at least 1 as stride"),
        ("conv1d", (2, 3, 4), (2, 3, 2), {"stride": 1.5}, "whole number"),
        ("conv1d", (2, 3, 4), (2, 3, 2, 1), {}, "three axes"),
        ("conv_transpose2d", (2, 3, 4, 4), (2, 3, 2, 2), {}, "W \\(C, O, kh, kw\\)"),
        ("conv_transpose2d", (2, 3, 1, 4), (3, 2, 1, 1), {"padding": (1, 0)}, "nothing left"),
        ("max_pool2d", (2, 3, 4, 4), None, {"kernel": (2, 2), "stride": (1, 1), "padding": (1, 2)}, "half a window"),
        ("max_pool1d", (2, 3), None, {"kernel": 2, "stride": 1}, "3 axes"),
        ("avg_pool1d", (2, 3, 4), None, {"kernel": 0, "stride": 1}, "at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(op, x, W, hypers, complaint):
    params = {} if W is None else {"W": TensorSpec(list(W))}
    node = Node("y", op, ["x"], {role: role for role in params}, hypers)
    network = Network({"x": TensorSpec(list(x))}, {}, params, [node], [Node("L", "squared_error", ["y", "y"])])
    case = Case(network, {name: np.zeros(spec.shape) for name, spec in network.tensors().items()})
    with pytest.raises(CaseError, match=complaint):
        CARDS.check(case)


@pytest.mark.parametrize("op", OPS)
def test_every_hyperparameter_and_several_kernels_are_generated(op):
    card = CARDS.operation(op)
    ways = Fitting(CARDS, (1, 2, 3)).ways(card, ((2, 4, 5, 5)[: card.axes[0]],), 2)
    for name, spec in card.hypers.items():
        assert {*spec.typical, *spec.choices} <= {way.hypers[name] for way in ways}, name
    if card.params:
        assert len({way.params["W"][2:] for way in ways}) >= 4
        assert all("b" in way.params for way in ways)
