"""What an OpenAI-compatible server says of itself: its version, and whether its kernels are batch-invariant.

vLLM gives its version at /version, and in development mode (VLLM_SERVER_DEV_MODE=1) its settings and environment at
/server_info, VLLM_BATCH_INVARIANT among them. Both are asked without a key; what is not said is `unknown`, and no
failure here is one of the run.
"""

import json
from collections.abc import Iterator
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

UNKNOWN = "unknown"
BATCH_INVARIANT = "VLLM_BATCH_INVARIANT"
ASKED = {"dtype": "dtype", "attention": "attention_backend"}
"""Our name to the server's, in its settings."""
_SECONDS = 3.0
_MOST_BYTES = 1 << 20


def server_facts(endpoint: str) -> dict[str, str]:
    """Facts by name, each a short text. Never raises."""
    facts = {"batch_invariant": UNKNOWN, "server": UNKNOWN, **dict.fromkeys(ASKED, UNKNOWN)}
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https"):
        return facts
    root = f"{parts.scheme}://{parts.netloc}"
    version = _json(f"{root}/version")
    if isinstance(version, dict) and isinstance(version.get("version"), str):
        facts["server"] = f"vllm {version['version']}"
    told = dict(_leaves(_json(f"{root}/server_info?config_format=json")))
    if BATCH_INVARIANT in told:
        facts["batch_invariant"] = "off" if told[BATCH_INVARIANT].lower() in ("0", "false", "none", "") else "on"
    for ours, theirs in ASKED.items():
        facts[ours] = told.get(theirs, UNKNOWN)[:80]
    return facts


def _json(url: str) -> object:
    opener = build_opener() if url.startswith("https") else build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SECONDS) as reply:
            value: object = json.loads(reply.read(_MOST_BYTES))
            return value
    except (URLError, OSError, ValueError):  # no such page, no answer, or no JSON: the server does not say
        return None


def _leaves(value: object) -> Iterator[tuple[str, str]]:
    """Every named plain value at any depth; a name that comes twice counts as it stands last."""
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, (str, int, float)):
                yield str(name), str(item)
            else:
                yield from _leaves(item)
