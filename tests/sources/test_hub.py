"""What the Hub refuses is said with what to do, and no token is in it; GitHub's files come at a commit."""

import inspect
import io
import urllib.error
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.sources.fake_hub import FIRST, SECOND, FakeHub
from thinkscale.errors import DataError
from thinkscale.sources import hub
from thinkscale.sources.catalogue import find_entry
from thinkscale.sources.places import hub_place

TOKEN = "hf_" + "a1B2" * 8


def http(kind: type[HfHubHTTPError], status: int = 403) -> HfHubHTTPError:
    response = httpx2.Response(status, request=httpx2.Request("GET", "https://hub.test"))
    return kind(f"Bearer {TOKEN} said no\nmore", response=response)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (http(GatedRepoError), r"o/n is gated: sign in at https://huggingface.co/datasets/o/n, accept .* HF_TOKEN"),
        (http(RepositoryNotFoundError, 404), r"o/n is not there, or is private .*HF_TOKEN may see it"),
        (http(RevisionNotFoundError, 404), "o/n has no such revision"),
        (HFValidationError("bad name"), r"'o/n' is no name of a data set; give owner/name: bad name"),
        (OfflineModeIsEnabled("offline mode is enabled"), "the Hub cannot be used: offline mode .*--local DIR"),
        (ConnectionError("no route"), "the Hub cannot be used: no route; check the network, or give the files"),
        (httpx2.ConnectError("no route"), "the Hub cannot be used: no route; check the network, or give the files"),
        (http(HfHubHTTPError, 500), "the Hub cannot be used: .* said no"),
    ],
)
def test_a_refusal_says_what_to_do(fake_hub: FakeHub, error: Exception, message: str) -> None:
    fake_hub.error = error
    for ask in (
        lambda: hub.fetch("o/n", FIRST, ["*"]),
        lambda: hub.resolve_commit("o/n", None),
        lambda: hub.list_files("o/n", FIRST),
    ):
        with pytest.raises(DataError, match=message) as found:
            ask()
        assert TOKEN not in str(found.value)


def test_a_refused_upload_says_that_the_token_must_write(fake_hub: FakeHub, tmp_path: Path) -> None:
    fake_hub.error = http(HfHubHTTPError, 401)
    with pytest.raises(DataError, match="HF_TOKEN, which must be allowed to write"):
        hub.upload(tmp_path, "o/n", private=False, revision=None, message="m")


def test_a_revision_of_forty_digits_is_asked_of_nobody(fake_hub: FakeHub) -> None:
    assert hub.resolve_commit("o/n", SECOND) == SECOND
    assert fake_hub.asked == []


def test_the_token_of_dotenv_reaches_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / ".env").write_text(f"HF_TOKEN={TOKEN}\n")
    hub._api()
    assert os.environ["HF_TOKEN"] == TOKEN


def test_github_files_come_at_the_commit_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, asked = find_entry("agieval"), []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def reply(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(b'{"question": "q"}\n')

    monkeypatch.setattr("urllib.request.urlopen", reply)
    assert entry.revision
    place = hub_place(entry, entry.revision)
    assert list(place.files) == list(entry.files)
    base = f"https://raw.githubusercontent.com/ruixiangcui/AGIEval/{entry.revision}"
    assert asked == [f"{base}/{file}" for file in entry.files]
    assert hub_place(entry, entry.revision) == place
    assert len(asked) == len(entry.files)


def test_a_file_that_github_does_not_give_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def reply(address: str, timeout: float) -> Any:  # noqa: ANN401 - it never returns
        raise urllib.error.HTTPError(address, 404, "Not Found", {}, None)  # type: ignore[arg-type]

    monkeypatch.setattr("urllib.request.urlopen", reply)
    with pytest.raises(DataError, match=r"sat-en\.jsonl cannot be fetched: HTTP Error 404: Not Found; check"):
        hub.fetch("github:o/n", FIRST, ["data/v1/sat-en.jsonl"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with pytest.raises(DataError, match="at a commit of 40 digits, not at 'main'"):
        hub.resolve_commit("github:o/n", "main")


@pytest.mark.parametrize("method", [name for name in vars(FakeHub) if not name.startswith("_") and name != "add"])
def test_the_fake_hub_is_asked_as_the_real_one_can_be(method: str) -> None:
    """Every parameter that our calls use has its name and its kind in huggingface_hub."""
    real = inspect.signature(getattr(HfApi, method)).parameters
    ours = [item for item in inspect.signature(getattr(FakeHub, method)).parameters.values() if item.name != "self"]
    by_keyword = [item.name for item in ours if item.kind is inspect.Parameter.KEYWORD_ONLY]
    assert set(by_keyword) <= set(real)
    by_place = [item.name for item in ours if item.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert len(by_place) <= sum(item.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for item in real.values()) - 1
