"""Wire data: hostile data makes an error, never an object, a hang or a recursion."""

import json
import random
import time
from collections.abc import Callable

import pytest

from thinkscale.keys import JSON
from thinkscale.sandbox import programs
from thinkscale.sandbox.inside import decoding
from thinkscale.sandbox.inside.decoding import MAX_DEQUES, MAX_HASHED, decode
from thinkscale.sandbox.inside.frames import LENGTHS, MAX_HEADER, unpack
from thinkscale.sandbox.inside.wire import MAX_ITEMS, Opaque, WireError, encode, is_bounded
from thinkscale.sandbox.programs import from_wire


class Pair:
    def __init__(self, left: object, right: object) -> None:
        self.left = left
        self.right = right


class Guarded:
    def __init__(self) -> None:
        raise AssertionError("never made by its own code")

    def __setattr__(self, name: str, value: object) -> None:
        raise AssertionError("never set by its own code")


def test_instances_of_shared_classes_cross_by_their_attributes() -> None:
    ring = Pair(1, None)
    ring.right = Pair((ring, 2), [ring])
    found = decode(json.loads(json.dumps(encode(ring, classes=["Pair"]))), classes={"Pair": Pair})
    assert isinstance(found, Pair)
    assert isinstance(found.right, Pair)
    assert found.right.left == (found, 2)
    assert found.right.right == [found]


def test_instances_of_other_classes_stay() -> None:
    kept: list[object] = []
    thing = Pair(1, 2)
    wire = encode([thing, thing], handle_of=lambda value: kept.append(value) or len(kept))  # type: ignore[func-returns-value]
    found = decode(wire)
    assert kept == [thing]
    assert isinstance(found, list)
    assert isinstance(found[0], Opaque)
    assert (found[0].handle, found[0].kind) == (1, "Pair")
    assert found[0] is found[1]


def test_no_code_of_a_class_runs_while_decoding() -> None:
    found = decode({"v": [0], "n": [["o", "Guarded", "x", 1]]}, classes={"Guarded": Guarded})
    assert isinstance(found, Guarded)
    assert vars(found) == {"x": 1}


def test_attributes_are_there_before_an_instance_is_hashed() -> None:
    class Key:
        def __init__(self, name: str) -> None:
            self.name = name

        def __hash__(self) -> int:
            return hash(self.name)

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and other.name == self.name

    found = decode(encode({frozenset({Key("a")}): {Key("b")}}, classes=["Key"]), classes={"Key": Key})
    assert found == {frozenset({Key("a")}): {Key("b")}}


MALFORMED: list[object] = [
    None,
    5,
    [],
    {},
    {"v": 1},
    {"v": 1, "n": [], "x": 1},
    {"v": 1, "n": 5},
    {"v": [0], "n": []},
    {"v": [-1], "n": [["l"]]},
    {"v": {}, "n": []},
    {"v": [0, 0], "n": [["l"]]},
    {"v": ["a"], "n": [["l"]]},
    {"v": [0], "n": [[]]},
    {"v": [0], "n": [5]},
    {"v": [0], "n": [["?"]]},
    {"v": [0], "n": [["i", "zz"]]},
    {"v": [0], "n": [["i"]]},
    {"v": [0], "n": [["d", 1]]},
    {"v": [0], "n": [["d", [0], 1]]},
    {"v": [0], "n": [["s", [1]], ["l"]]},
    {"v": [0], "n": [["t", [0]]]},
    {"v": [0], "n": [["t", [1]], ["t", [0]]]},
    {"v": [0], "n": [["o", "Pair", "x", 1]]},
    {"v": [0], "n": [["o", "Pair", 1]]},
    {"v": [0], "n": [["F", "0x1", "0x0"]]},
    {"v": [0], "n": [["D", "many"]]},
    {"v": [0], "n": [["b", "\u00e9"]]},
    {"v": [0], "n": [["h", 1.5, "x"]]},
    {"v": [0], "n": [["r", "0x0", "0x1", "0x0"]]},
    {"v": [0], "n": [["x", "eval"]]},
    {"v": [0], "n": [[["l"], 1]]},
    {"v": [0], "n": [["l", {"a": 1}]]},
    {"v": [0], "n": [["s", [1]], ["D", "sNaN"]]},
    {"v": [0], "n": [["D", "sNaN"]]},
    {"v": 1 << 63, "n": []},
    {"v": [0], "n": [["l", -(1 << 63)]]},
]


