"""The calibration bench: its population is what it says, its mistakes are mistakes, and it sees a false alarm."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.alarms import DTYPES, JUDGE, Measured, measure
from benchmarks.bug_table import tried
from benchmarks.bugs import BUGS, CARDS, Bug
from benchmarks.calibrate import Calibration, Settings, calibrate, main, write_alarms
from benchmarks.kinks import WRONGS
from benchmarks.page import page
from benchmarks.peers import PEERS
from benchmarks.planting import differs, plant, random_cases
from benchmarks.population import DEPTHS, MOST_WORK, OPTIMIZERS, REGIMES, SHAPES, optimizer_case, population
from benchmarks.tally import EDGES, Tally
from harness import Case, Implementation, installed_cards
from harness.spec import Array
from harness.trace import Quantity, Trace
from reference_impls.numpy_impl import NumpyImplementation

CHOSEN = ("dense_doubled", "relu_open_at_zero", "sgd_uphill", "last_contribution_wins")
FEW = [bug for bug in BUGS if bug.name in CHOSEN]
TINY = Settings(nets=6, seed=3, minutes=2, mistakes=1, kinks=2, updates=1, bugs=FEW, sizes=(31,))
SECTIONS = ("False alarms", "Sensitivity", "Classic mistakes", "Place", "Kinks", "Cost")


class Copy:
    """NumPy again, under another name: a second opinion that costs no framework."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, case: Case) -> Trace:
        return NumpyImplementation().run(case)


class WrongBias(Copy):
    """The same with every bias gradient doubled."""

    def run(self, case: Case) -> Trace:
        trace = super().run(case)
        changed = {
            quantity: 2 * array if quantity.kind == "grad" and quantity.name.startswith("b") else array
            for quantity, array in trace.quantities.items()
        }
        return replace(trace, quantities=changed)


def programs() -> list[Implementation]:
    return [NumpyImplementation(), Copy("torch")]


@cache
def tiny() -> Calibration:
    return calibrate(TINY, programs())


def test_the_population_is_the_same_every_time_and_another_for_another_seed() -> None:
    once, again, other = (
        [net.case("float64").id for net in population(30, seed)] for seed in (1, 1, 2)
    )
    assert once == again
    assert len(set(once)) == 30
    assert not set(once) & set(other)


def test_a_larger_population_begins_with_the_smaller_one() -> None:
    assert [net.case("float32").id for net in population(5, 1)] == [
        net.case("float32").id for net in population(17, 1)
    ][:5]


def test_the_population_has_every_regime_depth_shape_and_card() -> None:
    nets = list(population(40 * len(REGIMES), 0))
    assert {net.regime for net in nets} == set(REGIMES)
    assert {net.architecture.depth for net in nets} == set(DEPTHS)
    assert {net.architecture.shape for net in nets} == set(SHAPES)
    assert max(net.architecture.work for net in nets) <= MOST_WORK
    assert {1, 128} <= {width for net in nets for width in net.architecture.widths}
    used = {node.op for net in nets for _, node in net.network.operations()}
    assert used == set(CARDS) - {rule.name for rule in OPTIMIZERS}
    assert {rule.name for rule in OPTIMIZERS} == {"sgd", "adam"}
    for net in nets[:: len(REGIMES)]:
        installed_cards().check(net.case("float32"))


def test_both_dtypes_have_the_same_numbers() -> None:
    for net in population(len(REGIMES), 4):
        narrow, wide = net.case("float32"), net.case("float64")
        for name, array in wide.values.items():
            assert np.array_equal(narrow.values[name], array), (net.regime, name)


def test_the_gradient_of_an_optimizer_case_is_given() -> None:
    case = optimizer_case(np.random.default_rng(0), OPTIMIZERS[1], "float64")
    trace = NumpyImplementation().run(case)
    for step in range(case.steps):
        assert np.array_equal(trace.quantities[Quantity(step, "grad", "W")], case.values["x"].T)


