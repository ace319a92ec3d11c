"""Keys are found where the user put them, and no text ever shows one."""

import base64
import copy
import json
import logging
import os
import pickle
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from thinkscale import credentials
from thinkscale.credentials import ApiKey, Secret, export_hub_token, exposure_warnings, find_keys, origins, redact
from thinkscale.errors import ConfigError, DataError, EncodingError
from thinkscale.keys import content_key

VALUE = "q7Zp/9+xK==vb8TnW4"
OTHER = "mLk3-Zz91-ppQ0"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder, an environment without keys, and nothing found yet."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("HF_TOKEN", "HF_USERNAME", "OPENAI", "ANTHROPIC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(credentials, "_found", set())


def found(variable: str = "OPENAI_API_KEY", file: Path | None = None) -> list[tuple[str, str, str]]:
    return [(key.name, key.secret.reveal(), key.origin) for key in find_keys(variable, file)]


def test_a_variable_its_numbered_kin_and_lists_in_the_order_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_10", "k-ten")
    monkeypatch.setenv("OPENAI_API_KEY_2", "k-two")
    monkeypatch.setenv("OPENAI_API_KEY", " k-one , k-one-b,")
    monkeypatch.setenv("OPENAI_API_KEY_OLD", "k-old")
    assert found() == [
        ("OPENAI_API_KEY", "k-one", "environment"),
        ("OPENAI_API_KEY:2", "k-one-b", "environment"),
        ("OPENAI_API_KEY_2", "k-two", "environment"),
        ("OPENAI_API_KEY_10", "k-ten", "environment"),
    ]


def test_the_environment_wins_over_dotenv_name_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text('OPENAI_API_KEY="from-file"\nexport OPENAI_API_KEY_2=a$b${HOME}\nOTHER=1\n')
    assert found() == [
        ("OPENAI_API_KEY", "from-file", ".env"),
        ("OPENAI_API_KEY_2", "a$b${HOME}", ".env"),
    ]
    monkeypatch.setenv("OPENAI_API_KEY", "from-shell")
    assert [key[1:] for key in found()] == [("from-shell", "environment"), ("a$b${HOME}", ".env")]
    assert origins("OPENAI_API_KEY") == {"OPENAI_API_KEY": "environment", "OPENAI_API_KEY_2": ".env"}
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert [key[0] for key in found()] == ["OPENAI_API_KEY_2"]
    assert origins("OPENAI_API_KEY") == {"OPENAI_API_KEY_2": ".env"}


def test_a_file_of_keys_names_them_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    file = tmp_path / "keys.txt"
    file.write_text("# the team's\n\nkey-one  # of Ann\nkey#two\n key-one\n")
    assert found(file=file) == [("keys.txt:3", "key-one", "keys.txt"), ("keys.txt:4", "key#two", "keys.txt")]


def test_no_key_says_how_to_set_one() -> None:
    with pytest.raises(ConfigError) as raised:
        find_keys("OPENAI_API_KEY")
    for part in ("OPENAI_API_KEY is not set", ".env", "OPENAI_API_KEY_2", "file with one key on each line"):
        assert part in str(raised.value)


@pytest.mark.parametrize("value", [f"{VALUE} {OTHER}", f"{VALUE}\u00e9", f"{VALUE}\x07"])
def test_a_value_that_cannot_be_a_key_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_2", value)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY_2") as raised:
        find_keys("OPENAI_API_KEY")
    assert VALUE not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# nothing\n", "there is no key in it"),
        (b"OPENAI_API_KEY=" + VALUE.encode(), "keys.txt:1: this is NAME=value"),
        (VALUE.encode() + b"\xff\xfe", "not UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_of_keys_is_refused_without_showing_it(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "keys.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        find_keys("OPENAI_API_KEY", file)
    assert VALUE not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__cause__ is None


def test_a_dotenv_that_is_no_text_is_refused_without_showing_it() -> None:
    Path(".env").write_bytes(b"OPENAI_API_KEY=" + VALUE.encode() + b"\xff\n")
    with pytest.raises(DataError, match="not UTF-8") as raised:
        find_keys("OPENAI_API_KEY")
    assert VALUE not in "".join(traceback.format_exception(raised.value))


@dataclass(frozen=True)
class Holder:
    key: ApiKey


def test_no_text_made_of_a_key_shows_its_value(caplog: pytest.LogCaptureFixture) -> None:
    key = ApiKey(name="OPENAI_API_KEY", secret=Secret(VALUE), origin="environment")
    logging.getLogger("test").warning("%s %r", key, key.secret)
    texts = [
        repr(key), str(key), f"{key.secret}", f"{key.secret:>10}", str(key.secret), repr(Holder(key)),
        str(asdict(Holder(key))), repr([key.secret]), str(ValueError(key.secret)), caplog.text,
    ]  # fmt: skip
    for text in texts:
        assert "***" in text
        assert VALUE not in text
    assert not hasattr(key.secret, "__dict__")


def test_a_key_gets_into_no_pickle_no_json_and_no_content_key() -> None:
    key = ApiKey(name="OPENAI_API_KEY", secret=Secret(VALUE))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(key, protocol)
    with pytest.raises(TypeError):
        json.dumps(key.secret)
    with pytest.raises(EncodingError) as raised:
        content_key(key)
    assert VALUE not in str(raised.value)
    assert copy.deepcopy(key) == key
    assert hash(Secret(VALUE)) == hash(key.secret)
    assert key.secret != Secret(OTHER)


def test_redact_finds_every_spelling_of_a_key_that_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f"{VALUE},{OTHER}")
    find_keys("MY_KEY")
    quoted = 'with"quote\\and' + OTHER
    monkeypatch.setenv("MY_KEY", quoted)
    find_keys("MY_KEY")
    for value in (VALUE, OTHER, quoted):
        for spelling in (value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value), repr(value)):
            shown = redact(f"before {spelling} after")
            assert shown.replace('"', "").replace("'", "") == "before *** after"


