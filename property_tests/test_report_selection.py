"""What a report reads of a store and keeps of it: the bugs, the cases with a page, the columns of the list."""

from __future__ import annotations

import base64
import itertools
import json
import re
import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from harness.campaign.records import AGAINST, CaseRecord
from harness.campaign.slim import read_run_slim
from harness.campaign.store import read_cases
from harness.cli import main
from harness.errors import StoreError
from property_tests import report_fixtures as fixtures
from property_tests.report_stores import FAULTS, drawn_cases, synthetic_store
from reports import clusters, columns, html, looks, selection, view_model, wording

CASES = 3000
FAULTY, SAMPLE = 50, 12
ALPHABET = columns.LETTERS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_store(tmp_path_factory.mktemp("stores") / "results.sqlite", CASES)


def test_the_same_seed_draws_the_same_store():
    first, again = ([record for _, record in drawn_cases(50, seed)] for seed in (7, 7))
    assert first == again
    assert first != [record for _, record in drawn_cases(50, 8)]


def test_a_slim_reading_tells_the_same_of_every_case(store: Path):
    run, slim = read_run_slim(store, selection.paged)
    full = list(read_cases(store))
    assert len(slim) == CASES
    assert [told(case) for case in slim] == [told(case) for case in full]
    for say in (wording.headline, wording.incomplete):
        assert say(run, slim) == say(run, full)
    assert view_model.coverage(run, slim, run.implementations) == view_model.coverage(run, full, run.implementations)


def told(case: CaseRecord) -> list[object]:
    findings = [(f.implementation, f.verdict, f.worst_ratio, f.worst_ulps, f.vacuous, f.numbers) for f in case.findings]
    return [case.id, case.title, case.verdict, case.generated, case.tested, case.optimizer, findings]


def test_only_what_has_a_page_keeps_its_numbers(store: Path):
    _, cases = read_run_slim(store, selection.paged)
    kept = [position for position, case in enumerate(cases) if case.quantities]
    assert sorted(selection.paged(cases)) == kept
    assert not any(case.abridged for case in cases if case.quantities)
    assert len(kept) <= selection.PAGES
    assert not any(case.graph or case.flow for case in cases if case.abridged)


def uncovered(cases: list[CaseRecord], pages: list[int]) -> list[str]:
    """What ought to have a page and has none."""
    has = set(pages)
    missing = [f"bug {one.key}" for one in clusters.clusters(cases) if one.smallest not in has]
    worst = dict.fromkeys({case.verdict for case in cases}, -1.0)
    for case in cases:
        worst[case.verdict] = max(worst[case.verdict], ratio(case))
    for verdict, most in worst.items():
        if not any(case.verdict == verdict and ratio(case) == most for case in (cases[one] for one in has)):
            missing.append(f"worst {verdict}")
    faulty = sum(cases[one].verdict in AGAINST for one in has)
    if faulty < min(FAULTY, sum(case.verdict in AGAINST for case in cases)):
        missing.append("faulty")
    if sum(cases[one].verdict in ("exact", "rounding") for one in has) < SAMPLE:
        missing.append("sample")
    return missing


def ratio(case: CaseRecord) -> float:
    size = wording.largest(finding.worst_ratio for finding in case.findings)
    return size if size == size else 0.0


def test_what_tells_most_has_a_page(store: Path):
    _, cases = read_run_slim(store, selection.paged)
    pages = selection.paged(cases)
    assert uncovered(cases, pages) == []
    assert selection.paged(cases) == pages, "the sample is the same every time"
    given = [*cases, *(fixtures.agreeing(number) for number in range(3))]
    assert set(range(CASES, CASES + 3)) <= set(selection.paged(given)), "somebody chose them"


@pytest.mark.parametrize("left_out", ["GIVEN", "SAMPLE", "WORST", "FAULTY"])
def test_planted_gaps_in_the_choice_are_seen(store: Path, left_out: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selection, left_out, 0)
    with pytest.raises(AssertionError):
        test_what_tells_most_has_a_page(store)


def test_planted_bugs_without_a_page_are_seen(store: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selection, "clusters", lambda cases: [])
    with pytest.raises(AssertionError):
        test_what_tells_most_has_a_page(store)


def by_hand(store: Path) -> Counter[tuple[object, ...]]:
    """The bugs once more, from what the generator planted and the stored texts."""
    planted = {(one.op, one.verdict, one.who) for one in FAULTS}
    counts: Counter[tuple[object, ...]] = Counter()
    with closing(sqlite3.connect(store)) as db:
        for (record,) in db.execute("SELECT record FROM cases"):
            bad = [f for f in json.loads(record)["findings"] if f["verdict"] in AGAINST]
            if bad:
                key = (bad[0].get("op", ""), bad[0]["verdict"], tuple(one["implementation"] for one in bad))
                assert key in planted
                counts[key] += 1
    return counts