def test_bugs_have_names_of_their_own_and_words() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40
    assert all(bug.mistake for bug in BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_changes_some_number_in_some_case(bug: Bug) -> None:
    def traces() -> Iterator[bool]:
        for regime in REGIMES:
            for case, node in random_cases(bug, "float64", regime, 5, 2026):
                trace = plant(bug, case, node)
                yield trace is not None and differs(case, trace)

    assert any(traces()), f"equivalent to the correct program: {bug.mistake}"


def test_a_mistake_is_planted_in_one_node_alone() -> None:
    bug = next(bug for bug in BUGS if bug.name == "dense_doubled")
    case, node = next(random_cases(bug, "float64", "he", 1, 1))
    trace, correct = plant(bug, case, node), NumpyImplementation().run(case)
    assert trace is not None
    changed = {
        quantity.name
        for quantity, array in trace.quantities.items()
        if not np.array_equal(array, correct.quantities[quantity])
    }
    assert changed == {f"W{node[1:]}"}


def test_a_caught_mistake_is_counted_and_placed() -> None:
    found = tried(next(bug for bug in BUGS if bug.name == "dense_doubled"), "float32", "he", 1)
    assert (found.first, found.times, found.changed) == (1, 5, 5)
    assert all(one is not None and one.op_named and one.node_named for one in found.found)


def test_a_tiny_run_has_no_false_alarm_and_every_table() -> None:
    found = tiny()
    text = page(found)
    assert found.alarms == []
    assert not found.cut_short
    assert found.done == 6
    assert [line.split(". ")[1].split(":")[0].split(" and")[0] for line in text.splitlines() if line[:3] == "## "] == [
        *SECTIONS
    ]
    assert TINY.command in text
    for line in text.splitlines():
        if line.startswith("| "):
            assert "nan" not in line.replace("dense_one_nan", "").lower() or "NaN" in line, line
    for regime in list(REGIMES)[:6]:
        assert f"| numpy | float32 | {regime} |" in text
    assert "**0 false alarms**" in text


def test_sharpness_and_kinks_are_measured() -> None:
    found = tiny()
    for dtype in DTYPES:
        here = [one for one in found.measured.visible if one.dtype == dtype]
        assert here
        assert any(one.needed is not None and np.isfinite(one.needed) for one in here)
        assert all({JUDGE, *(peer.name for peer in PEERS)} == set(one.by_rule) for one in here)
        for origin in ("diagonal flip", "within rounding of 0", "exactly 0"):
            counts = found.kinks[dtype, origin]
            assert counts.faulty == 0
            for wrong, planted, called in zip(WRONGS, counts.planted, counts.called, strict=True):
                assert called == planted or not wrong.must_be_called, (dtype, origin, wrong.name)


def test_a_false_alarm_shows(tmp_path: Path) -> None:
    found = calibrate(replace(TINY, nets=2, kinks=0, updates=0, bugs=(), sizes=()), [*programs(), WrongBias("wrong")])
    assert {one.program for one in found.alarms} == {"wrong"}
    accused = {key: tally.accused for key, tally in found.measured.tallies.items()}
    assert accused["wrong", "float32", "he"] == accused["wrong", "float64", "unit"] == 1
    assert accused["numpy", "float32", "he"] == accused["torch", "float64", "unit"] == 0
    text = page(found)
    assert "**0 false alarms**" not in text
    assert "- wrong, he: " in text
    write_alarms(found.alarms, tmp_path)
    written = [Case.from_json(file.read_bytes()) for file in tmp_path.iterdir()]
    assert {case.id for case in written} == {one.case.id for one in found.alarms}


def test_a_crash_is_an_alarm_too() -> None:
    class Crashing(Copy):
        def run(self, case: Case) -> Trace:
            raise RuntimeError("planted")

    measured = measure(population(1, 0), [Crashing("crashing")], 0, mistakes=0, out_of_time=lambda: False)
    assert {tally.crashed for tally in measured.tallies.values()} == {1}
    assert len(measured.alarms) == len(DTYPES)


def test_when_time_is_out_the_page_says_so() -> None:
    found = calibrate(replace(TINY, minutes=0), programs())
    assert found.done == 0
    assert found.measured == Measured()
    text = page(found)
    assert "0 of 6 nets" in text
    assert text.count("Cut short") == len(found.cut_short) == 4


def test_the_command_checks_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--nets", "20001"])
    assert "from 1 to 20,000" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_peers_rules_are_the_libraries(dtype: str) -> None:
    import torch

    rng = np.random.default_rng(1)
    numpy_rule, torch_rule, _ = PEERS
    for _ in range(300):
        b: Array = rng.normal(size=4).astype(dtype) * 10.0 ** rng.integers(-9, 3)
        a = (b * (1 + 10.0 ** rng.uniform(-9, -3))).astype(dtype)
        b = b.astype(dtype)
        assert numpy_rule.accepts([a], [b], dtype) == np.allclose(a, b)  # type: ignore[arg-type]
        try:
            torch.testing.assert_close(torch.tensor(a), torch.tensor(b))
            equal = True
        except AssertionError:
            equal = False
        assert torch_rule.accepts([a], [b], dtype) == equal  # type: ignore[arg-type]
    assert not numpy_rule.accepts([np.array([np.nan])], [np.array([np.nan])], "float64")


def test_the_jax_tolerances_are_those_of_its_tests() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jax._src import public_test_util

    jax_rule = PEERS[2]
    for dtype in DTYPES:
        tolerance = public_test_util.default_tolerance()[np.dtype(dtype)]
        assert jax_rule.tolerances[dtype] == (tolerance, tolerance)


def test_tallies_add_up_and_quantiles_are_within_a_bin() -> None:
    ratios = np.random.default_rng(0).uniform(1e-4, 1, size=5_000)
    bins = np.bincount(np.searchsorted(EDGES, ratios), minlength=EDGES.size + 1)
    one = Tally(nets=1, numbers=ratios.size, worst=float(ratios.max()), ratios=bins)
    both = one + Tally(nets=1, faulty=2, worst=0.25)
    assert (both.nets, both.numbers, both.faulty, both.worst) == (2, 5_000, 2, one.worst)
    for share in (0.5, 0.99):
        # Bins are a fortieth of a decade wide, and the quantile lies in the same bin or beside its edge.
        assert abs(np.log10(both.quantile(share) / np.quantile(ratios, share, method="higher"))) <= 1.001 / 40
    assert Tally().quantile(0.5) == 0


def test_a_case_of_the_population_survives_being_written() -> None:
    net = next(population(1, 9))
    case = net.case("float32")
    assert Case.from_json(msgspec.json.encode(msgspec.json.decode(case.to_json()))).id == case.id
