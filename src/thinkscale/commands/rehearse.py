"""`thinkscale rehearse`: a server on loopback that answers from recorded responses, to try out a run before it."""

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.engines.catalogue import SCRIPTS, open_tokenizer
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.replay import Unknown, read_replay
from thinkscale.engines.scripted.script import Script
from thinkscale.errors import ConfigError

if TYPE_CHECKING:
    from thinkscale.engines.scripted.server import ReplayServer


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseOptions:
    """What is played, and how the server behaves. One of `traces` and `script` is given."""

    traces: Path | None = None
    """A table of recorded responses."""
    problems: Path | None = None
    """The table that `traces` names its problems in, where it has no question of its own."""
    script: str | None = None
    """A script that ships with thinkscale."""
    unknown: Unknown = Unknown.ANY
    tokenizer: str | None = None
    """`lab`, a model folder or a Hub id; needed for prompts of token ids and exact counts."""
    thinking_format: str | None = None
    server: ServerOptions = field(default_factory=ServerOptions)


def rehearse(options: RehearseOptions) -> str:
    """Serves until Ctrl-C or SIGTERM; returns what was served, for a person.

    The address and a command that uses it go to standard error. Raises ConfigError, DataError, ModelError, and
    EngineError where the port is taken.
    """
    name, script = _script(options)
    from thinkscale.engines.scripted.backend import ScriptedBackend
    from thinkscale.engines.scripted.server import ReplayServer

    tokenizer = open_tokenizer(options.tokenizer) if options.tokenizer else None
    backend = ScriptedBackend(script, name=name, tokenizer=tokenizer, thinking_format=options.thinking_format)
    server = ReplayServer(backend, options.server)
    asyncio.run(_until_stopped(server))
    return server.log.summary()


def _script(options: RehearseOptions) -> tuple[str, Script]:
    if (options.traces is None) == (options.script is None):
        raise ConfigError("give either a table of recorded responses or --script, and not both")
    if options.script is not None:
        if options.script not in SCRIPTS:
            raise ConfigError(f"there is no script {options.script!r}; there are {', '.join(SCRIPTS)}")
        return options.script, SCRIPTS[options.script]
    assert options.traces is not None
    replay = read_replay(options.traces, problems=options.problems, unknown=options.unknown)
    sys.stderr.write(f"{replay.num_replies:,} responses to {replay.num_questions:,} questions from {options.traces}\n")
    return options.traces.name.split(".")[0], replay


async def _until_stopped(server: "ReplayServer") -> None:
    from thinkscale.engines.scripted.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(server, stop, lambda: sys.stderr.write(_invitation(server)))


def _invitation(server: "ReplayServer") -> str:
    return (
        f"rehearsing on {server.url} as model {server.service.backend.name}; Ctrl-C ends it. For instance:\n"
        f"  thinkscale generate PROBLEMS --endpoint {server.url} "
        f"--model {server.service.backend.name} --out responses.jsonl\n"
    )