@pytest.mark.parametrize("user", ["", "u", "us", "user:", "a-long-user-name:"])
def test_redact_finds_a_key_within_base64(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", VALUE)
    header = base64.b64encode(f"{user}{VALUE}:x".encode()).decode()
    safe = base64.urlsafe_b64encode(f"{user}{VALUE}".encode()).decode()
    for text in (header, safe):
        shown = redact(f"<{text}>")
        assert "***" in shown
        remains, rest = shown.strip("<>").split("***")
        # What is left is the user's part before it, and the password behind it.
        assert base64.b64decode(remains + "=" * (-len(remains) % 4)).decode() in user
        assert rest in ("", "eA==")
    assert redact(f"Authorization: Basic {header}").startswith("Authorization: Basic ***")


def test_redact_knows_what_is_set_even_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redact(f"x {OTHER}") == f"x {OTHER}"
    monkeypatch.setenv("ANTHROPIC_API_KEY_3", OTHER)
    assert redact(f"x {OTHER}") == "x ***"


def test_redact_keeps_short_values_and_names_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    monkeypatch.setenv("HF_USERNAME", "ann-of-the-lab")
    assert [key.secret.reveal() for key in find_keys("OPENAI_API_KEY")] == ["EMPTY"]
    assert origins("HF_USERNAME") == {"HF_USERNAME": "environment"}
    assert redact("EMPTY ann-of-the-lab") == "EMPTY ann-of-the-lab"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-proj-Ab12_cd34-Ef56 is wrong", "key *** is wrong"),
        ("key sk-ant-api03-abcdefgh.", "key ***."),
        ("provided: sk-abcd********wxyz.", "provided: ***."),
        ("token hf_abcdefghijklmnopqrst", "token ***"),
        ("authorization: Bearer abc.def-ghi", "authorization: Bearer ***"),
        ("{'x-api-key': 'abcdefghij'}", "{'x-api-key': '***'}"),
        ("a task-oriented-benchmark, hf_hub_download, bearer of news, Basic understanding", None),
        ("", None),
    ],
)
def test_redact_blanks_what_looks_like_a_key(text: str, shown: str | None) -> None:
    assert redact(text) == (text if shown is None else shown)


def test_the_hub_token_of_dotenv_is_exported_unless_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "placeholder")  # so that the variable is put back after the test
    monkeypatch.delenv("HF_TOKEN")
    assert not export_hub_token()
    assert "HF_TOKEN" not in os.environ
    Path(".env").write_text(f"HF_TOKEN={OTHER}\n")
    assert export_hub_token()
    assert os.environ["HF_TOKEN"] == OTHER
    monkeypatch.setenv("HF_TOKEN", VALUE)
    assert export_hub_token()
    assert os.environ["HF_TOKEN"] == VALUE
    assert redact(f"{OTHER} {VALUE}") == "*** ***"


def test_files_that_others_can_read_are_named(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(VALUE)
    file.chmod(0o640)
    Path(".env").write_text("")
    Path(".env").chmod(0o600)
    (warning,) = exposure_warnings(file)
    assert f"chmod 600 {file}" in warning
    file.chmod(0o600)
    assert exposure_warnings(file) == exposure_warnings() == ()
    Path(".env").chmod(0o644)
    assert len(exposure_warnings()) == 1
