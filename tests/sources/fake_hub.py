"""A Hub of folders: what thinkscale.sources.hub asks of huggingface_hub's HfApi, answered from a disk."""

import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest

from thinkscale.sources import hub

FIRST, SECOND = "a1" * 20, "b2" * 20


class FakeHub:
    """`root/owner/name/COMMIT/...` holds the files of a data set at a commit; `newest` says which is main."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.newest: dict[str, str] = {}
        self.asked: list[str] = []
        self.uploads: list[dict[str, object]] = []
        self.made: list[dict[str, object]] = []
        self.error: Exception | None = None

    def add(self, repository: str, files: dict[str, bytes], commit: str = FIRST) -> None:
        """Publishes files as the newest commit."""
        for name, content in files.items():
            path = self.root / "remote" / repository / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.newest[repository] = commit

    def _log(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    def dataset_info(self, repository: str, *, revision: str | None = None) -> SimpleNamespace:
        self._log(f"info {repository} {revision}")
        return SimpleNamespace(sha=self.newest[repository])

    def list_repo_files(self, repository: str, *, revision: str, repo_type: str) -> list[str]:
        self._log(f"list {repository} {revision}")
        assert repo_type == "dataset"
        folder = self.root / "remote" / repository / revision
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def snapshot_download(
        self, repository: str, *, repo_type: str, revision: str, allow_patterns: Sequence[str]
    ) -> str:
        self._log(f"fetch {repository} {revision}")
        assert repo_type == "dataset"
        source, target = self.root / "remote" / repository / revision, self.root / "cache" / repository / revision
        for path in source.rglob("*"):
            name = path.relative_to(source).as_posix()
            if path.is_file() and any(fnmatch(name, pattern) for pattern in allow_patterns):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / name)
        target.mkdir(parents=True, exist_ok=True)
        return str(target)

    def create_repo(self, repository: str, *, repo_type: str, private: bool, exist_ok: bool) -> None:
        self._log(f"make {repository}")
        self.made.append({"repository": repository, "private": private, "exist_ok": exist_ok, "type": repo_type})

    def create_branch(self, repository: str, *, branch: str, repo_type: str, exist_ok: bool) -> None:
        self._log(f"branch {repository} {branch}")

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, repo_type: str, revision: str | None, commit_message: str
    ) -> SimpleNamespace:
        self._log(f"upload {repo_id}")
        files = {
            path.relative_to(folder_path).as_posix(): path.read_bytes()
            for path in Path(folder_path).rglob("*")
            if path.is_file()
        }
        self.uploads.append({"repository": repo_id, "revision": revision, "message": commit_message, "files": files})
        return SimpleNamespace(commit_url=f"https://hub.test/datasets/{repo_id}/commit/{SECOND}")


@pytest.fixture
def fake_hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A Hub with nothing in it, in place of the real one."""
    made = FakeHub(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr(hub, "_api", lambda: made)
    return made
