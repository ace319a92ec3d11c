"""Opens engines by their settings. What an engine needs is imported here, when it is opened, and not before."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from thinkscale.engines.scripted import Script, ScriptedEngine, ScriptedReply
from thinkscale.engines.tokens import TokenEngine
from thinkscale.errors import MissingExtraError, ModelError
from thinkscale.keys import JSON
from thinkscale.thinking.formats import Tokenizer

LARGE_FILE_BYTES = 64 << 20


def model_path(model: str) -> str:
    """The folder of `lab`, or the name as it is: a folder or a Hub id."""
    if model == "lab":
        return str(files("thinkscale.lab") / "model")
    looks_local = model.startswith((".", "/", "~"))
    path = Path(model).expanduser()
    if looks_local and not path.is_dir():
        raise ModelError(f"there is no model folder {model}; give `lab`, a folder, or a Hub id such as Qwen/Qwen2.5-3B")
    return str(path) if path.is_dir() else model


def model_identity(model: str) -> JSON:
    """What tells this model from another of the same name: a hash of a folder's files, else the Hub id.

    Files over 64 MiB count by size and both ends, so that tens of gigabytes are not read at every start.
    """
    folder = Path(model_path(model))
    if not folder.is_dir():
        return {"hub": model}
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".jinja", ".txt", ".model", ".bin"):
            digest.update(path.name.encode())
            digest.update(_content(path))
    return {"name": Path(model).name, "files": digest.hexdigest()}


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    if size <= LARGE_FILE_BYTES:
        return path.read_bytes()
    with path.open("rb") as file:
        head = file.read(1 << 20)
        file.seek(-(1 << 20), 2)
        return size.to_bytes(8, "big") + head + file.read()


def require_local() -> None:
    """Raises MissingExtraError where what a local model needs is not installed."""
    _require("a local model", "local", ("torch", "transformers"))


def require_train() -> None:
    """Raises MissingExtraError where what training needs is not installed."""
    _require("training", "train", ("torch", "transformers", "trl", "accelerate", "datasets"))


def _require(what: str, extra: str, names: tuple[str, ...]) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f'{what} needs {", ".join(missing)}: pip install torch==2.13.0 && pip install "thinkscale[{extra}]"'
        )


def open_local(model: str, *, dtype: str, device: str, batch_size: int, cache_tokens: int | None = None) -> TokenEngine:
    """A model in this process. Raises MissingExtraError, or ModelError that says what the folder lacks."""
    require_local()
    from thinkscale.engines.local import LocalEngine

    return LocalEngine(
        model_path(model), name=model, dtype=dtype, device=device, batch_size=batch_size, cache_tokens=cache_tokens
    )


def open_tokenizer(model: str) -> Tokenizer:
    """Only the tokenizer of a model."""
    _require("a tokenizer", "local", ("transformers",))
    from thinkscale.engines.local.loading import load_tokenizer

    return load_tokenizer(model_path(model))


def _lab_teacher(prompt: str, seed: int) -> ScriptedReply:
    from thinkscale.lab.teacher import reply

    said = reply(prompt, seed)
    return ScriptedReply(thinking=said.thinking, answer_text=said.answer_text, finish=said.finish, error=said.error)


SCRIPTS: dict[str, Script] = {"lab-teacher": _lab_teacher}


def open_scripted(
    script: str,
    count_tokens: Callable[[str], int],
    *,
    replay: Path | None = None,
    tokens_per_second: float | None = None,
    concurrency: int = 64,
) -> ScriptedEngine:
    """The scripted engine that plays `script`, or the responses recorded in `replay`, counting tokens as it is told."""
    if replay is None:
        return ScriptedEngine(script, SCRIPTS[script], count_tokens, tokens_per_second, concurrency)
    from thinkscale.engines.scripted.replay import read_replay

    return ScriptedEngine(replay.name, read_replay(replay), count_tokens, tokens_per_second, concurrency)
