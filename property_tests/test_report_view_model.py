"""What the report says, before any HTML: sentences, counts, marks, what is left out and said to be."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys

import msgspec
import pytest

from harness.campaign.records import SEVERITY, CaseRecord, Curve, Finding, GraphNode, as_float
from harness.trace import Quantity
from property_tests import report_fixtures as fixtures
from reports import elements, graph, kink_view, network_view, plots, quantity_view, terminal, view_model, wording


def strings(value: object) -> list[str]:
    """Every string anywhere in a view model."""
    if isinstance(value, str):
        return [value]
    if dataclasses.is_dataclass(value):
        return [text for field in dataclasses.fields(value) for text in strings(getattr(value, field.name))]
    if isinstance(value, tuple | list):
        return [text for item in value for text in strings(item)]
    assert value is None or isinstance(value, int | float | bool), f"{value!r} is not ready to be shown"
    return []


def numbers(value: object) -> list[float]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [value]
    if dataclasses.is_dataclass(value):
        return [number for field in dataclasses.fields(value) for number in numbers(getattr(value, field.name))]
    return [number for item in value for number in numbers(item)] if isinstance(value, tuple | list) else []


def test_headline_counts_what_the_table_shows():
    run, cases = fixtures.good_run()
    assert wording.headline(run, cases) == [
        "4 of 5 cases agree to within rounding in numpy, torch and jax; "
        "1 sits on a kink where the branch is undetermined; no mismatch."
    ]


def test_a_mismatch_opens_the_headline_verbatim():
    run, cases = fixtures.mixed_run()
    first, second = wording.headline(run, cases)
    assert first == cases[5].findings[2].sentence
    assert "1 crashed" in second
    assert second.endswith("1 mismatch.")


def test_only_agreement_is_called_agreement():
    run, cases = fixtures.good_run()
    assert wording.headline(run, cases[1:])[0].startswith("All 4 cases agree")
    assert wording.headline(run, []) == ["No case has been judged."]
    page = view_model.build(run, cases)
    assert sum(int(count.number) for count in page.counts) == len(cases)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, ""), ({"finished": ""}, "had not finished"), ({"planned": 7}, "5 of 7 planned cases are judged")],
)
def test_an_incomplete_run_says_so(changes: dict[str, object], words: str):
    _, cases = fixtures.good_run()
    run = fixtures.run(**changes)
    why = view_model.build(run, cases).incomplete
    assert words in why
    assert bool(why) == bool(words)
    assert ("INCOMPLETE" in terminal.summary(run, cases).splitlines()[0]) == bool(words)


def test_a_quantity_has_the_name_that_the_harness_gives_it():
    for quantity in (
        Quantity(0, "grad", "W1"),
        Quantity(3, "state", "a of b", "m"),
        Quantity(12, "param", "x at step 2"),
    ):
        label = wording.quantity_label(quantity.kind, quantity.name, quantity.step, quantity.slot)
        assert label == str(quantity)
        assert wording.place_name(label) == (quantity.name if quantity.kind != "state" else "b") or quantity.slot == "m"


def test_missing_cells_are_shown_as_missing():
    case = fixtures.crashed()
    page = view_model.build(fixtures.run(), [case])
    row = page.groups[-1].rows[0]
    assert [badge.word for badge in row.implementations] == ["exact", "crash", "not recorded"]
    quantity = page.cases[0].steps[0].quantities[0]
    assert [badge.word for badge in quantity.badges] == ["exact", "not recorded", "not recorded"] or (
        quantity.badges[0].word == "rounding"
    )
    assert quantity.rows[0].cells[1] is None


def test_the_branch_is_marked_where_it_shows_and_only_there():
    page = view_model.build(fixtures.run(), [fixtures.diagonal_flip()])
    case = page.cases[0]
    by_name = {(q.kind, q.name): q for q in case.steps[0].quantities}
    rows = by_name["gradient", "W1"].rows
    marked = [row.index for row in rows if row.cells[1] and row.cells[1].symbol]
    assert marked == ["[0, 0]", "[2, 0]", "[3, 0]"]
    assert not any(row.cells[0] and row.cells[0].symbol for row in rows)
    assert ("-0.0975") in {value for c in case.consequences for value, _ in c.values}
    kink = case.kinks[0]
    assert kink.landed.endswith("these did.")
    assert kink.on_kink
    assert kink.line is not None
    assert [pin.names for pin in kink.line.pins] == ["numpy", "torch and jax"]
    assert kink.line.pins[0].x < kink.line.zero < kink.line.pins[1].x


def test_what_is_left_out_is_counted():
    case = fixtures.agreeing(1, steps=9)
    view = view_model.build(fixtures.run(), [case]).cases[0]
    assert [step.title for step in view.steps] == ["Step 0, at the parameters given", "Step 1", "Step 9"]
    assert view.steps_left_out == "In the store, not shown: 7 more recorded steps."
    shown = sum(len(q.rows) for step in view.steps for q in step.quantities)
    total = sum(len(q.exact) for q in case.quantities if q.step in (0, 1, 9))
    assert shown == quantity_view.ROWS_PER_CASE
    assert f"{total - shown:,} more elements" in view.rows_left_out


def test_the_step_at_fault_is_never_left_out():
    case = fixtures.agreeing(1, steps=9)
    finding = Finding(implementation="jax", verdict="mismatch", place="param b1 at step 5", sentence="Wrong.")
    changed = CaseRecord(**{**{f: getattr(case, f) for f in case.__struct_fields__}, "findings": [finding]})
    view = view_model.build(fixtures.run(), [changed]).cases[0]
    assert [step.title for step in view.steps][2] == "Step 5"
    assert view.graph is not None
    assert [box.fault for box in view.graph.boxes if box.fault] == ["jax, b1"]


def test_anchors_are_safe_unique_and_stable():
    page = view_model.build(*fixtures.hostile_run())
    anchors = [case.anchor for case in page.cases]
    assert anchors == ["case=~0", "case=7f3c09a1e2b44d10", "case=e", "case=~3", "case=~4", "case=~5"]


@pytest.mark.parametrize("make", [fixtures.good_run, fixtures.mixed_run, fixtures.hostile_run, fixtures.generated_run])
def test_everything_is_ready_to_be_shown(make):
    page = view_model.build(*make())
    assert strings(page)
    assert all(math.isfinite(number) for number in numbers(page)), "a NaN or an infinity would reach the drawing"


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_boxes_do_not_overlap_and_lie_in_the_drawing(width: int, length: int):
    nodes = [GraphNode(name="x", kind="input", shape=[2])]
    for k in range(length):
        nodes += [
            GraphNode(
                name=f"n{k}.{j}",
                kind="layer",
                op="relu",
                shape=[2],
                inputs=["x" if k == 0 else f"n{k - 1}.{(j * 3) % width}", *(["x"] if j == 0 else [])],
            )
            for j in range(width)
        ]
    lanes = {node.name: [graph.Lane("value", "≈ 0.5", "good", 50)] * 2 for node in nodes}
    drawing = graph.draw(nodes, lanes, frozenset({"n0.0"}), {"n0.0": "jax"})
    if len(nodes) > graph.MOST_NODES:
        assert drawing is None
        return
    assert drawing is not None
    assert len(drawing.boxes) == len(nodes)
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
    for i, a in enumerate(drawing.boxes):
        for b in drawing.boxes[i + 1 :]:
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart, (a.name, b.name)
    assert len(drawing.edges) == sum(len(set(node.inputs)) for node in nodes)


def test_a_log_axis_has_no_place_for_zero_and_says_so():
    curve = Curve(kind="drift", implementation="jax", steps=[1, 2, 4, 8], values=[0.0, "nan", 1e-17, 1e-16])
    series = [plots.Series("jax", [float(s) for s in curve.steps], [as_float(v) for v in curve.values])]
    plot = plots.line_plot("Drift", series, x_title="step", y_title="drift", log_x=True, log_y=True)
    assert plot is not None
    assert len(plot.lines[0].points.split()) == 2
    assert plot.note == "Not drawn: jax: 1 exactly zero; jax: 1 not a number."


def test_there_is_no_half_step():
    for steps in ([0, 1], [0, 1, 2], [0, 5], list(range(2001))):
        series = [plots.Series("jax", [float(s) for s in steps], [1.0 / (1 + s) for s in steps])]
        plot = plots.line_plot("Loss", series, x_title="step", y_title="loss")
        assert plot is not None
        texts = [tick.text for tick in plot.x_ticks]
        assert len(texts) >= 2
        assert all(text.replace(",", "").isdigit() for text in texts)


def test_one_step_is_told_and_not_drawn():
    base = fixtures.agreeing(1)
    curves = [Curve(kind="drift", implementation=name, steps=[1], values=[1e-17]) for name in ("numpy", "jax")]
    view = view_model.build(fixtures.run(), [msgspec.structs.replace(base, curves=curves)]).cases[0]
    assert view.curves == ()
    assert view.curves_told == (
        "Drift away from exact arithmetic, after step 1 (largest |parameter − exact|): "
        "numpy 1.00×10⁻¹⁷, jax 1.00×10⁻¹⁷.",
    )


def test_kinks_at_which_nobody_parts_are_not_drawn():
    base = fixtures.diagonal_flip()
    alone = msgspec.structs.replace(base.kinks[0], step=1, sides=base.kinks[0].sides[:1])
    view = view_model.build(fixtures.run(), [msgspec.structs.replace(base, kinks=[alone, *base.kinks])]).cases[0]
    assert [kink.step for kink in view.kinks] == ["0"]
    assert [kink.landed for kink in view.more_kinks] == [
        "a correct program could land on either side. Only numpy comes so near here."
    ]
    only = view_model.build(fixtures.run(), [msgspec.structs.replace(base, kinks=[alone])]).cases[0]
    assert [kink.step for kink in only.kinks] == ["1"]


def test_cases_of_one_example_that_say_the_same_are_one_look():
    flips = [msgspec.structs.replace(fixtures.diagonal_flip(), id=f"f{k}", title=f"flip {k}") for k in range(3)]
    looks = view_model.build(fixtures.run(), flips).looks
    assert [look.title for look in looks] == ["flip 0"]
    assert [title for _, title in looks[0].alike] == ["flip 1", "flip 2"]
    wrong = [msgspec.structs.replace(fixtures.mismatch(), id=f"m{k}", example="two_layers") for k in range(3)]
    page = view_model.build(fixtures.run(), wrong)
    assert not page.looks, "what is wrong is a bug"
    assert [(bug.number, len(bug.cases)) for bug in page.bugs] == [("3", 3)]


def without_exact() -> CaseRecord:
    """A case whose exact values could not be had, with numbers beside them that look well."""
    base = fixtures.diagonal_flip()
    quantities = [msgspec.structs.replace(q, exact=["nan"] * len(q.exact)) for q in base.quantities]
    kinks = [msgspec.structs.replace(kink, gap="NaN") for kink in base.kinks]
    return msgspec.structs.replace(base, quantities=quantities, kinks=kinks)


def shown_nan(case: CaseRecord) -> list[str]:
    """Every text of a case, on the page or in the terminal, that shows a value which is not known as a number."""
    view = view_model.build(fixtures.run(), [case]).cases
    texts = [*strings(view), *terminal.explain(case).splitlines()]
    return [text for text in texts if re.search(r"\bnan\b", text, re.IGNORECASE)]


def test_an_exact_value_that_is_none_is_never_shown_as_a_number():
    case = without_exact()
    assert shown_nan(case) == []
    view = view_model.build(fixtures.run(), [case]).cases[0]
    assert {row.exact for step in view.steps for q in step.quantities for row in q.rows} == {"not known"}
    assert {kink.gap for kink in view.kinks} == {"not known"}
    assert view.kinks[0].line is None, "a kink at an unknown distance has no place on a number line"
    assert "exact         not known" in terminal.explain(case)


@pytest.mark.parametrize("module", [quantity_view, kink_view])
def test_planted_exact_nan_is_found(module, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "exact_text", elements.tidy)
    assert shown_nan(without_exact())


def decayed(**changes: object) -> CaseRecord:
    """A network whose loss is followed by two penalties on its weights."""
    base = fixtures.agreeing(3)
    penalties = [
        GraphNode(name=f"decay{k}", kind="penalty", op="l2_penalty", params={"w": f"W{k}"}, **changes)  # type: ignore[arg-type]
        for k in (1, 2)
    ]
    total = fixtures.quantity("value", "loss", 1.5)
    return msgspec.structs.replace(base, graph=[*base.graph, *penalties], quantities=[*base.quantities, total])


def test_penalties_stand_below_the_loss_and_add_up_to_the_total():
    case = decayed()
    drawing = network_view.network(case)
    assert drawing is not None
    boxes = {box.name: box for box in drawing.boxes}
    column = [boxes[name] for name in ("mse", "decay1", "decay2", "loss")]
    assert len({box.x for box in column}) == 1
    assert [link.sign for link in drawing.links] == ["+", "+", "="]
    for above, below, link in zip(column, column[1:], drawing.links, strict=False):
        assert 10 <= below.y - (above.y + above.height) <= 40
        assert (link.top, link.bottom) == (above.y + above.height, below.y)
    assert column[-1].y + column[-1].height <= drawing.height
    assert boxes["loss"].index == len(case.graph)
    assert [lane.lane.label for lane in boxes["loss"].lanes] == ["value"]
    view = view_model.build(fixtures.run(), [case]).cases[0]
    owners = {q.name: q.node for step in view.steps for q in step.quantities}
    assert owners["loss"] == str(len(case.graph)), "a click on the total shows the total"


def test_a_penalty_of_a_node_is_joined_to_it_by_an_edge():
    drawing = network_view.network(decayed(inputs=["h"]))
    assert drawing is not None
    assert drawing.links == ()
    assert "loss" not in [box.name for box in drawing.boxes]
    without = network_view.network(fixtures.agreeing(3))
    assert without is not None
    assert len(drawing.edges) == len(without.edges) + 2


def test_planted_penalties_without_a_stack_are_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(graph, "_terms", lambda shown: [])
    with pytest.raises((AssertionError, KeyError)):
        test_penalties_stand_below_the_loss_and_add_up_to_the_total()


def test_every_verdict_has_a_sign_of_its_own():
    signs = [wording.SIGNS[verdict] for verdict in SEVERITY]
    assert len({sign.symbol for sign in signs}) == len(SEVERITY)


def test_reports_load_no_framework():
    code = (
        "import sys, reports.html, reports.terminal; "
        "print([m for m in ('torch', 'jax', 'optax', 'reference_impls', 'harness.judge') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
