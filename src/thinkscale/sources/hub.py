"""The one door to the Hugging Face Hub: which commit, its files, and an upload. Tests put another `_api` behind it.

Files are fetched at a commit, never at a branch, into huggingface_hub's own cache, so that a second run needs no
network. Where a set lies on GitHub only (`github:owner/name`), its files come from there at a commit, into our cache.

Rejected: `datasets.load_dataset`. It converts every row to Arrow first, needs pandas, and refuses the sets that come
with a script; the files behind all of them are Parquet, JSON or CSV.
"""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from thinkscale.credentials import export_hub_token, redact
from thinkscale.errors import DataError, MissingExtraError, StorageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

GITHUB = "github:"
RAW = "https://raw.githubusercontent.com"
HUB = "https://huggingface.co"
SECONDS = 60.0


def resolve_commit(repository: str, revision: str | None) -> str:
    """The 40 digits of the commit behind a revision, the newest where none is given. Raises DataError."""
    if revision is not None and is_commit(revision):
        return revision
    if repository.startswith(GITHUB):
        raise DataError(f"{repository}: a set on GitHub is read at a commit of 40 digits, not at {revision!r}")
    with _speaking(repository):
        found = _api().dataset_info(repository, revision=revision).sha
    if not found:
        raise DataError(f"{repository}: the Hub names no commit for {revision or 'its newest revision'}")
    return str(found)


def is_commit(revision: str) -> bool:
    """Whether it is the whole name of a commit."""
    return len(revision) == 40 and set(revision) <= set("0123456789abcdef")


def list_files(repository: str, commit: str) -> list[str]:
    """The names of the files of a data set on the Hub at a commit, sorted. Raises DataError."""
    with _speaking(repository):
        return sorted(_api().list_repo_files(repository, revision=commit, repo_type="dataset"))


def fetch(repository: str, commit: str, patterns: Sequence[str]) -> Path:
    """A folder that holds the files of a set that fit `patterns`, at a commit. Raises DataError."""
    if repository.startswith(GITHUB):
        return _fetch_github(repository.removeprefix(GITHUB), commit, patterns)
    with _speaking(repository):
        folder = _api().snapshot_download(
            repository, repo_type="dataset", revision=commit, allow_patterns=list(patterns)
        )
    assert isinstance(folder, str)
    return Path(folder)


def upload(
    folder: Path,
    repository: str,
    *,
    private: bool,
    revision: str | None,
    message: str,
    kind: Literal["dataset", "model"] = "dataset",
) -> str:
    """Uploads a folder as a data set or model, made where there is none; the address of the commit. Raises DataError.

    An upload that was interrupted goes on when it is called again: files are known by their content, so what the Hub
    has already is not sent twice, whatever folder it lies in here.
    """
    with _speaking(repository, kind, writes=True):
        api = _api()
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repository, branch=revision, repo_type=kind, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository, folder_path=folder, repo_type=kind, revision=revision, commit_message=message
        )
    return str(done.commit_url)


def _api() -> "HfApi":
    """What speaks to the Hub; HF_TOKEN comes from the environment, where credentials puts what `.env` says."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtraError("data sets of the Hub need huggingface_hub: pip install huggingface_hub") from error
    export_hub_token()
    return HfApi()


@contextmanager
def _speaking(repository: str, kind: str = "dataset", *, writes: bool = False) -> Iterator[None]:
    """Turns what huggingface_hub raises into an error that says what to do. No message holds a token."""
    try:
        from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
        from huggingface_hub.errors import RevisionNotFoundError as NoRevisionError
    except ImportError as error:
        raise MissingExtraError("data sets of the Hub need huggingface_hub: pip install huggingface_hub") from error
    page, noun = (f"{HUB}/datasets/{repository}", "data set") if kind == "dataset" else (f"{HUB}/{repository}", kind)
    try:
        yield
    except GatedRepoError as error:
        raise DataError(
            f"{repository} is gated: sign in at {page}, accept its terms, then set HF_TOKEN to a token of that account "
            "(export it, or put HF_TOKEN=... into .env), or give its files with --local DIR"
        ) from error
    except RepositoryNotFoundError as error:
        what = "cannot be written by the account of HF_TOKEN" if writes else "is not there, or is private"
        raise DataError(f"{repository} {what} ({page}); check the name, and that HF_TOKEN may see it") from error
    except NoRevisionError as error:
        raise DataError(f"{repository} has no such revision: {_short(error)}") from error
    except HFValidationError as error:
        raise DataError(f"{repository!r} is no name of a {noun}; give owner/name: {_short(error)}") from error
    except _hub_errors() as error:
        help_ = (
            "check the network and HF_TOKEN, which must be allowed to write"
            if writes
            else "check the network, or give the files with --local DIR (`local` in a recipe)"
        )
        raise DataError(f"{repository}: the Hub cannot be used: {_short(error)}; {help_}") from error


def _hub_errors() -> tuple[type[Exception], ...]:
    """HTTP errors, no network, HF_HUB_OFFLINE, no token where one is needed.

    huggingface_hub lets the errors of its HTTP client through, which is another one from version to version.
    """
    clients = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return OSError, ValueError, *(client.HTTPError for client in clients)


def _short(error: Exception) -> str:
    lines = redact(str(error)).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _fetch_github(repository: str, commit: str, paths: Sequence[str]) -> Path:
    """The files at these very paths. They are kept under thinkscale's cache, as the Hub's are under theirs."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    folder = cache / "thinkscale" / "github" / repository.replace("/", "--") / commit
    for path in paths:
        target = folder / path
        if not target.exists():
            _download(f"{RAW}/{repository}/{commit}/{path}", target)
    return folder


def _download(address: str, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as reply:
            content = reply.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(
            f"{address} cannot be fetched: {_short(error)}; check the network, or give the files with --local DIR"
        ) from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