def test_one_bug_is_one_cluster(store: Path):
    _, cases = read_run_slim(store, selection.paged)
    found = clusters.clusters(cases)
    assert Counter({(one.key.op, one.key.verdict, one.key.who): len(one.members) for one in found}) == by_hand(store)
    assert len({one.key.anchor for one in found}) == len(found)
    for one in found:
        sizes = [clusters.size_of(cases[position]) for position in one.members]
        assert one.numbers == min(sizes)
        assert clusters.size_of(cases[one.smallest]) == min(sizes)
    gravest = [wording.severity(one.key.verdict) for one in found]
    assert gravest == sorted(gravest, reverse=True)


def test_planted_clusters_without_blame_are_seen(store: Path, monkeypatch: pytest.MonkeyPatch):
    keys = clusters._keys
    monkeypatch.setattr(
        clusters, "_keys", lambda case: ((msgspec_free(key), findings) for key, findings in keys(case))
    )
    with pytest.raises(AssertionError):
        test_one_bug_is_one_cluster(store)


def msgspec_free(key: clusters.Key) -> clusters.Key:
    return clusters.Key(key.verdict, "", key.shows, (), "")


def test_names_that_differ_from_case_to_case_part_no_bugs():
    one = fixtures.failing("jax", "mismatch", "dense backward")
    other = msgspec.structs.replace(
        one, findings=[msgspec.structs.replace(f, place=f.place and "grad V9 at step 3") for f in one.findings]
    )
    (found,) = clusters.clusters([one, other])
    assert found.key.shows == "a gradient"
    value = [msgspec.structs.replace(f, place=f.place and "value h at step 0") for f in one.findings]
    assert len(clusters.clusters([one, msgspec.structs.replace(one, findings=value)])) == 2


def decoded(table: dict[str, Any]) -> list[tuple[object, ...]]:
    """The rows that a table of columns stands for, as the script reads them."""
    place = {letter: at for at, letter in enumerate(ALPHABET)}
    total = table["rows"]
    numbers = [0] * total
    for (start, first), (end, _) in itertools.pairwise([*table["numbers"], [total, 0]]):
        for row in range(start, end):
            numbers[row] = first and first + row - start
    words = [] if isinstance(table["titles"], list) else table["titles"]["at"].split(columns.APART)
    cards = table["cards"]["at"].split(columns.APART)
    rows = []
    for row in range(total):
        if isinstance(table["titles"], list):
            title = table["titles"][row]
        else:
            values = table["titles"]["values"]
            title = " ".join(f"#{numbers[row]}" if one == "!" else values[place[one]] for one in words[row])
        ids = table["ids"]
        own = {key: table[key]["values"][place[table[key]["at"][row]]] for key in ("dtype", "ratio", "ulps")}
        who = [
            (table["badges"][place[one["verdict"][row]]]["word"], size["values"][place[size["at"][row]]])
            for one, size in ((part, part["size"]) for part in table["who"])
        ]
        rows.append((
            ids[16 * row : 16 * row + 16] if isinstance(ids, str) else ids[row], title,
            table["badges"][place[table["verdict"][row]]]["word"], own["dtype"], own["ratio"], own["ulps"], who,
            {table["cards"]["values"][place[letter]] for letter in cards[row].removeprefix("!")}
            | (set() if cards[row].startswith("!") else named(title, table["cards"])),
        ))  # fmt: skip
    return rows


def named(title: str, cards: dict[str, Any]) -> set[str]:
    """The operations that a title names, if they are left out of the column for it."""
    return {word.rstrip(";,") for word in title.split(" ")} & set(cards["values"]) if cards["told"] else set()


def expected(cases: list[CaseRecord], names: list[str]) -> list[tuple[object, ...]]:
    rows = []
    for case in cases:
        row = view_model._row(case, "", names)
        tested = case.tested
        cards = [*tested.cards, *filter(None, (tested.optimizer, tested.schedule, tested.clip))] if tested else []
        who = [(badge.word, badge.size) for badge in row.implementations]
        cards = cards or list(dict.fromkeys(node.op for node in case.graph if node.op))
        rows.append((case.id, looks.title_of(case), case.verdict, case.dtype, row.ratio, row.ulps, who, set(cards)))
    return rows


