"""Server-sent events from bytes that were cut anywhere: pure, incremental, cheap.

Works on bytes: a line ends at an ASCII character, so a character of several bytes that was cut in two is whole
again before anything is decoded. Only `data` matters to us; names of events, ids, retry times and comments are passed
over (Anthropic's data objects carry their own `type`). Rejected: aiohttp's readline, which wakes once for each line.
"""

from thinkscale.engines.remote.failures import Failure, FailureKind

BOM = b"\xef\xbb\xbf"
MAX_EVENT_BYTES = 64 * 2**20
"""No reply of a model comes near it: a server that sends more without ending the event is broken."""


class EventReader:
    """Takes the bytes of one stream as they come, and gives the data of every event that is complete."""

    __slots__ = ("_after_return", "_at_start", "_data", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True
        self._after_return = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that `chunk` completes; the lines of one event are joined by line breaks.

        WHATWG HTML, section 9.2.6. Raises Failure MALFORMED where an event grows beyond MAX_EVENT_BYTES.
        """
        text = self._rest + self._with_plain_ends(chunk)
        if self._at_start:
            if len(text) < len(BOM) and BOM.startswith(text):
                self._rest = text
                return []
            text = text.removeprefix(BOM)
            self._at_start = False
        lines = text.split(b"\n")
        self._rest = lines.pop()
        events = self._events(lines)
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise Failure(FailureKind.MALFORMED, f"an event of more than {MAX_EVENT_BYTES >> 20} MiB")
        return events

    def end(self) -> list[bytes]:
        """What stood behind the last empty line: an event that the server did not close, or the start of one."""
        rest, self._rest = self._rest, b""
        return self._events([rest, b""])

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._size += len(line)
            elif not line and data:
                events.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
                self._size = 0
        return events

    def _with_plain_ends(self, chunk: bytes) -> bytes:
        """Every line end as a line feed; a pair cut between two chunks is still one line end."""
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_return = False
        if b"\r" not in chunk:
            self._after_return = self._after_return and not chunk
            return chunk
        self._after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
