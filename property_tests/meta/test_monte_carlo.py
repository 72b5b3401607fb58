"""Sampled arrays and the Monte-Carlo thresholds: the noise is as stated, correct programs pass, mistakes do not.

Seeds are fixed, so that a run says the same twice. Where something random is compared with what it should be,
the margin is six standard deviations, which is exceeded with a probability of 2e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath
import numpy as np
import pytest

from harness import Case, Network, Node, TensorSpec, Trace, implementation, installed_cards
from harness.arrays import BallArray, BoundedArray, ErrorModel, precision, recording, sampled, sampled_differences
from harness.arrays.error_model import BUDGETS
from harness.arrays.sampled import FORMULAS, SampledArray, Sampling
from harness.arrays.sampled_differences import DIFFERENCES
from harness.arrays.vocabulary import function
from harness.campaign.records import SEVERITY
from harness.errors import NotSupportedError
from harness.judge import monte_carlo
from harness.judge.bounds import Bounds, own_branches, step_bounds, straddling
from harness.judge.compare import compare
from harness.judge.monte_carlo import monte_carlo_bounds, student_quantile
from harness.judge.oracle import Exact, exact_step
from harness.registry import installed_examples
from property_tests.meta.test_arrays import WORDS, draw
from property_tests.test_cards import case_of, every_card

CARDS = installed_cards()
DTYPES = ("float32", "float64")
M32, M64 = map(ErrorModel.of, DTYPES)
MANY = 100_000
SIX = 6 * math.sqrt(2 / MANY)
"""Of K draws with variance v, the mean square has the relative standard deviation sqrt((kurtosis - 1) / K). Were
the draws normal, it would be a chi-square over K, with sqrt(2 / K); sums of signs have a smaller kurtosis."""


def sampling(model: ErrorModel, draws: int = 32, seed: int = 0) -> Sampling:
    return Sampling(model, draws, student_quantile(draws), np.random.default_rng(seed))


# The quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 8, 16, 32, 64, 128])
@pytest.mark.parametrize("probability", [1e-9, 1e-6, 0.05])
def test_quantiles_by_another_library(degrees: int, probability: float) -> None:
    def beyond(q: Any) -> Any:
        x = degrees / (degrees + mpmath.mpf(q) ** 2)
        return mpmath.betainc(mpmath.mpf(degrees) / 2, 0.5, 0, x, regularized=True)

    with mpmath.workdps(40):
        q = student_quantile(degrees, probability)
        assert beyond(np.nextafter(q, 0)) > probability > beyond(np.nextafter(q, np.inf))


def test_quantiles_to_the_digits_that_are_told() -> None:
    assert [f"{student_quantile(draws):.3g}" for draws in (16, 32, 64)] == ["12.6", "8.51", "7.15"]
    assert student_quantile(1, 0.5) == 1.0  # Cauchy's
    with pytest.raises(ValueError, match="degree of freedom"):
        student_quantile(0)


# The noise is as stated


def product(a: Any, b: Any) -> Any:
    return a * b


def sum_of_products(a: Any, b: Any) -> Any:
    return np.sum(a * b, axis=0)


def inner_product(a: Any, b: Any) -> Any:
    return a.reshape(1, -1) @ b.reshape(-1, 1)


def mean_square(z: SampledArray) -> Any:
    return np.mean(np.square(z.tangents), axis=-1).ravel()[0]


def stated_variance(program: Callable[..., Any], a: Any, b: Any, u: float) -> float:
    """One rounding each product, and of the sum n - 1 (of the inner product n) at once."""
    n, total = len(a), np.sum(np.abs(a * b))
    if program is inner_product:
        return float((0.6 * u * max(math.sqrt(n), n / 10) * total) ** 2)
    adding = 0.0 if n == 1 else 0.6 * u * max(math.sqrt(n - 1), (n - 1) / 10) * total
    return float(np.sum(np.square(0.6 * u * a * b)) + adding**2)


@pytest.mark.parametrize("n", [1, 2, 7, 40, 300])
@pytest.mark.parametrize("program", [product, sum_of_products, inner_product])
@pytest.mark.parametrize("model", [M32, M64], ids=DTYPES)
def test_products_and_sums_have_the_stated_variance(program: Any, n: int, model: ErrorModel) -> None:
    if program is product and n > 1:
        return
    rng, s = np.random.default_rng(n), sampling(model, max(MANY // n, 5_000))
    a, b = (rng.normal(size=n).astype(model.dtype).astype(np.float64) for _ in range(2))
    z = program(SampledArray.given(a, s), SampledArray.given(b, s))
    assert abs(mean_square(z) / stated_variance(program, a, b, model.u) - 1) < 6 * math.sqrt(2 / s.draws)


def test_another_variance_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "ONE_ROUNDING", 0.6 * 1.02)
    s = sampling(M64, MANY)
    a, b = np.array([0.3]), np.array([0.7])
    z = product(SampledArray.given(a, s), SampledArray.given(b, s))
    assert abs(mean_square(z) / stated_variance(product, a, b, M64.u) - 1) > SIX


def correlation(x: Any, y: Any) -> float:
    return float(np.mean(x * y) / np.sqrt(np.mean(x * x) * np.mean(y * y)))


def test_equal_results_share_half_and_others_nothing() -> None:
    s = sampling(M64, MANY)
    t = (SampledArray.given([0.3, 0.3, 0.31], s) * 0.7).tangents
    six = 6 / math.sqrt(MANY)
    assert abs(correlation(t[0], t[1]) - 0.5) < six
    assert abs(correlation(t[0], t[2])) < six
    later = (SampledArray.given([0.3], s) * 0.7).tangents
    lifted = 2 * (0.6 * M64.u * 0.7 * 0.3) ** 2  # of the constant, and of the product
    assert np.mean(np.square(later)) < 1.1 * lifted
    assert abs(correlation(t[0], later[0])) < six


def test_what_is_common_cancels() -> None:
    x = SampledArray.given([0.3], sampling(M64)) * 0.7
    assert (x - x).spread() <= 2 * M64.tiny
    assert (x - SampledArray.given([0.3], x.sampling) * 0.7).spread() > 1e-3 * x.spread()


def test_another_way_to_compute_it_widens() -> None:
    s = sampling(M64)
    one, other = (SampledArray.given([0.3, 0.3], s) * np.array(by) for by in ([0.7, 1.0], [1.0, 0.7]))
    assert (one.widened(other).spread() == np.maximum(one.spread(), other.spread())).all()
    assert one.exact.tolist() == [False, True]
    assert not one.widened(other).exact.any()


def test_the_same_seed_gives_the_same_and_no_other_generator_is_touched() -> None:
    case = random_case(np.random.default_rng(0), "float64", depth=3)
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    first, again, other = (monte_carlo_bounds(case.network, CARDS, case.values, M64, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first.grads[name], again.grads[name]) for name in first.grads)
    assert not all(np.array_equal(first.grads[name], other.grads[name]) for name in first.grads)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]  # noqa: NPY002


# The differences, against balls


PROGRAMS: dict[str, Callable[..., Any]] = {
    **{name: function(name) for name in DIFFERENCES if name not in ("log", "log1p", "sqrt")},
    "log of positive": lambda x: np.log(np.abs(x)),
    "log1p of positive": lambda x: np.log1p(np.abs(x)),
    "sqrt of positive": lambda x: np.sqrt(np.abs(x)),
    "multiply": lambda x: x * x[::-1],
    "divide": lambda x: x / x[::-1],
    "subtract": lambda x: x - 3 * x[::-1],
    "logaddexp": lambda x: np.logaddexp(x, x[::-1]),
    "matmul": lambda x: np.outer(x, x) @ x.reshape(-1, 1),
    **{f"power {n}": lambda x, n=n: x**n for n in (3, -1, -2, 5)},
    **{f"power {n}": lambda x, n=n: np.abs(x) ** n for n in (1.5, -0.25)},
}


def lost_digits(name: str, size: float) -> float:
    """The largest relative error of any tangent, all noise being off, against balls of 300 bits."""
    rng = np.random.default_rng(5)
    centre, t = rng.normal(size=6) * 2, rng.normal(size=(6, 8)) * size
    silent = sampling(replace(M64, u=0.0, tiny=0.0), 8)
    got = PROGRAMS[name](SampledArray(centre, t, np.full(6, False), silent)).tangents
    with precision(300):
        at = PROGRAMS[name](BallArray.exact(centre))
        true = [
            (PROGRAMS[name](BallArray.exact(centre) + BallArray.exact(t[:, k])) - at).mid() for k in range(8)
        ]
    return float(np.max(np.abs(got - np.stack(true, axis=-1)) / np.abs(np.stack(true, axis=-1))))


@pytest.mark.parametrize("size", [1e-3, 1e-14])
@pytest.mark.parametrize("name", PROGRAMS)
def test_differences_keep_their_digits(name: str, size: float) -> None:
    assert lost_digits(name, size) < 2.0**-40


@pytest.mark.parametrize("size", [3.0, 0.3, 0.05, 1e-6])
def test_differences_of_erf_keep_their_digits_in_steps_of_any_size(size: float) -> None:
    assert lost_digits("erf", size) < 2.0**-40


@pytest.mark.parametrize(("small", "size"), [(0.0, 1e-6), (10.0, 3.0)])
def test_one_form_of_erf_alone_would_lose_digits(small: float, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_differences, "SMALL_STEP", small)
    assert lost_digits("erf", size) > 2.0**-40


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_wrong_difference_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = DIFFERENCES[name]
    monkeypatch.setitem(DIFFERENCES, name, lambda a, t, c: right(a, t, c) * (1 + 1e-9))  # type: ignore[misc]
    program = name if name in PROGRAMS else f"{name} of positive"
    assert lost_digits(program, 1e-14) > 2.0**-40


# The vocabulary, the cards


@pytest.mark.parametrize("word", WORDS)
def test_every_word_has_the_centre_and_the_branches_of_bounded_arrays(word: str) -> None:
    a, p = draw(7)
    s = sampling(M64)
    with recording() as of_sampled:
        got = WORDS[word](SampledArray.given(a, s), SampledArray.given(p, s))
    with recording() as of_bounded:
        expected = WORDS[word](BoundedArray.given(a, M64), BoundedArray.given(p, M64))
    assert np.array_equal(got.centre, expected.centre)
    assert got.tangents.shape == (*got.shape, 32)
    assert got.exact.shape == got.shape
    assert not got.tangents[got.exact].any()
    assert [one.name for one in of_sampled] == [one.name for one in of_bounded]
    assert all(np.array_equal(x.taken, y.taken) for x, y in zip(of_sampled, of_bounded, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("card", "way", "roles"), list(every_card()))
def test_every_card_forward_and_backward(card: Any, way: Any, roles: Any, dtype: str) -> None:
    case = replace(case_of(card, way, roles, dtype, seed=3), steps=0)
    model = ErrorModel.of(dtype)
    thresholds, bounds = (
        find(case.network, CARDS, case.values, model) for find in (monte_carlo_bounds, step_bounds)
    )
    for got, expected in ((thresholds.values, bounds.values), (thresholds.grads, bounds.grads)):
        assert got.keys() == expected.keys()
        assert all(got[name].shape == expected[name].shape for name in got)
        assert all(np.array_equal(np.isinf(got[name]), np.isinf(expected[name])) for name in got)
    tally = tally_of([case], ("numpy", "torch"), model)
    assert tally.alarms == 0, tally.where


def test_every_worked_example() -> None:
    for case in [one.case for example in installed_examples() for one in example.cases]:
        thresholds = monte_carlo_bounds(case.network, CARDS, case.values, ErrorModel.of(case.dtype))
        assert all(np.isfinite(array).all() for array in thresholds.grads.values())


# Random nets


ACTIVATIONS, LOSSES = ("relu", "sigmoid", "tanh"), ("squared_error", "binary_cross_entropy_with_logits")


def random_network(rng: np.random.Generator, depth: int, widest: int = 16) -> Network:
    widths = rng.integers(1, widest + 1, size=depth + 1).tolist()
    batch = int(rng.integers(1, 9))
    nodes, params, last = [], {}, "x"
    for layer in range(depth):
        roles = {"W": f"W{layer}", "b": f"b{layer}"}
        params |= {f"W{layer}": TensorSpec(widths[layer : layer + 2]), f"b{layer}": TensorSpec([widths[layer + 1]])}
        nodes.append(Node(f"z{layer}", "dense", [last], roles))
        last = f"z{layer}"
        if layer < depth - 1:
            nodes.append(Node(f"a{layer}", str(rng.choice(ACTIVATIONS)), [last]))
            last = f"a{layer}"
    inputs, targets = {"x": TensorSpec([batch, widths[0]])}, {"t": TensorSpec([batch, widths[-1]])}
    return Network(inputs, targets, params, nodes, [Node("L", str(rng.choice(LOSSES)), [last, "t"])])


def random_values(rng: np.random.Generator, network: Network, dtype: str) -> dict[str, Any]:
    values = {}
    for name, spec in network.tensors().items():
        array = rng.normal(size=spec.shape) / (math.sqrt(spec.shape[0]) if name[0] == "W" else 1)
        values[name] = array.astype(dtype)
    return values


def random_case(rng: np.random.Generator, dtype: Any, depth: int | None = None) -> Case:
    network = random_network(rng, int(rng.integers(1, 7)) if depth is None else depth)
    return Case(network, random_values(rng, network, dtype), dtype)


@dataclass
class Tally:
    """Elements compared and called wrong, the largest error / threshold, nets with a kink nearby."""

    elements: int = 0
    alarms: int = 0
    worst: float = 0.0
    kinks: int = 0
    where: list[str] = field(default_factory=list)


def judged(case: Case, traces: list[Trace], tally: Tally, model: ErrorModel) -> None:
    """Everything that the traces have, each on the branches that it took itself."""
    limits = monte_carlo_bounds(case.network, CARDS, case.values, model)
    near = {name: made for name, made in limits.comparisons.items() if any(straddling(one).any() for one in made)}
    nodes = {node.name: node for _, node in case.network.operations()}
    exact = None if near else exact_step(case.network, CARDS, case.values)
    for trace in traces:
        if exact is not None:
            count(trace, exact, limits, tally)
            continue
        own = {**case.values, **{one.name: array for one, array in trace.quantities.items() if one.kind == "value"}}
        choices: Any = {name: own_branches(CARDS, nodes[name], own, made, model) for name, made in near.items()}
        on_its_side = monte_carlo_bounds(case.network, CARDS, case.values, model, choices)
        count(trace, exact_step(case.network, CARDS, case.values, choices), on_its_side, tally)
        tally.kinks += 1


def count(trace: Trace, exact: Exact, limits: Bounds, tally: Tally) -> None:
    for one, array in trace.quantities.items():
        if one.kind in ("value", "grad"):
            table, limit = (exact.values, limits.values) if one.kind == "value" else (exact.grads, limits.grads)
            made = compare(np.asarray(array), table[one.name], limit[one.name])
            wrong = int(np.isin(made.verdicts, [SEVERITY.index("mismatch"), SEVERITY.index("non-finite")]).sum())
            tally.elements += array.size
            tally.alarms += wrong
            tally.worst = max(tally.worst, made.worst_ratio)
            tally.where += [f"{one}: {made.worst_ratio:.2f}"] if wrong else []


def tally_of(cases: Iterable[Case], names: tuple[str, ...], model: ErrorModel) -> Tally:
    tally = Tally()
    implementations = [implementation(name) for name in names]
    for case in cases:
        judged(case, list(_runs(case, implementations)), tally, model)
    return tally


def _runs(case: Case, implementations: Iterable[Any]) -> Iterator[Trace]:
    """What each implementation computes that has what the case needs; NumPy has it all."""
    for one in implementations:
        try:
            yield one.run(case)
        except NotSupportedError:
            assert one.name != "numpy"


def random_cases(count: int, dtype: str, seed: int, depth: int | None = None) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    return (random_case(rng, dtype, depth) for _ in range(count))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_and_torch_raise_no_alarm(dtype: str) -> None:
    tally = tally_of(random_cases(120, dtype, seed=1), ("numpy", "torch"), ErrorModel.of(dtype))
    assert tally.elements > 100_000
    assert tally.alarms == 0, tally.where


@pytest.mark.parametrize("dtype", DTYPES)
def test_jax_raises_no_alarm(dtype: Any) -> None:
    def cases() -> Iterator[Case]:
        rng = np.random.default_rng(2)
        for depth in (1, 3, 6):
            network = random_network(rng, depth)
            for _ in range(10):
                yield Case(network, random_values(rng, network, dtype), dtype)

    tally = tally_of(cases(), ("jax",), ErrorModel.of(dtype))
    assert tally.elements > 10_000
    assert tally.alarms == 0, tally.where


def test_matrix_products_without_noise_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = FORMULAS["matmul"]

    def silent(s: Sampling, a: Any, b: Any) -> Any:
        z = right(replace(s, model=replace(s.model, u=0.0)), a, b)
        return SampledArray(z.centre, z.tangents, z.exact, s)

    monkeypatch.setitem(FORMULAS, "matmul", silent)  # type: ignore[misc]
    assert tally_of(random_cases(10, "float32", seed=1), ("numpy", "torch"), M32).alarms > 0


def false_alarms(name: str, model: ErrorModel) -> int:
    """Of NumPy's function alone, in float32, on exact numbers: how many of 400 results are above the threshold."""
    rng = np.random.default_rng(4)
    operands = [np.float32(rng.uniform(1, 3, size=400)) for _ in range(2 if name in ("logaddexp", "divide") else 1)]
    compute = (lambda x: x**1.7) if name == "power" else function(name)
    threshold = student_quantile(32) * compute(*(SampledArray.given(x, sampling(model)) for x in operands)).spread()
    with precision(128):
        verdicts = compare(compute(*operands), compute(*map(BallArray.exact, operands)), threshold).verdicts
    return int((verdicts == SEVERITY.index("mismatch")).sum())


