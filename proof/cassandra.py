"""Asks Cassandra over its native protocol (version 4), with nothing but the standard library.

Cells come back as the bytes they are: comparing those is stricter than comparing what they mean.
"""
import socket
import struct

from expected import Row

ERROR, READY, RESULT = 0x00, 0x02, 0x08
ROWS = 2
HAS_MORE_PAGES, GLOBAL_TABLE = 0x02, 0x01
HAS_WARNINGS = 0x08
LOCAL_ONE = 0x0A
PAGE_ROWS = 5000


class Cassandra:
    """A connection."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 30)
        self.socket.settimeout(120)
        key, value = b"CQL_VERSION", b"3.0.0"
        body = struct.pack(">hh", 1, len(key)) + key + struct.pack(">h", len(value)) + value
        opcode, answer = self._ask(0x01, body)
        if opcode != READY:
            raise OSError(f"Cassandra wants more than a greeting: {answer[:200]!r}")

    def _receive(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise OSError("Cassandra closed the connection")
            parts += part
        return bytes(parts)

    def _ask(self, opcode, body):
        self.socket.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
        _version, flags, _stream, opcode, size = struct.unpack(">BBhBi", self._receive(9))
        answer = self._receive(size)
        if flags & HAS_WARNINGS:
            answer = _without_warnings(answer)
        if opcode == ERROR:
            code, length = struct.unpack_from(">ih", answer)
            raise OSError(f"Cassandra: {answer[6:6 + length].decode()} (0x{code:04x})")
        return opcode, answer

    def run(self, statement):
        """Runs a statement that answers nothing."""
        for _ in self.rows(statement):
            pass

    def table(self, name, table):
        """The rows of a table."""
        columns = [column for column, _ in table.columns]
        columns += [f"WRITETIME({column})" for column in columns[table.key :]]
        cells, time = len(table.columns), struct.Struct(">q").unpack
        for row in self.rows(f"SELECT {', '.join(columns)} FROM {name}"):
            times = tuple(None if written is None else time(written)[0] for written in row[cells:])
            yield Row(row[:cells], times)

    def rows(self, statement):
        """The rows of a query, each a tuple of cells: bytes, or None."""
        text, page = statement.encode(), None
        while True:
            flags = 0x04 | (0x08 if page is not None else 0)
            body = struct.pack(">i", len(text)) + text + struct.pack(">HBi", LOCAL_ONE, flags, PAGE_ROWS)
            if page is not None:
                body += struct.pack(">i", len(page)) + page
            _opcode, answer = self._ask(0x07, body)
            if struct.unpack_from(">i", answer)[0] != ROWS:
                return
            page, columns, at = _columns(answer)
            count = struct.unpack_from(">i", answer, at)[0]
            at += 4
            length_of = struct.Struct(">i").unpack_from
            for _ in range(count):
                row = []
                for _ in range(columns):
                    length = length_of(answer, at)[0]
                    at += 4
                    if length < 0:
                        row.append(None)
                    else:
                        row.append(answer[at : at + length])
                        at += length
                yield tuple(row)
            if page is None:
                return


def _without_warnings(answer):
    """What follows the list of texts that an answer may begin with."""
    at = 2
    for _ in range(struct.unpack_from(">H", answer)[0]):
        at += 2 + struct.unpack_from(">H", answer, at)[0]
    return answer[at:]


def _columns(answer):
    """The next page's mark, the number of columns, and where the rows begin."""
    flags, columns = struct.unpack_from(">ii", answer, 4)
    at, page = 12, None
    if flags & HAS_MORE_PAGES:
        length = struct.unpack_from(">i", answer, at)[0]
        page = answer[at + 4 : at + 4 + length]
        at += 4 + length

    def skip_text(at):
        return at + 2 + struct.unpack_from(">H", answer, at)[0]

    if flags & GLOBAL_TABLE:
        at = skip_text(skip_text(at))
    for _ in range(columns):
        if not flags & GLOBAL_TABLE:
            at = skip_text(skip_text(at))
        at = skip_text(at)
        kind = struct.unpack_from(">H", answer, at)[0]
        if kind >= 0x20 or kind == 0:
            raise ValueError("collections and custom types are not read here")
        at += 2
    return page, columns, at