def table_of(cases: list[CaseRecord], names: list[str]) -> dict[str, Any]:
    text = columns.packed(columns.columns(cases, names, clusters.clusters(cases), {}, "a b.sqlite"))
    assert re.fullmatch("[0-9A-Za-z+/=]*", text)
    return json.loads(zlib.decompress(base64.b64decode(text)))


@pytest.mark.parametrize("make", [fixtures.mixed_run, fixtures.hostile_run, fixtures.generated_run])
def test_the_columns_say_what_the_rows_do(make):
    run, cases = make()
    assert decoded(table_of(cases, run.implementations)) == expected(cases, run.implementations)


def test_the_columns_of_many_rows_say_what_the_rows_do(store: Path):
    run, cases = read_run_slim(store, selection.paged)
    table = table_of(cases, run.implementations)
    assert decoded(table) == expected(cases, run.implementations)
    assert len(columns.as_json(table).encode()) < 60 * CASES + 20_000, "a row has become larger"
    order = table["ratio"]["values"]
    assert order.index("0.5") < order.index("0.51"), "a dictionary of numbers is in the order of size"


@pytest.mark.parametrize("planted", [ALPHABET[1:] + ALPHABET[0], ALPHABET[::-1]])
def test_planted_letters_are_seen(store: Path, planted: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(columns, "LETTERS", planted)
    with pytest.raises((AssertionError, LookupError)):
        test_the_columns_of_many_rows_say_what_the_rows_do(store)


def test_a_title_that_holds_the_sign_for_a_number_is_kept():
    cases = [msgspec.structs.replace(fixtures.agreeing(1), title=title) for title in ("a ! b", "!", "", "a  b ", "#1")]
    cases += [fixtures.generated(2, fixtures.agreeing(2))]
    assert [row[1] for row in decoded(table_of(cases, fixtures.IMPLEMENTATIONS))] == [looks.title_of(c) for c in cases]


def test_the_page_stays_small_and_says_what_it_leaves_out(store: Path, monkeypatch: pytest.MonkeyPatch):
    run, cases = read_run_slim(store, selection.paged)
    whole = html.render(run, cases)
    assert len(whole.encode()) < 4_000_000
    monkeypatch.setattr(html, "CASE_BYTES", 200_000)
    small = html.render(run, cases)
    assert len(small.encode()) < len(whole.encode()) - 1_000_000
    pages = small.count('<article class="page case"')
    assert 0 < pages < whole.count('<article class="page case"')
    assert f"{CASES - pages:,} cases of {CASES:,} have no page here" in small
    assert "gradparity show out/results.sqlite CASE" in small


def test_of_few_cases_too_those_that_tell_most_come_first():
    run, cases = fixtures.mixed_run()
    cases = [*(fixtures.agreeing(number) for number in range(20)), *cases]
    assert sorted(selection.paged(cases)) == list(range(len(cases)))
    page = html.render(run, cases, 1)
    wrong = {position for position, one in enumerate(cases) if one.verdict in ("mismatch", "crash")}
    assert set(selection.paged(cases)[:2]) == wrong
    assert 'id="case=bad0000000000812"' in page


def test_a_damaged_row_is_refused(store: Path, tmp_path: Path):
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(store.read_bytes())
    with closing(sqlite3.connect(damaged)) as db, db:
        ((record,),) = db.execute("SELECT record FROM cases WHERE number = 41")
        db.execute("UPDATE cases SET record = ? WHERE number = 41", (record.replace(b"0.", b"1.", 1),))
    with pytest.raises(StoreError, match="case row 41 is damaged"):
        read_run_slim(damaged, selection.paged)


def test_show_tells_a_stored_case_and_writes_its_page(store: Path, tmp_path: Path):
    _, cases = read_run_slim(store, selection.paged)
    case = next(one for one in cases if one.abridged and one.verdict == "undetermined branch")
    page = tmp_path / "one.html"
    result = CliRunner().invoke(main, ["show", str(store), case.id[:10], "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert case.id in result.output
    assert "◇ undetermined branch" in result.output
    assert result.output.splitlines()[-1] == f"report: {page}"
    text = page.read_text(encoding="utf-8")
    assert f'id="case={case.id}"' in text
    assert text.count('<article class="page case"') == 1
    assert "1 case " in text
    assert "INCOMPLETE" not in text


@pytest.mark.parametrize(("case_id", "says"), [("nothing", "has no cases"), ("", f"has {CASES} cases")])
def test_show_names_what_it_cannot_find(store: Path, case_id: str, says: str):
    result = CliRunner().invoke(main, ["show", str(store), case_id])
    assert result.exit_code == 2
    assert says in result.output
