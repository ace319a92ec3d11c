"""Notes and drafts: replaced, found again, and gone with what they belong to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscale.errors import EncodingError, RunDirectoryError
from thinkscale.store.journal import Journal
from thinkscale.store.notes import JournalDrafts, Notes

from .samples import problem


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as made:
        for stage in ("generate", "label"):
            made.begin_stage(stage, {})
        yield made


def test_a_note_is_replaced_found_again_and_forgotten(journal: Journal) -> None:
    notes = Notes(journal, "generate")
    assert notes.load("a") is None
    notes.save("a", {"n": 1, "text": "π 😀"})
    notes.save("a", {"n": 2, "text": "π 😀"})
    notes.save("b:1", [1, None])
    assert notes.load("a") == {"n": 2, "text": "π 😀"}
    assert notes.keys() == ["a", "b:1"]
    assert notes.keys("b:") == ["b:1"]
    assert notes.keys("%") == []
    assert Notes(journal, "label").load("a") is None
    notes.forget("a")
    notes.forget("a")
    assert notes.keys() == ["b:1"]


def test_notes_outlive_the_process(tmp_path: Path, journal: Journal) -> None:
    Notes(journal, "generate").save("a", [1])
    with Journal.open(tmp_path / "journal.db") as again:
        assert Notes(again, "generate").load("a") == [1]


def test_a_draft_goes_with_the_commit_of_its_unit_and_no_other(journal: Journal) -> None:
    drafts = JournalDrafts(Notes(journal, "generate"))
    assert drafts.load("u1") == ()
    drafts.save("u1", list(range(30_000)))
    drafts.save("u1", [5, 6])
    drafts.save("u2", (7,))
    JournalDrafts(Notes(journal, "label")).save("u1", (9,))
    assert drafts.load("u1") == (5, 6)
    journal.commit("generate", "u1", 0, [problem(1)])
    assert (drafts.load("u1"), drafts.load("u2")) == ((), (7,))
    assert JournalDrafts(Notes(journal, "label")).load("u1") == (9,)


def test_all_notes_of_a_stage_go_when_it_is_finished_or_discarded(journal: Journal) -> None:
    generate, label = Notes(journal, "generate"), Notes(journal, "label")
    for notes in (generate, label):
        notes.save("batch:1", {})
    journal.finish_stage("generate")
    assert (generate.keys(), label.keys()) == ([], ["batch:1"])
    journal.discard_stages(["label"])
    assert label.keys() == []


def test_notes_leave_no_trace_in_a_finished_stages_fingerprint(journal: Journal) -> None:
    JournalDrafts(Notes(journal, "generate")).save("u", (1, 2))
    for stage in ("generate", "label"):
        journal.commit(stage, "u", 0, [problem(1)])
    assert journal.finish_stage("generate") == journal.finish_stage("label")


def test_what_is_no_draft_is_refused_and_damage_is_said(journal: Journal) -> None:
    notes = Notes(journal, "generate")
    notes.save("a", ["x"])
    with pytest.raises(EncodingError, match="the draft of a holds no token ids"):
        JournalDrafts(notes).load("a")
    with journal.transaction() as connection:
        connection.execute("UPDATE notes SET payload = x'00112233'")
    with pytest.raises(RunDirectoryError, match="a note cannot be unpacked"):
        notes.load("a")
