"""Standalone scripts: they run where this project is not installed, show the discrepancy, and run nothing else."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.campaign.reproducer import gravest_finding, operation_alone, quantity_of, reproduce, script
from harness.campaign.run import compare
from harness.campaign.script.source import Sources
from harness.case import Case, Network, Node, TensorSpec
from harness.cli import _Commands
from harness.cli_replay import reproduce as reproduce_command
from harness.errors import GradparityError
from harness.judge.bounds import step_bounds
from harness.judge.compare import compare as compare_arrays
from harness.judge.judge import ErrorModel
from harness.judge.oracle import exact_step
from harness.mutants import card_mutants, mutated_cards
from harness.protocol import Implementation
from harness.registry import Cards, implementation, installed_cards, installed_examples
from harness.spec import Hyper
from harness.trace import Quantity, Trace
from reference_impls.numpy_impl import NumpyImplementation

OURS = ("harness", "reference_impls", "reports", "property_tests")
MUTANTS = {mutant.name: mutant for mutant in card_mutants(installed_cards())}
WORKED = {f"{example.key}/{one.key}": one.case for example in installed_examples() for one in example.cases}
HOSTILE = (
    '"""\nopen("ran", "w")\n"""',
    "'''\nopen('ran', 'w')\n'''",
    'x\ropen("ran", "w")',
    'x\u2028open("ran", "w")\x85open("ran", "w")\x0copen("ran", "w")',
    'coding: utf-7\n+AAo-open("ran", "w")+AAo-',
    '{header}{0}%s\\\nopen("ran", "w")',
    "\x00\ud800",
)


def run(text: str, place: Path, hidden: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that cannot import this project, nor what is `hidden`."""
    path = place / "script.py"
    path.write_text(text, encoding="utf-8")
    start = f"import runpy, sys; sys.modules.update(dict.fromkeys({(*OURS, *hidden)!r})); "
    start += f"runpy.run_path({str(path)!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-I", "-c", start], capture_output=True, text=True, check=False, cwd=place)


def three() -> list[Implementation]:
    return [implementation(name) for name in ("numpy", "torch", "jax")]


def short(key: str, steps: int = 3) -> Case:
    case = WORKED[key]
    return replace(case, steps=steps, record=()) if case.steps > steps else case


def mutant(name: str) -> tuple[list[Implementation], Mapping[str, Cards]]:
    cards = mutated_cards(MUTANTS[name], installed_cards())
    return [NumpyImplementation(cards=cards)], {"numpy": cards}


def row(output: str, name: str) -> str:
    (found,) = [line for line in output.splitlines() if line.startswith(f"{name} ")]
    return found


def penalised(w: list[float]) -> Case:
    """A loss that is an L1 penalty alone."""
    network = Network(
        params={"w": TensorSpec([len(w)])}, loss=[Node("L", "l1_penalty", [], {"w": "w"}, {"strength": 0.25})]
    )
    return Case(network=network, values={"w": np.array(w)})


def test_the_process_that_runs_scripts_cannot_import_this_project(tmp_path: Path) -> None:
    for name in OURS:
        done = run(f"import {name}", tmp_path)
        assert done.returncode == 1
        assert f"import of {name} halted" in done.stderr
    assert run("import numpy", tmp_path).returncode == 0


ALL = """
import pathlib, runpy, sys
for path in sorted(pathlib.Path(sys.argv[0]).parent.glob("worked-*")):
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        print("exit", end.code, path.name)
"""