@pytest.mark.parametrize("name", BUDGETS)
def test_functions_raise_no_alarm_and_a_budget_of_0_is_seen(name: str) -> None:
    assert false_alarms(name, M32) == 0
    rounds_correctly = name in ("divide", "sqrt", "erf")  # SciPy computes float32 in float64
    without = replace(M32, u=M32.u / 64 if rounds_correctly else M32.u, budgets={**M32.budgets, name: 0.0})
    assert (false_alarms(name, without) > 0) != rounds_correctly


# Kinks


def kinked(dtype: Any, seed: int) -> Case:
    """A net with a unit whose bias takes its pre-activation to 0, but for the rounding of one dot product."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, dtype, depth=3)
    nodes = [Node(node.name, "relu", node.inputs) if node.name == "a0" else node for node in case.network.nodes]
    values = {name: np.array(array) for name, array in case.values.items()}
    values["b0"][0] = -(values["x"][0] @ values["W0"][:, 0])
    return Case(replace_nodes(case.network, nodes), values, dtype)


def replace_nodes(network: Network, nodes: list[Node]) -> Network:
    return Network(network.inputs, network.constants, network.params, nodes, network.loss)


@pytest.mark.parametrize("dtype", DTYPES)
def test_kinks_are_found_and_either_side_passes(dtype: str) -> None:
    tally = tally_of((kinked(dtype, seed) for seed in range(30)), ("numpy", "torch"), ErrorModel.of(dtype))
    assert tally.kinks >= 30
    assert tally.alarms == 0, tally.where


def test_a_unit_at_the_kink_lets_the_noise_through_on_the_side_that_is_chosen() -> None:
    case = kinked("float64", 1)
    free = monte_carlo_bounds(case.network, CARDS, case.values, M64)
    made = free.comparisons["a0"]
    assert straddling(made[0])[0, 0]
    assert free.values["a0"][0, 0] > 0
    limits = {}
    for side in (True, False):
        choices = {"a0": [(straddling(one), np.full(one.taken.shape, side)) for one in made]}
        limits[side] = monte_carlo_bounds(case.network, CARDS, case.values, M64, choices)
    own = bool(made[0].taken[0, 0])
    assert limits[own].values["a0"][0, 0] > 0
    assert (limits[not own].values["a0"][0, 0] > 0) == (not own)  # below, it is the constant 0
    assert limits[True].grads["z0"][0, 0] > 0
    assert limits[False].grads["z0"][0, 0] == 0


# Sharpness, and planted mistakes


def medians(dtype: str, depth: int, count: int = 20) -> tuple[float, float]:
    """The median threshold / |g| and bound / |g| over the gradients of the parameters."""
    model = ErrorModel.of(dtype)
    parts: list[list[Any]] = [[], []]
    for case in random_cases(count, dtype, seed=depth, depth=depth):
        exact = exact_step(case.network, CARDS, case.values)
        for part, find in zip(parts, (monte_carlo_bounds, step_bounds), strict=True):
            limits = find(case.network, CARDS, case.values, model).grads
            for name in case.network.params:
                size = np.abs(exact.grads[name].mid())
                part.append((limits[name] / np.where(size > 0, size, np.nan)).ravel())
    sampled_, worst = (float(np.nanmedian(np.concatenate(part))) for part in parts)
    return sampled_, worst


@pytest.mark.parametrize("dtype", DTYPES)
def test_sharper_than_the_worst_case_in_deep_nets(dtype: str) -> None:
    shallow, deep = medians(dtype, 1), medians(dtype, 6)
    assert deep[0] < deep[1] / 5, (shallow, deep)
    assert deep[0] / shallow[0] < deep[1] / shallow[1] / 5, (shallow, deep)


@pytest.mark.parametrize(("dtype", "factor"), [("float32", 1 + 1e-3), ("float64", 1 + 1e-10)])
def test_one_wrong_element_is_above_the_threshold(dtype: str, factor: float) -> None:
    """The largest element of each parameter's gradient, of nets of any depth."""
    planted = 0
    numpy = implementation("numpy")
    for case in random_cases(25, dtype, seed=9):
        exact = exact_step(case.network, CARDS, case.values)
        limits = monte_carlo_bounds(case.network, CARDS, case.values, ErrorModel.of(dtype))
        for one, array in numpy.run(case).quantities.items():
            if one.kind == "grad" and one.name in case.network.params and np.any(array):
                wrong = np.array(array)
                place = np.unravel_index(int(np.abs(wrong).argmax()), wrong.shape)
                wrong[place] *= factor
                made = compare(wrong, exact.grads[one.name], limits.grads[one.name])
                assert made.verdict == "mismatch", (case.id, str(one), made.worst_ratio)
                planted += 1
    assert planted > 100


