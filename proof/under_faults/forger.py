"""Forges a Cassandra's answers: reads the frames that pass through a proxy (native protocol, version 4)
and lets a share of the writes fail, before the server sees them or after it has applied them."""
import random
import struct
import threading

HEADER = struct.Struct(">BBhBi")
ANSWER = 0x84
EXECUTE, BATCH = 0x0A, 0x0D
ERROR = 0x00
LOCAL_ONE = 0x0A


def _text(text):
    return struct.pack(">h", len(text)) + text.encode()


def _late(kind):
    return struct.pack(">hii", LOCAL_ONE, 0, 1) + _text(kind)


# The errors: their number, and what follows their text.
ERRORS = {
    "server error": (0x0000, b""),
    "unavailable": (0x1000, struct.pack(">hii", LOCAL_ONE, 1, 0)),
    "overloaded": (0x1001, b""),
    "bootstrapping": (0x1002, b""),
    "write time-out, simple": (0x1100, _late("SIMPLE")),
    "write time-out, batch": (0x1100, _late("BATCH")),
    "unauthorized": (0x2100, b""),
    "unprepared": (0x2500, b""),
}


class Forger:
    """What is to be forged, for all connections: a share of the writes, by errors drawn from `kinds`.

    With `applied` the server gets the write and the client the error; with `lost` the client gets nothing;
    with `late` the server gets the write so many seconds later, and no error is made up."""

    def __init__(self, seed):
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.be(0.0)
        self.requests = self.forged = 0

    def be(self, share, *kinds, applied=False, lost=False, late=0.0):
        """Changes what is forged from now on."""
        self.share, self.kinds, self.applied, self.lost, self.late = share, kinds, applied, lost, late

    def __call__(self, later):
        return _Connection(self, later)

    def draw(self):
        """Counts a write; the error that it is to fail with, if it is."""
        with self.lock:
            self.requests += 1
            if self.random.random() >= self.share:
                return None
            self.forged += 1
            return self.random.choice(self.kinds or ("none",))


class _Connection:
    """The frames of one connection."""

    def __init__(self, forger, later):
        self.forger, self.later = forger, later
        self.asked, self.answered = bytearray(), bytearray()
        self.doomed = {}

    def request(self, chunk):
        """What the client says: onward to the server, and back to the client."""
        onward, back = bytearray(), bytearray()
        for header, frame in _frames(self.asked, chunk):
            _version, _flags, stream, opcode, _size = header
            kind = self.forger.draw() if opcode in (EXECUTE, BATCH) else None
            if kind is None:
                self.doomed.pop(stream, None)
                onward += frame
            elif self.forger.late:
                self.later(self.forger.late, frame)
            elif self.forger.applied or self.forger.lost:
                self.doomed[stream] = None if self.forger.lost else _error(stream, kind, frame)
                onward += frame
            else:
                back += _error(stream, kind, frame)
        return bytes(onward), bytes(back)

    def answer(self, chunk):
        """What the server says: onward to the client, and back to the server."""
        onward = bytearray()
        for header, frame in _frames(self.answered, chunk):
            stream = header[2]
            if stream in self.doomed:
                onward += self.doomed.pop(stream) or b""
            else:
                onward += frame
        return bytes(onward), b""


def _frames(kept, chunk):
    """The whole frames, with their headers; the rest is kept."""
    kept += chunk
    while len(kept) >= HEADER.size:
        header = HEADER.unpack_from(kept)
        size = HEADER.size + header[4]
        if len(kept) < size:
            return
        frame = bytes(kept[:size])
        del kept[:size]
        yield header, frame


def _error(stream, kind, frame):
    number, rest = ERRORS[kind]
    if kind == "unprepared":
        # The statement's id: what an EXECUTE begins with, and in a BATCH what its first query is.
        at = HEADER.size + (0 if frame[4] == EXECUTE else 4)
        size = struct.unpack_from(">h", frame, at)[0]
        rest = frame[at : at + 2 + size]
    body = struct.pack(">i", number) + _text("forged by the proof") + rest
    return HEADER.pack(ANSWER, 0, stream, ERROR, len(body)) + body