def test_every_worked_example_has_a_script_that_finds_nothing_in_numpy(tmp_path: Path) -> None:
    for number, key in enumerate(WORKED):
        text = reproduce(short(key, 1), installed_cards(), [NumpyImplementation()])
        assert len(text.splitlines()) < (400 if key.startswith("transformer-block") else 150)
        (tmp_path / f"worked-{number}").write_text(text)
    made, sources = mutant("sgd_uphill")
    (tmp_path / "worked-wrong").write_text(reproduce(WORKED["scalar-net/code"], installed_cards(), made, sources))
    done = run(ALL.replace("sys.argv[0]", repr(str(tmp_path / "script.py"))), tmp_path)
    ends = [line for line in done.stdout.splitlines() if line.startswith("exit")]
    assert len(ends) == len(WORKED) + 1, done.stderr
    assert [line for line in ends if not line.startswith("exit 0")] == ["exit 1 worked-wrong"]
    assert done.stdout.count("Nothing that ran lies beyond the bound.") == len(WORKED)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("dense_bias_averaged", "hand-by-hand/bias-sums", "np.mean(dy, axis=samples)"),
        ("relu_gate_forgotten", "numpy-backprop/two-samples", "return ((dy,), {})"),
        ("sigmoid_slope_of_preactivation", "scalar-net/code", "return (y, x)"),
        ("squared_error_sign", "scalar-net/code", ""),
        ("binary_cross_entropy_mean_forgotten", "notebook/xor-cross-entropy", ""),
        ("sgd_uphill", "scalar-net/code", "w + lr * g"),
        ("adam_eps_inside_root", "hand-by-hand/adam", "np.sqrt(v_hat + eps)"),
    ],
)
def test_a_planted_mistake_is_in_the_script_and_fails_until_it_is_mended(
    name: str, key: str, line: str, tmp_path: Path
) -> None:
    made, sources = mutant(name)
    text = reproduce(short(key), installed_cards(), made, sources)
    done = run(text, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "<- beyond it" in row(done.stdout, "numpy")
    assert "(was" not in row(done.stdout, "numpy")
    assert "The difference persists." in done.stdout
    assert line in text
    mended = run(reproduce(short(key), installed_cards(), made), tmp_path)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert "(was" in row(mended.stdout, "numpy")


def test_an_optimizer_at_fault_stands_beside_the_libraries_own(tmp_path: Path) -> None:
    made, sources = mutant("adam_eps_inside_root")
    frameworks = [implementation("torch"), implementation("jax")]
    done = run(reproduce(short("hand-by-hand/adam"), installed_cards(), [*made, *frameworks], sources), tmp_path)
    assert done.returncode == 1, done.stderr
    assert ["beyond" in row(done.stdout, name) for name in ("numpy", "torch", "jax")] == [True, False, False]


@pytest.mark.parametrize("quantity", [Quantity(3, "param", "W1"), Quantity(3, "state", "W1", "v")], ids=str)
def test_a_later_update_starts_from_the_state_that_there_was(quantity: Quantity, tmp_path: Path) -> None:
    case, cards = short("hand-by-hand/adam"), installed_cards()
    text = script(case, cards, quantity, three())
    done = run(text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("times the bound") == 3
    forgetful = text.replace("tensor.copy_(torch.tensor(STATE[slot]))", "pass")
    forgetful = forgetful.replace("before.get(id(leaf), leaf)", "leaf")
    output = run(forgetful, tmp_path).stdout
    assert ["beyond" in row(output, name) for name in ("numpy", "torch", "jax")] == [False, True, True]


def test_an_undetermined_branch_shows_both_sides(tmp_path: Path) -> None:
    text = reproduce(WORKED["diagonal-flip/float64"], installed_cards(), three())
    done = run(text, tmp_path)
    assert done.returncode == 1, done.stderr
    assert "the side that numpy took: 0\n" in done.stdout
    assert "the side that torch, jax took: -0.0974999" in done.stdout
    assert "an undetermined branch, not a bug" in text
    assert len(text.splitlines()) < 150
    absent = run(text, tmp_path, hidden=["torch", "jax"])
    assert absent.returncode == 2
    assert "torch   is not installed: not shown" in absent.stdout
    assert "jax     is not installed: not shown" in absent.stdout


def test_a_convention_fails_while_it_is_there(tmp_path: Path) -> None:
    done = run(reproduce(penalised([0.0, 1.0]), installed_cards(), three()), tmp_path)
    assert done.returncode == 1, done.stderr
    assert ["beyond" in row(done.stdout, name) for name in ("numpy", "torch", "jax")] == [False, False, True]
    elsewhere = run(reproduce(penalised([0.5, 1.0]), installed_cards(), three()), tmp_path)
    assert elsewhere.returncode == 0, elsewhere.stdout


def test_the_exact_value_is_the_records(tmp_path: Path) -> None:
    case, cards = WORKED["numpy-backprop/depth-4"], installed_cards()
    record = compare(case, [NumpyImplementation()], cards)
    compared = 0
    for quantity in record.quantities:
        if quantity.kind != "grad" or quantity.step:
            continue
        text = script(case, cards, Quantity(0, "grad", quantity.name), [NumpyImplementation()])
        (index,) = [ast.literal_eval(line[8:].partition("#")[0]) for line in text.splitlines() if line[:5] == "INDEX"]
        (exact,) = [line.split("'")[1] for line in text.splitlines() if line.startswith("EXACT")]
        flat = int(np.ravel_multi_index(index, quantity.shape)) if index else 0
        assert Decimal(exact).normalize(Context(prec=20)) == Decimal(quantity.exact[flat])
        compared += 1
    assert compared > 10


def hostile_case(text: str) -> Case:
    """Names as hostile as a case may hold: printable, but whatever they please otherwise."""
    words = {name: "".join(filter(str.isprintable, text)) + name for name in ("x", "W", "z", "t", "L")}
    network = Network(
        inputs={words["x"]: TensorSpec([1, 2])},
        constants={words["t"]: TensorSpec([1, 1])},
        params={words["W"]: TensorSpec([2, 1])},
        nodes=[Node(words["z"], "dense", [words["x"]], {"W": words["W"]})],
        loss=[Node(words["L"], "squared_error", [words["z"], words["t"]])],
    )
    values = {words["x"]: np.array([[1.0, 2.0]]), words["t"]: np.ones((1, 1)), words["W"]: np.array([[0.1], [0.2]])}
    return Case(network=network, values=values, title=text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_titles_run_nothing(text: str, tmp_path: Path) -> None:
    class Mine:
        name = text

        def run(self, case: Case) -> Trace:
            return NumpyImplementation().run(case)

    made = script(
        hostile_case(text), installed_cards(), Quantity(0, "value", "loss"), [NumpyImplementation(), Mine()]
    )
    made.encode("utf-8")
    done = run(made, tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
    names = {node.id for node in ast.walk(ast.parse(made)) if isinstance(node, ast.Name)}
    assert "open" not in names


def test_a_title_that_is_let_through_would_run(tmp_path: Path) -> None:
    done = run(f"# {HOSTILE[2]}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ran").exists()


class Doubled:
    """Somebody's own implementation, with every gradient twice what it should be."""

    name = "doubled"

    def run(self, case: Case) -> Trace:
        trace = NumpyImplementation().run(case)
        return replace(trace, quantities={k: v * 2 if k.kind == "grad" else v for k, v in trace.quantities.items()})


class Broken(NumpyImplementation):
    def run(self, case: Case) -> Trace:
        raise RuntimeError("on purpose")


def test_what_a_card_imports_from_beside_it_comes_along(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    network = Network(
        inputs={"x": TensorSpec([2, 2, 5, 4])},
        constants={"t": TensorSpec([2, 4, 4, 4])},
        params={"W": TensorSpec([4, 1, 3, 2]), "b": TensorSpec([4])},
        nodes=[
            Node("y", "conv2d", ["x"], {"W": "W", "b": "b"}, {"stride": (2, 1), "padding": (1, 0), "groups": 2}),
            Node("m", "max_pool2d", ["y"], {}, {"kernel": (2, 2), "stride": (1, 1), "padding": (1, 1)}),
        ],
        loss=[Node("L", "squared_error", ["m", "t"])],
    )
    case = Case(network, {name: rng.normal(size=spec.shape) for name, spec in network.tensors().items()})
    text = script(case, installed_cards(), Quantity(0, "grad", "x"), three())
    done = run(text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(name in done.stdout for name in ("numpy", "torch", "jax"))
    assert {"conv2d_places_read", "max_pool2d_put_back"} <= {
        part.name for part in ast.walk(ast.parse(text)) if isinstance(part, ast.FunctionDef)
    }
    made, sources = mutant("conv2d_kernel_flipped_back")
    done = run(reproduce(case, installed_cards(), made, sources), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "<- beyond it" in row(done.stdout, "numpy")


def test_somebodys_own_implementation_leaves_its_name_and_its_value(tmp_path: Path) -> None:
    text = reproduce(WORKED["scalar-net/code"], installed_cards(), [NumpyImplementation(), Doubled()])
    assert f"{Doubled.__module__}:Doubled, which this script cannot contain" in text.replace("\n    # ", " ")
    done = run(text, tmp_path)
    assert done.returncode == 1, done.stderr
    assert "beyond" in row(done.stdout, "doubled")
    assert "beyond" not in row(done.stdout, "numpy")


def one_layer(op: str, constants: Mapping[str, np.ndarray] | None = None, **hypers: Hyper) -> Case:
    """A layer between an input of three axes and a loss that weighs its elements."""
    rng, shape = np.random.default_rng(0), (2, 2, 2)
    given = {**(constants or {}), "weights": rng.normal(size=shape)}
    network = Network(
        inputs={"x": TensorSpec([*shape])},
        constants={
            name: TensorSpec([*array.shape], "int64" if array.dtype.kind == "i" else "case")
            for name, array in given.items()
        },
        nodes=[Node("y", op, ["x", *(constants or {})], {}, hypers), Node("z", "multiply", ["y", "weights"])],
        loss=[Node("L", "value", ["z"])],
    )
    return Case(network=network, values={"x": rng.normal(size=shape), **given})


@pytest.mark.parametrize(
    ("name", "case", "beside", "lines"),
    [
        ("transpose_same_order_again", one_layer("transpose", axes=(2, 0, 1)), ("torch", "jax"),
         ["axes=(2, 0, 1)", "torch.permute(n0, (2, 0, 1))", "jax.numpy.transpose(n0, (2, 0, 1))"]),
        ("dropout_mask_forgotten", one_layer("dropout", {"mask": np.arange(8).reshape(2, 2, 2) % 2}), ("torch", "jax"),
         ["N1 = np.array([[[0, 1], [0, 1]], [[0, 1], [0, 1]]], 'int64')  # constant 'mask'"]),
        ("gelu_slope_without_density", one_layer("gelu"), (),
         ["from scipy.special import erf", "needs numpy, scipy, and"]),
        ("softmax_diagonal_alone", one_layer("softmax"), (),
         ["(x, axis):\n    return np.max(x, axis=axis, keepdims=True)"]),
        ("stop_gradient_gradient_passes", one_layer("stop_gradient"), ("torch",), ["constant(x):\n    return x"]),
    ],
)  # fmt: skip
def test_everything_that_a_card_may_use_can_be_written(
    name: str, case: Case, beside: Sequence[str], lines: Sequence[str], tmp_path: Path
) -> None:
    made, sources = mutant(name)
    everybody = [*made, *map(implementation, beside)]
    text = reproduce(case, installed_cards(), everybody, sources)
    assert [line for line in lines if line not in text] == []
    done = run(text, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert ["beyond" in row(done.stdout, one.name) for one in everybody] == [True] + [False] * len(beside)
    mended = run(reproduce(case, installed_cards(), everybody), tmp_path)
    assert mended.returncode == 0, mended.stdout + mended.stderr


def test_a_crash_is_shown_as_one(tmp_path: Path) -> None:
    made, sources = mutant("dense_rows_untransposed_weight")
    case = WORKED["diagonal-flip/dead-side"]
    assert gravest_finding(compare(case, made)).verdict == "crash"
    text = reproduce(case, installed_cards(), made, sources)
    done = run(text, tmp_path)
    assert done.returncode == 1
    assert "numpy   crashed: ValueError" in done.stdout
    gone = run(reproduce(case, installed_cards(), [Broken()]), tmp_path)
    assert gone.returncode == 0, gone.stderr
    assert "(was RuntimeError: on purpose)" in gone.stdout


def test_a_script_says_when_it_cannot_show_what_was_found() -> None:
    case, cards = WORKED["scalar-net/code"], installed_cards()
    finding = gravest_finding(compare(case, [Doubled()]))
    told = "This script will not show it"
    assert told not in script(case, cards, quantity_of(case, finding), [Doubled()], finding=finding)
    assert told in script(case, cards, Quantity(0, "value", "loss"), [Doubled()], finding=finding).replace("\n# ", " ")


def test_one_operation_alone_gives_what_it_gave_in_the_network() -> None:
    case, cards = WORKED["numpy-backprop/depth-3"], installed_cards()
    made, _ = mutant("tanh_slope_without_square")
    verdicts: dict[str, set[str]] = {}
    for who, one in (("real", NumpyImplementation()), ("mutant", *made)):
        trace = one.run(case)
        for quantity, value in trace.quantities.items():
            if quantity.step or quantity.kind not in ("value", "grad") or quantity.name == "loss":
                continue
            alone = operation_alone(case, cards, quantity, trace)
            assert alone is not None
            exact = exact_step(alone.network, cards, alone.values)
            bounds = step_bounds(alone.network, cards, alone.values, ErrorModel.of(case.dtype))
            tables = (exact.values, bounds.values) if quantity.kind == "value" else (exact.grads, bounds.grads)
            found = compare_arrays(np.asarray(value), tables[0][quantity.name], tables[1][quantity.name])
            verdicts.setdefault(f"{who} {found.verdict}", set()).add(f"{quantity.kind} {quantity.name}")
    assert set(verdicts) <= {"real exact", "real rounding", "mutant exact", "mutant rounding", "mutant mismatch"}
    tanhs = {f"grad {node.inputs[0]}" for node in case.network.nodes if node.op == "tanh"}
    assert verdicts["mutant mismatch"] == tanhs


def test_a_fault_that_the_whole_networks_bound_hides_is_shown_by_its_operation_alone(tmp_path: Path) -> None:
    case, cards = WORKED["numpy-backprop/depth-5"], installed_cards()

    class Slightly(NumpyImplementation):
        """A first gradient that is wrong in its last few digits."""

        name = "slightly"

        def run(self, case: Case) -> Trace:
            trace = super().run(case)
            place = Quantity(0, "grad", "b1")
            bound = step_bounds(case.network, cards, case.values, ErrorModel.of(case.dtype)).grads["b1"]
            worst = np.unravel_index(bound.argmax(), bound.shape)
            off = np.array(trace.quantities[place])
            off[worst] += bound[worst] / 2
            return replace(trace, quantities={**trace.quantities, place: off})

    finding = gravest_finding(compare(replace(case, steps=0, optimizer=None), [Slightly()]))
    assert (finding.verdict, finding.place) == ("mismatch", "grad b1 at step 0")
    text = reproduce(replace(case, steps=0, optimizer=None), cards, [NumpyImplementation(), Slightly()])
    assert "relu" not in text
    assert "factor 0 of b1" in text
    done = run(text, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "beyond" in row(done.stdout, "slightly")
    assert "beyond" not in row(done.stdout, "numpy")


def one_weight(w: float, op: str, **hypers: float) -> Case:
    network = Network(
        inputs={"x": TensorSpec([1])}, nodes=[Node("y", op, ["x"], {}, hypers)], loss=[Node("L", "value", ["y"])]
    )
    return Case(network=network, values={"x": np.array([w])})


def test_numbers_that_are_none(tmp_path: Path) -> None:
    cards, y = installed_cards(), Quantity(0, "value", "y")
    text = script(one_weight(math.inf, "power", exponent=2), cards, y, [NumpyImplementation()])
    done = run(text, tmp_path)
    assert (done.returncode, "numpy   inf" in done.stdout) == (0, True), done.stdout + done.stderr
    finite = script(one_weight(2.0, "power", exponent=2), cards, y, [NumpyImplementation()])
    for formula, shown in (("x * np.inf", "inf"), ("-x * np.inf", "-inf"), ("x - np.nan", "nan")):
        wrong = run(finite.replace("return (x ** exponent, x)", f"return ({formula}, x)"), tmp_path)
        assert (wrong.returncode, f"numpy   {shown} " in wrong.stdout) == (1, True), wrong.stdout + wrong.stderr
    with pytest.raises(GradparityError, match="exact value"):
        script(one_weight(math.nan, "square"), cards, y, [NumpyImplementation()])


def test_findings_name_their_quantity() -> None:
    case = short("hand-by-hand/adam")
    made, _ = mutant("adam_eps_inside_root")
    record = compare(case, made)
    assert str(quantity_of(case, gravest_finding(record))) == gravest_finding(record).place
    state = replace_place(record.findings[0], "state v of W1 at step 2")
    assert quantity_of(case, state) == Quantity(2, "state", "W1", "v")
    assert quantity_of(case, replace_place(record.findings[0], "")) == Quantity(0, "grad", "W1")


def replace_place(finding, place):  # type: ignore[no-untyped-def]
    import msgspec

    return msgspec.structs.replace(finding, place=place)


SCALE = 0.5


def outer_scale(x):  # type: ignore[no-untyped-def]
    return x * SCALE


def made_by(factor):  # type: ignore[no-untyped-def]
    def forward(p, x, *, kind):  # type: ignore[no-untyped-def]
        """Not shown."""
        if kind == "plain" and "b" not in p:
            return outer_scale(x) * factor + math.prod(x.shape)
        raise ValueError(undefined_otherwise)  # type: ignore[name-defined] # noqa: F821

    return forward


def test_a_function_brings_what_it_uses_and_leaves_what_was_decided() -> None:
    sources = Sources()
    known = {"kind": "plain", "p": ("W",)}
    names = [sources.function(made_by(factor), "my card_forward", known) for factor in (2, 3, 2)]
    assert names == ["my_card_forward", "my_card_forward_2", "my_card_forward_3"]
    text = "\n".join([*sources.imports, *sources.blocks])
    assert "import math" in text
    assert "SCALE = 0.5" in text
    assert "factor_2 = 3" in text
    assert text.count("def my_card_forward_outer_scale(x)") == 1
    assert "if " not in text
    assert "Not shown" not in text


def test_what_cannot_be_written_down_is_an_error() -> None:
    with pytest.raises(GradparityError, match="undefined_otherwise"):
        Sources().function(made_by(1), "f", {"kind": "other", "p": ()})
    with pytest.raises(GradparityError, match="no plain `def`"):
        Sources().function(lambda p, x: x, "f")
    with pytest.raises(GradparityError, match="cannot contain"):
        Sources().function(made_by(NumpyImplementation()), "f", {"kind": "plain", "p": ()})


def invoke(*arguments: str | Path) -> Result:
    group = _Commands("gradparity", commands=[reproduce_command])
    return CliRunner().invoke(group, ["reproduce", *(str(argument) for argument in arguments)])


def test_the_command_writes_the_script(tmp_path: Path) -> None:
    numpy_alone = ("--without", "torch", "--without", "jax")
    shown = invoke("scalar-net/code", *numpy_alone)
    assert shown.exit_code == 0, shown.output
    assert invoke("scalar-net/code", *numpy_alone, "-o", tmp_path / "made.py").exit_code == 0
    assert (tmp_path / "made.py").read_text() == shown.output
    (tmp_path / "case.json").write_bytes(WORKED["scalar-net/code"].to_json())
    assert run(invoke(tmp_path / "case.json", *numpy_alone).output, tmp_path).returncode == 0
    refused = invoke("no-such/case")
    assert refused.exit_code == 2
    assert "no worked example is called" in refused.output