# Exact arithmetic, equal numbers, and what nothing is known of


@pytest.mark.parametrize("dtype", DTYPES)
def test_integer_nets_have_no_threshold_where_they_have_no_bound(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    zeros = 0
    for _ in range(20):
        network = random_network(rng, int(rng.integers(1, 4)), widest=6)
        nodes = [node if node.op == "dense" else Node(node.name, "relu", node.inputs) for node in network.nodes]
        loss = [Node("L", "squared_error", network.loss[0].inputs)]
        network = Network(network.inputs, network.constants, network.params, nodes, loss)
        values = {name: rng.integers(-3, 4, size=spec.shape) for name, spec in network.tensors().items()}
        case = Case(network, values, dtype)
        model = ErrorModel.of(dtype)
        got, expected = (find(network, CARDS, case.values, model) for find in (monte_carlo_bounds, step_bounds))
        for name in expected.grads:
            assert np.array_equal(got.grads[name] == 0, expected.grads[name] == 0)
            zeros += int((got.grads[name] == 0).sum())
    assert zeros > 1000


def above_in_sums_of_equal_numbers(n: int) -> float:
    """NumPy adds rows one after another; float64 has room for the exact sum. The largest error / threshold."""
    x = np.float32(np.random.default_rng(0).uniform(1, 2, size=400))
    rows = np.broadcast_to(x, (n, 400))
    errors = np.abs(np.sum(rows, axis=0, dtype=np.float32) - np.sum(rows, axis=0, dtype=np.float64))
    sums = np.sum(SampledArray.given(rows, sampling(M32)), axis=0)
    assert not errors[sums.exact].any()
    rounded = ~sums.exact
    return float(np.max(errors[rounded] / (student_quantile(32) * sums.spread()[rounded]), initial=0.0))


@pytest.mark.parametrize("n", [10, 100, 1000, 5000])
def test_equal_numbers_added_up_raise_no_alarm(n: int) -> None:
    assert above_in_sums_of_equal_numbers(n) < 1


def test_independence_alone_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "EQUAL_ADDENDS", np.inf)
    assert above_in_sums_of_equal_numbers(5000) > 1


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (lambda x: 1 / (x * 3 - 1), [1 / 3]),
        (lambda x: np.log(x * 3 - 1), [1 / 3]),
        (lambda x: np.log1p(-x * 3), [1 / 3]),
        (lambda x: np.sqrt(x * 3 - 1), [1 / 3]),
        (lambda x: (x * 3 - 1) ** -1, [1 / 3]),
        (lambda x: (x * 3 - 1) ** 0.25, [1 / 3]),
        (np.exp, [1e3]),
        (lambda x: np.exp(-np.exp(x)), [1e3]),
        (lambda x: 1 / (1 + np.exp(x)), [1e3]),
        (lambda x: np.tanh(np.exp(x)), [1e3]),
        (lambda x: np.logaddexp(0, -np.exp(x)), [1e3]),
        (lambda x: np.maximum(np.exp(x), 0), [1e3]),
        (lambda x: np.sign(np.exp(x)), [1e3]),
        (lambda x: 0 * np.exp(x), [1e3]),
        (np.sum, [1e308, 1e308, -1e308, -1e308]),
        (lambda x: x @ np.array([10.0, -10.0]), [1e308, 1e308]),
        (lambda x: x + 1, [np.nan]),
        (lambda x: x + 1, [np.inf]),
    ],
)
def test_nothing_is_said_of_what_is_not_known(program: Any, x: Any) -> None:
    z = program(SampledArray.given(x, sampling(M64)))
    assert np.isinf(z.spread()).all()
    assert not z.exact.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_numbers_may_be_flushed(dtype: str) -> None:
    model = ErrorModel.of(dtype)
    s = sampling(model)
    small = float(np.float64(model.tiny) / 4)
    least, one = SampledArray.given(model.tiny, s), SampledArray.given(1.0, s)
    for z in (SampledArray.given(small, s), least * 0.25, one * small):
        assert student_quantile(32) * z.spread() > small
    assert not least.spread().any()


def test_bad_input_is_no_warning() -> None:
    case = random_case(np.random.default_rng(0), "float64", depth=3)
    for bad in (np.nan, np.inf, 1e200, 1e308, 5e-324):
        values = {name: np.array(array) for name, array in case.values.items()}
        values["x"].ravel()[0] = bad
        limits = monte_carlo_bounds(case.network, CARDS, values, M64)
        assert not any(np.isnan(array).any() for array in limits.grads.values())


def test_a_sampling_needs_a_draw() -> None:
    case = random_case(np.random.default_rng(0), "float64", depth=1)
    with pytest.raises(ValueError, match="at least 1"):
        monte_carlo_bounds(case.network, CARDS, case.values, M64, draws=0)
    assert monte_carlo.DRAWS == 32
