"""Cells as Cassandra encodes them: of values, of a CSV file's texts, and of what SQLite stores.

Everything is compared as these bytes; None is NULL. How SQLite stores a cell is part of what is proved:
text, dates (`2026-03-02`) and UUIDs (lower case, with dashes) as TEXT; whole numbers and timestamps
(milliseconds) as INTEGER; a float as the REAL that it widens to. A cell stored in another way comes out
as something that equals no cell.
"""
import datetime
import re
import struct
import uuid
from typing import Callable, NamedTuple

EPOCH = datetime.date(1970, 1, 1)
WHOLE = re.compile(r"[+-]?[0-9]+")
FIGURE = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Type(NamedTuple):
    name: str
    of_value: Callable  # a Python value
    of_text: Callable  # a CSV cell; ValueError or struct.error if it is none of the type
    of_stored: Callable  # what Python's sqlite3 answers


def _strictly(pattern, make):
    def read(text):
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} does not match {pattern.pattern}")
        return make(text)

    return read


def _stored(kind, make):
    """A cell of what SQLite stores, if it is of the one Python type."""
    def cell(stored):
        if stored is None:
            return None
        return make(stored) if type(stored) is kind else ("stored as", type(stored).__name__, stored)

    return cell


def _days(text):
    return struct.pack(">I", (datetime.date.fromisoformat(text) - EPOCH).days + (1 << 31))


def _whole(name, layout):
    pack = struct.Struct(">" + layout).pack
    return Type(name, pack, _strictly(WHOLE, lambda text: pack(int(text))), _stored(int, pack))


def _narrowed(stored):
    cell = struct.pack(">f", stored)
    return cell if struct.unpack(">f", cell)[0] == stored else ("more than a float", stored)


def _id(stored):
    cell = uuid.UUID(stored).bytes
    return cell if str(uuid.UUID(bytes=cell)) == stored else ("another spelling", stored)


TEXT = Type("text", str.encode, str.encode, _stored(str, str.encode))
TINYINT = _whole("tinyint", "b")
INT = _whole("int", "i")
TIMESTAMP = _whole("timestamp", "q")
FLOAT = Type(
    "float", struct.Struct(">f").pack, _strictly(FIGURE, lambda text: struct.pack(">f", float(text))),
    _stored(float, _narrowed),
)
DATE = Type("date", lambda day: _days(day.isoformat()), _strictly(DAY, _days), _stored(str, _strictly(DAY, _days)))
UUID = Type("uuid", lambda id: id.bytes, lambda text: uuid.UUID(text).bytes, _stored(str, _id))
