"""The plain text: what it says word by word, how long and how wide it may be, and what it must never send."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.campaign.records import SEVERITY, CaseRecord, Finding, GraphNode, KinkRecord, Side
from property_tests import report_fixtures as fixtures
from reports import terminal, terminal_lines
from reports.elements import hex_text

MISMATCH = """\
✗ MISMATCH · 2-3-1 network, Adam with a wrong bias correction                  case bad0000000000812
  jax disagrees with the exact value by 812× the rounding bound in `b1` after update step 1; its
  forward pass and all gradients agree, so the optimizer call is at fault; the value equals the
  correct one with the bias correction off by one step. numpy and torch agree.

                 verdict                  worst ulp  error / bound          sees           vacuous
    numpy        ≈ rounding                     1.0           0.31       7×10⁻¹⁶          0 of 170
    torch        ≈ rounding                     2.0           0.41       7×10⁻¹⁶          0 of 170
  > jax          ✗ mismatch                   3,250            812       7×10⁻¹⁶          0 of 168

    parameter b1[1] at step 1                 hex float                         ulp  error / bound
    exact        -0.020000000000000000416    -0x1.47ae147ae147bp-6
    numpy        -0.019999999999999997       -0x1.47ae147ae147ap-6             +1.0           0.25
    torch        -0.02                       -0x1.47ae147ae147bp-6                0              0
  > jax          -0.020000000000011276       -0x1.47ae147ae212dp-6           −3,250            812

  network: dense → relu → dense → sigmoid → squared_error
  numbers: float64; 2 update steps with adam(lr=0.01)"""

KINK = """\
◇ undetermined branch · 4-3-4 network, one step by hand                        case 7f3c09a1e2b44d10
  At `h[0]` the pre-activation is exactly 0, the kink of ReLU, and rounding decides the side: numpy
  finds the neuron dead, torch and jax alive. So `W1` has two gradients, and both are right to
  within rounding. Not a bug.

                 verdict                  worst ulp  error / bound          sees           vacuous
    numpy        ≈ rounding                     1.0           0.33           any           1 of 76
    torch        ◇ undetermined branch          n/a            0.4           any           1 of 76
    jax          ◇ undetermined branch          n/a            0.4           any           1 of 76

    gradient z1[0] at step 0                  hex float                         ulp  error / bound
    exact         0                           0x0p+0
    numpy         0.0                         0x0p+0                              0              0
  ◇ torch        -0.0975                     -0x1.8f5c28f5c28f6p-4              n/a            0.4
  ◇ jax          -0.0975                     -0x1.8f5c28f5c28f6p-4              n/a            0.4

  ◇ h[0] (relu), step 0: exactly on its kink; bound 8.3×10⁻¹⁷
      numpy                  -2.7755575615628914e-17       at or below: dead, the gradient is 0
      torch and jax           2.7755575615628914e-17       above: alive, the gradient passes

  network: dense → relu → dense → squared_error
  numbers: float64; 1 update step with sgd(lr=0.1)"""


@pytest.mark.parametrize(("make", "text"), [(fixtures.mismatch, MISMATCH), (fixtures.diagonal_flip, KINK)])
def test_explain_says_just_this(make: Callable[[], CaseRecord], text: str):
    assert terminal.explain(make()) == text


def crowded(names: int, kinks: int, words: int) -> CaseRecord:
    """More of everything than there is room for, in names that try to move the cursor."""
    base = fixtures.diagonal_flip()
    who = [f"implementation\x1b[{k}A{k} of many\n" for k in range(names)]
    flips = next(q for q in base.quantities if (q.kind, q.name) == ("grad", "z1"))
    cells = [msgspec.structs.replace(flips.cells[-1], implementation=name) for name in who]
    places = ["grad z1 at step 0", "grad W1 at step 0", "value h at step 0", ""]
    verdicts = ["mismatch", "undetermined branch", "suspicious", "crash", "ill-conditioned"]
    return msgspec.structs.replace(
        base,
        title="title\x1b]0;owned\x07 " * 30,
        headline="word " * words + "x" * 500,
        optimizer="optimizer " * 40,
        graph=[*base.graph, *(GraphNode(name=f"p{k}", kind="penalty", op="l2_penalty") for k in range(names))],
        findings=[
            Finding(
                implementation=name,
                verdict=verdicts[k % 5],  # type: ignore[arg-type]
                place=places[k % 4],
                op="relu\x1b[2J",
                sentence="sentence\u202e " * 50,
                detail="detail\r" * 50,
                numbers=10**9,
                vacuous=10**8,
                sharpness=1e-300,
                worst_ulps=-1e300,
                worst_ratio="inf",
            )
            for k, name in enumerate(who)
        ],
        quantities=[msgspec.structs.replace(flips, cells=cells), *base.quantities],
        kinks=[
            KinkRecord(
                step=k,
                node="node\x9b" * 20,
                op="relu",
                index=[10**9] * 9,
                comparison="greater",
                gap="1e-30" * 20,
                bound=1e-300,
                sides=[Side(implementation=name, value=f"{j}e-17", branch="above") for j, name in enumerate(who)],
            )
            for k in range(kinks)
        ],
    )


def faults(text: str, most: int = terminal.LINES) -> list[str]:
    """What is wrong with a text for a terminal; empty for a good one."""
    lines = text.splitlines()
    found = [f"{len(lines)} lines"] if len(lines) > most else []
    # What is to be copied is not broken.
    broken = [line for line in lines if not line.startswith(("  gradparity replay ", "  gradparity reproduce "))]
    found += [f"{len(line)} columns: {line}" for line in broken if len(line) > terminal.WIDTH]
    found += [f"{character!r}" for character in text if not character.isprintable() and character != "\n"]
    return found


@pytest.mark.parametrize("make", [fixtures.good_run, fixtures.mixed_run, fixtures.hostile_run, fixtures.generated_run])
def test_every_case_is_explained_in_25_harmless_lines(make):
    for case in make()[1]:
        text = terminal.explain(case)
        assert faults(text) == []
        assert terminal_lines.plain(case.id)[:12] in text


@pytest.mark.parametrize("names", [0, 1, 2, 4, 5, 30])
@pytest.mark.parametrize("kinks", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("words", [0, 1, 1000])
def test_a_crowded_case_is_explained_in_25_harmless_lines(names: int, kinks: int, words: int):
    text = terminal.explain(crowded(names, kinks, words))
    assert faults(text) == []
    assert text.splitlines()[-2].startswith("  network: ")
    if names > 4:
        assert re.search(rf"… and {names - 4} more implementations?, none graver", text)
    if words == 1000:
        assert " more lines" in text
    if kinks == 40 and names > 0:
        assert " more undetermined branches" in text or text.count("step") < 4


@pytest.mark.parametrize("make", [fixtures.good_run, fixtures.mixed_run, fixtures.hostile_run, fixtures.generated_run])
def test_a_summary_is_narrow_and_harmless_and_tells_every_finding(make):
    run, cases = make()
    text = terminal.summary(run, cases)
    assert faults(text, 10_000) == []
    flat = " ".join(text.split())
    for case in cases:
        for finding in case.findings:
            if finding.verdict not in ("exact", "rounding", "undetermined branch"):
                said = finding.sentence.partition("does not implement this case: ")[2] or finding.sentence
                assert " ".join(terminal_lines.plain(said).split()[:3]) in flat


def test_a_summary_of_crowded_cases_keeps_each_block_short():
    run, cases = fixtures.run(), [crowded(30, 40, 1000)]
    text = terminal.summary(run, cases)
    assert faults(text, 10_000) == []
    for block in text.split("\n✗ MISMATCH")[1:]:
        assert len(("✗ MISMATCH" + block).split("\n▲")[0].split("\n†")[0].splitlines()) <= terminal.LINES + 1


def test_a_long_finding_is_cut_at_25_lines():
    finding = Finding(implementation="jax", verdict="mismatch", place="grad W1 at step 0", sentence="word " * 2000)
    case = msgspec.structs.replace(fixtures.diagonal_flip(), findings=[finding])
    text = terminal.summary(fixtures.run(), [case])
    block = text[text.index("✗ MISMATCH") :].splitlines()
    assert len(block) <= terminal.LINES
    assert any(line.startswith("  … and ") for line in block)


def test_implementations_that_share_a_kink_share_a_block():
    text = terminal.summary(fixtures.run(), [fixtures.diagonal_flip()])
    assert text.count("◇ undetermined branch · ") == 1
    assert "◇ undetermined branch · torch and jax · grad z1 at step 0" in text
    assert text.count("exactly on its kink") == 1
    assert text.count("\n  ◇ torch") == text.count("\n  ◇ jax") == 1


def test_those_with_another_place_have_a_block_of_their_own():
    base = fixtures.diagonal_flip()
    other = msgspec.structs.replace(base.findings[2], place="grad W1 at step 0")
    text = terminal.summary(fixtures.run(), [msgspec.structs.replace(base, findings=[*base.findings[:2], other])])
    assert text.count("◇ undetermined branch · ") == 2
    explained = terminal.explain(msgspec.structs.replace(base, findings=[*base.findings[:2], other]))
    assert "  ◇ jax: undetermined branch in grad W1 at step 0 (relu)" in explained


@pytest.mark.parametrize("guilty", fixtures.IMPLEMENTATIONS)
def test_the_mark_is_on_the_one_at_fault(guilty: str):
    """The same numbers under other names: the mark goes with the numbers."""
    base = fixtures.mismatch()
    swap = {"jax": guilty, guilty: "jax"}

    def renamed(one):
        return msgspec.structs.replace(one, implementation=swap.get(one.implementation, one.implementation))

    case = msgspec.structs.replace(
        base,
        findings=[renamed(finding) for finding in base.findings],
        quantities=[msgspec.structs.replace(q, cells=[renamed(c) for c in q.cells]) for q in base.quantities],
    )
    marked = [line.split()[1] for line in terminal.explain(case).splitlines() if line.startswith("  > ")]
    assert marked == [guilty, guilty]


def test_a_crash_is_explained_by_its_error():
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in terminal.explain(fixtures.crashed())


def test_penalties_are_added_to_the_network():
    base = fixtures.agreeing(1)
    penalties = [GraphNode(name=f"p{k}", kind="penalty", op="l2_penalty") for k in range(2)]
    text = terminal.explain(msgspec.structs.replace(base, graph=[*base.graph, *penalties]))
    assert "  network: dense → relu → dense → sigmoid → squared_error + 2 × l2_penalty\n" in text


def test_vacuous_passes_come_before_the_counts():
    run, cases = fixtures.good_run()
    text = terminal.summary(run, cases)
    assert text.startswith("3 of ")
    assert text.index("pass vacuously") < text.index("4 of 5 cases agree")
    assert "vacuously" not in terminal.summary(run, cases[1:])


@pytest.mark.parametrize("verdict", SEVERITY)
def test_every_verdict_can_be_explained(verdict):
    base = fixtures.mismatch()
    finding = msgspec.structs.replace(base.findings[2], verdict=verdict)
    case = msgspec.structs.replace(base, verdict=verdict, findings=[finding])
    assert verdict in terminal.explain(case)
    assert terminal.summary(fixtures.run(), [case])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_hex_float_reads_back_as_the_same_double(value: float):
    assert struct.pack("<d", float.fromhex(hex_text(repr(value), "float64"))) == struct.pack("<d", value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_hex_float_reads_back_as_the_same_single(value: float):
    text = hex_text(f"{value:.9g}", "float32")
    assert math.copysign(1, float.fromhex(text)) == math.copysign(1, value)
    assert float.fromhex(text) == value


# The checks above, seen to fail.


def test_planted_raw_text_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminal_lines, "plain", lambda text: text)
    assert any("\\x1b" in fault for fault in faults(terminal.explain(crowded(3, 2, 5))))


def test_planted_uncut_lines_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminal, "cut", lambda text, length: terminal_lines.plain(text))
    assert any("columns" in fault for fault in faults(terminal.explain(crowded(3, 2, 5))))


def test_planted_endless_lines_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminal, "with_more", lambda lines, room, noun: list(lines))
    assert any("lines" in fault for fault in faults(terminal.explain(crowded(3, 2, 1000))))


def test_planted_repeated_kinks_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminal, "alike", lambda case: [[finding] for finding in case.findings])
    with pytest.raises(AssertionError):
        test_implementations_that_share_a_kink_share_a_block()
    assert terminal.explain(fixtures.diagonal_flip()) != KINK


def test_planted_wrong_element_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminal_lines, "_position", lambda quantity, implementation: 0)
    assert terminal.explain(fixtures.mismatch()) != MISMATCH