@pytest.mark.parametrize("wire", MALFORMED, ids=str)
def test_malformed_data_is_an_error(wire: object) -> None:
    with pytest.raises(WireError):
        decode(wire)


def test_keys_that_can_be_made_to_collide_are_counted() -> None:
    modulus = 2**61 - 1
    many = [["i", hex(modulus * index)] for index in range(1, MAX_HASHED + 2)]
    with pytest.raises(WireError, match="keys"):
        decode({"v": [0], "n": [["s", *([index] for index in range(1, len(many) + 1))], *many]})


def hostile_fraction() -> object:
    """Its greatest common divisor takes hours, and no signal ends that."""
    return {"v": [0], "n": [["F", "0x" + "f" * 4_000_000, "0x" + "d" * 3_999_999]]}


def numbers_that_collide() -> object:
    """The slots of a dictionary of 2**18 in the order in which they are tried, then numbers that try them all."""
    taken = [1]
    while len(taken) < 80_000:
        taken.append((5 * taken[-1] + 1) % (1 << 18))
    draw = random.Random(0)
    others = [draw.randrange(1 << 18, 1 << 22) for _ in range(80_000)]
    return {"v": [0], "n": [["d", *(part for key in (*taken, *others) for part in (key, 0))]]}


def many_deques() -> object:
    return {"v": [0], "n": [["l"], *(["q"] for _ in range(MAX_DEQUES + 1))]}


def many_nodes() -> object:
    return {"v": [0], "n": [["l"]] * (MAX_ITEMS + 1)}


@pytest.mark.parametrize("wire", [hostile_fraction, numbers_that_collide, many_deques, many_nodes])
def test_what_would_take_the_reader_for_ever_is_refused_soon(
    wire: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "HASHING_SECONDS", 0.3)
    data = wire()
    before = time.process_time()
    with pytest.raises(WireError):
        decode(data)
    assert time.process_time() - before < 5


DOUBLED = {"v": [59], "n": [["l"], *(["l", [index], [index]] for index in range(59))]}
EACH_HOLDS_ALL = {"v": [0], "n": [["l", *([index] for index in range(30))] for _ in range(30)]}


@pytest.mark.parametrize("wire", [DOUBLED, EACH_HOLDS_ALL], ids=["doubled", "each holds all"])
def test_what_could_not_be_written_out_is_refused(wire: JSON, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MAX_WRITTEN", 300_000)
    assert isinstance(decode(wire), list)
    with pytest.raises(WireError, match="written out"):
        from_wire(wire)


def test_many_honest_keys_are_read() -> None:
    honest = set(range(0, 100_000 * 4096, 4096))
    assert decode(encode(honest)) == honest


def test_a_frame_with_a_long_header_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="short"):
        unpack(LENGTHS.pack(MAX_HEADER + 1, 0))


def test_too_many_items_are_refused_on_the_way_out() -> None:
    with pytest.raises(WireError, match="too many"):
        encode([[0] * 50, [1] * 60], max_items=100)
    assert is_bounded(json.dumps(encode([[0] * 50, [1] * 60])).encode())
    assert not is_bounded(b"[],[]," * 2_000_000)


def test_a_chain_of_tuples_twenty_thousand_long_crosses() -> None:
    chain: tuple[object, ...] = ()
    for number in range(20_000):
        chain = (number, chain)
    found = decode(encode(chain))
    for number in reversed(range(20_000)):
        assert isinstance(found, tuple)
        assert found[0] == number
        found = found[1]
    assert found == ()
