"""doctor says which keys are there and where they come from, and never what they are."""

import json
import os
from pathlib import Path

import pytest

from thinkscale import credentials
from thinkscale.commands.doctor import doctor, doctor_text
from thinkscale.keys import JSON

VALUE = "zq81-TTw0-secret-Lm4"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HF_TOKEN", "HF_USERNAME", "OPENAI", "ANTHROPIC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(credentials, "_found", set())


def rows() -> dict[str, dict[str, JSON]]:
    found = doctor()
    assert VALUE not in json.dumps(found) + doctor_text(found)
    return {str(row["what"]): row for row in found}


def test_keys_are_named_with_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"HF_TOKEN={VALUE}\nOPENAI_API_KEY={VALUE}\nOPENAI_API_KEY_2={VALUE}\nHF_USERNAME=ann\n")
    Path(".env").chmod(0o600)
    monkeypatch.setenv("OPENAI_API_KEY", f"{VALUE},{VALUE}x")
    found = rows()
    assert (found["HF_TOKEN"]["ok"], found["HF_TOKEN"]["found"]) == (True, "set: .env")
    assert found["OPENAI_API_KEY"]["found"] == "set: environment, OPENAI_API_KEY_2 (.env)"
    assert found["HF_USERNAME"]["found"] == "set: .env"
    assert "privacy of keys" not in found


def test_a_key_that_is_not_there_comes_with_what_to_do() -> None:
    row = rows()["ANTHROPIC_API_KEY"]
    assert (row["ok"], row["found"]) == (False, "not set")
    assert ".env" in str(row["do"])


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert rows()["OPENAI_API_KEY"]["found"] == "not set"


def test_a_dotenv_that_others_can_read_is_a_lack() -> None:
    Path(".env").write_text(f"HF_TOKEN={VALUE}\n")
    Path(".env").chmod(0o644)
    row = rows()["privacy of keys"]
    assert not row["ok"]
    assert "chmod 600 .env" in str(row["do"])


def test_a_dotenv_that_is_no_text_does_not_stop_doctor() -> None:
    Path(".env").write_bytes(b"HF_TOKEN=" + VALUE.encode() + b"\xff\n")
    row = rows()["HF_TOKEN"]
    assert not row["ok"]
    assert "not UTF-8" in str(row["do"])
