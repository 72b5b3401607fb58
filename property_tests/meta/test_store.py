"""The store: what was added is there, damage is noticed, and a killed run still has what it finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.campaign.records import CaseRecord, RunRecord
from harness.campaign.store import Store, read_cases, read_run, read_spec
from harness.errors import StoreError

RUN = RunRecord(started="2026-01-01T00:00:00+00:00", planned=3)


def a_record(number: int) -> CaseRecord:
    return CaseRecord(
        id=f"{number:016x}", title=f"case {number}", verdict="rounding", headline="fine", dtype="float64", steps=0
    )


def filled(path: Path, count: int = 3) -> Path:
    with Store(path) as store:
        store.describe(RUN)
        for number in range(count):
            store.add(a_record(number), b'{"spec": true}')
    return path


def test_what_was_added_is_read_in_order(tmp_path: Path) -> None:
    path = filled(tmp_path / "results.sqlite")
    assert read_run(path) == RUN
    assert list(read_cases(path)) == [a_record(0), a_record(1), a_record(2)]
    assert read_spec(path, f"{1:016x}") == b'{"spec": true}'


def test_a_run_does_not_overwrite_another(tmp_path: Path) -> None:
    path = filled(tmp_path / "results.sqlite")
    with pytest.raises(StoreError, match="never overwrites"):
        Store(path)


def test_a_spec_is_found_by_the_beginning_of_its_id_only_when_that_is_one(tmp_path: Path) -> None:
    path = filled(tmp_path / "results.sqlite")
    with pytest.raises(StoreError, match="3 cases"):
        read_spec(path, "0")
    with pytest.raises(StoreError, match="no cases"):
        read_spec(path, "f")


def test_the_same_case_under_two_titles_is_one_case(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with Store(path) as store:
        store.describe(RUN)
        store.add(a_record(1), b"first")
        store.add(a_record(1), b"second")
    assert read_spec(path, f"{1:016x}") == b"first"


def test_a_store_that_is_closed_is_one_file_however_it_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "results.sqlite")
    assert read_run(path) == RUN
    assert len(list(read_cases(path))) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_can_be_read_while_it_is_written_and_closed_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with Store(path) as store:
        store.describe(RUN)
        for number in range(3):
            store.add(a_record(number), b"")
        reading = read_cases(path)
        assert next(reading) == a_record(0)
        store.add(a_record(3), b"")
    assert len(list(reading)) >= 2
    assert len(list(read_cases(path))) == 4


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        read_run(tmp_path / "missing.sqlite")
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="not a readable result store"):
        read_run(text)
    with pytest.raises(StoreError, match="cannot be written"):
        Store(text / "below" / "results.sqlite")


def test_flipped_bits_never_change_a_record_silently(tmp_path: Path) -> None:
    path = filled(tmp_path / "results.sqlite", count=20)
    whole = path.read_bytes()
    noticed = 0
    for position in range(0, len(whole), 97):
        broken = bytearray(whole)
        broken[position] ^= 1 << (position % 8)
        path.write_bytes(broken)
        try:
            records = [read_run(path), *read_cases(path)]
        except StoreError:
            noticed += 1
        else:
            assert all(record == RUN or record == a_record(index - 1) for index, record in enumerate(records))
    assert noticed > 0


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_store import RUN, Store, a_record
with Store(Path({path!r})) as store:
    store.describe(RUN)
    for number in range(10_000):
        store.add(a_record(number), b"")
        print(number, flush=True)
"""


def test_a_killed_run_keeps_every_case_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    code = KILLED.format(here=str(Path(__file__).parent), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 50:
                os.kill(writer.pid, signal.SIGKILL)
                break
    kept = list(read_cases(path))
    assert len(kept) >= 51
    assert kept == [a_record(number) for number in range(len(kept))]
    assert read_run(path).finished == ""
