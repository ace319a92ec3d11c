"""`thinkscale rehearse` serves until it is told to stop, then says what it served."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from thinkscale.commands.rehearse import RehearseOptions, rehearse
from thinkscale.errors import ConfigError


def test_it_serves_recorded_responses_until_it_is_stopped(tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl"
    traces.write_text(json.dumps({"question": "Why?", "thinking": "hm", "answer": "so"}) + "\n")
    command = [sys.executable, "-m", "thinkscale", "rehearse", str(traces), "--fault", "stall=0", "--capacity", "4"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "1 responses to 1 questions" in process.stderr.readline()
            told = process.stderr.readline()
            url = told.split()[2]
            assert f"thinkscale generate PROBLEMS --endpoint {url}" in process.stderr.readline()
            body = {"model": "m", "messages": [{"role": "user", "content": "Why?"}]}
            message = httpx.post(f"{url}/chat/completions", json=body).json()["choices"][0]["message"]
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
        finally:
            process.kill()
    assert message == {"role": "assistant", "content": "so", "reasoning_content": "hm"}
    assert process.returncode == 0
    assert "served 1 requests in 1 attempts (1 done)" in rest


def test_what_is_played_must_be_named_once() -> None:
    with pytest.raises(ConfigError, match="either a table of recorded responses or --script"):
        rehearse(RehearseOptions())
    with pytest.raises(ConfigError, match="there is no script 'x'; there are lab-teacher"):
        rehearse(RehearseOptions(script="x"))
