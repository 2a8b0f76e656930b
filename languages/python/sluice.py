"""Sluice for Python: say what a plugin reads and writes, and what becomes of a message.

README.md tells how. The contract underneath is plugin.wit; the modules imported first are made of it when the
plugin is built. Python interprets, so what many messages need is done for a whole batch at once: cells that a
table takes as they came are joined before the first of its rows is asked for.
"""
import json
import uuid
from datetime import date, datetime, timedelta, timezone
from itertools import accumulate, pairwise
from struct import Struct

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log as _log, lookup as _lookup
from wit_world.imports.types import (
    Column, CqlType, Description, Field, Filtered, Lookup, Operation, Outcome, Packed, Rejection, Rows, Target, Wants)


class log:
    """The host's log: `log.info(line)` and its like."""
    trace, debug, info, warn, error = (
        staticmethod(lambda line, level=level: _log.write(level, str(line))) for level in _log.Level)


class _Refusal:
    def __init__(self, code, reason=None):
        self.code, self.reason = code, reason


def rejected(code, reason):
    """What becomes of a message that cannot be used: a dead letter, with a reason for a person."""
    return _Refusal(code, str(reason))


def filtered(code):
    """What becomes of a message that is left out on purpose."""
    return _Refusal(code)


UNSET = object()
"""In place of a value: leaves the column as it is in the table."""

_POSITIONS = uuid.uuid5(uuid.NAMESPACE_URL, "sluice:position")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_length, _count = Struct(">i"), Struct(">H")
_NULL, _LEFT = _length.pack(-1), _length.pack(-2)
# By length; the last one, at -1, is that of null.
_PREFIX = [_length.pack(length) for length in range(4096)] + [_NULL]


def _prefix(length):
    return _PREFIX[length] if length < 4096 else _length.pack(length)


def _fixed(letter, into=lambda value: value):
    struct = Struct(">" + letter)
    return lambda cell: struct.unpack(cell)[0], lambda value: struct.pack(into(value))


def _milliseconds(value):
    return (value - _EPOCH) // timedelta(milliseconds=1) if isinstance(value, datetime) else value


def _days(value):
    return (value - _EPOCH.date()).days + 2**31 if isinstance(value, date) else value + 2**31


_text, _bytes = (bytes.decode, str.encode), (lambda cell: cell, lambda value: memoryview(value).tobytes())
_days_of, _days_to = _fixed("I", _days)
_uuid = lambda cell: uuid.UUID(bytes=cell), lambda value: value.bytes
# How a cell of each type is read and written. What has no counterpart in Python stays bytes.
_KINDS = {
    "ascii": _text, "text": _text, "blob": _bytes, "boolean": _fixed("?"), "tinyint": _fixed("b"),
    "smallint": _fixed("h"), "int": _fixed("i"), "bigint": _fixed("q"), "float": _fixed("f"), "double": _fixed("d"),
    "timestamp": _fixed("q", _milliseconds), "date": (lambda cell: _days_of(cell) - 2**31, _days_to), "time": _fixed("q"),
    "uuid": _uuid, "timeuuid": _uuid, "inet": _bytes, "decimal": _bytes, "varint": _bytes, "duration": _bytes,
}


def _columns(types):
    return [Column(name, CqlType[kind.upper()]) for name, kind in types.items()]


def _cells(packed):
    """The values of a column, by message: bytes, or None."""
    block, lengths = packed.bytes, packed.lengths
    if min(lengths, default=0) >= 0:
        return [block[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
    ends = pairwise(accumulate((max(length, 0) for length in lengths), initial=0))
    return [None if length < 0 else block[start:end] for length, (start, end) in zip(lengths, ends)]


class _Source:
    """A field or a lookup: what a message has, and what a table may copy."""
    def __init__(self, name, types, is_lookup=False):
        self.name, self.columns, self.is_lookup = name, _columns(types), is_lookup
        self.readers = [(column, _KINDS[kind][0]) for column, kind in types.items()]
        self.nulls = _NULL * len(types)

    def begin(self, packed):
        self.cells, self._copies = _cells(packed), None

    def read(self, message):
        cell = self.cells[message]
        if cell is None or not self.is_lookup:
            return None if cell is None else self.readers[0][1](cell)
        values, at = {}, 0
        for column, reader in self.readers:
            length, = _length.unpack_from(cell, at)
            at += 4 + max(length, 0)
            values[column] = None if length < 0 else reader(cell[at - length:at])
        return values

    def copies(self):
        """Its cells as they stand in rows, by message."""
        if self._copies is None:
            nulls, is_lookup = self.nulls, self.is_lookup
            self._copies = [
                nulls if cell is None else cell if is_lookup else _prefix(len(cell)) + cell for cell in self.cells]
        return self._copies


class _Given:
    """A column whose value the author gives."""

    def __init__(self, name, kind):
        self.name, self.kind, self.columns, self.write = name, kind, _columns({name: kind}), _KINDS[kind][1]

    def cell(self, values):
        value = values[self.name]
        if value is None or value is UNSET:
            return _NULL if value is None else _LEFT
        try:
            cell = self.write(value)
        except Exception:
            raise TypeError(f"{value!r} is no {self.kind}, which {self.name} is") from None
        return _prefix(len(cell)) + cell


class _Table:
    def __init__(self, name, given, sources):
        given = given if isinstance(given, dict) else {"columns": given}
        self.parts = []
        for column in given["columns"]:
            self.parts += [sources[column]] if isinstance(column, str) else [_Given(*pair) for pair in column.items()]
        columns = [column for part in self.parts for column in part.columns]
        self.count = _count.pack(len(columns))
        self.target = Target(given.get("table", name), Operation[given.get("operation", "upsert").upper()], columns)

    def begin(self, count):
        """Joins neighbouring copied cells, so that a row is put together of few pieces."""
        self.rows, self.sources, self.pieces, run = [], [], [], [[self.count] * count]
        for part in self.parts + [None]:
            if isinstance(part, _Source):
                run.append(part.copies())
                continue
            if run:
                self.pieces.append(list(map(b"".join, zip(*run))) if len(run) > 1 else run[0])
                run = []
            if part:
                self.pieces.append(part)

    def row(self, message, values):
        if len(self.pieces) == 1:
            return self.pieces[0][message]
        return b"".join([
            piece[message] if type(piece) is list else piece.cell(values) for piece in self.pieces])

    def outcome(self, target):
        return Rows(target, Packed(b"".join(self.rows), list(map(len, self.rows))), self.sources)


class Message:
    """A message's fields and what lookups know of it, by name. The others are there if `wants` asks for them."""

    def __init__(self, sources):
        self._sources = sources

    def __getitem__(self, name):
        return self._sources[name].read(self.at)

    key = property(lambda self: self.keys[self.at])
    value = property(lambda self: self.values[self.at])
    time = property(lambda self: None if self.batch.timestamps[self.at] == -1 else self.batch.timestamps[self.at])
    partition = property(lambda self: self.batch.partitions[self.at])
    offset = property(lambda self: self.batch.offsets[self.at])

    def id(self, row=0):
        """An id for a row, which a replay makes again; `row` tells the rows of one message apart."""
        return uuid.uuid5(_POSITIONS, f"{self.batch.topic}/{self.partition}/{self.offset}/{row}")

    @property
    def headers(self):
        """Pairs of a name and bytes, which may be None."""
        packed, parts, at = self.packed_headers[self.at], [], 2
        for _ in range(2 * _count.unpack_from(packed)[0]):
            length, = _length.unpack_from(packed, at)
            at += 4 + max(length, 0)
            parts.append(None if length < 0 else packed[at - length:at])
        return [(name.decode(), value) for name, value in zip(parts[::2], parts[1::2])]


class _Plugin:
    def __init__(self, name, *, transform, tables, version="0.1.0", fields={}, lookups={}, codes=(), wants=()):
        self.transform, self.codes = transform, [*codes, "exception"]
        self.fields = {name: _Source(name, {name: kind.removesuffix("?")}) for name, kind in fields.items()}
        self.lookups = {name: _Source(name, given["columns"], True) for name, given in lookups.items()}
        if both := self.fields.keys() & self.lookups.keys():
            raise ValueError(f"there are two of the name {min(both)}")
        self.keys = [(given["by"], given["key"]) for given in lookups.values()]
        sources = self.fields | self.lookups
        self.tables = {name: _Table(name, given, sources) for name, given in tables.items()}
        self.message = Message(sources)
        wanted = Wants.POSITIONS
        for want in wants:
            wanted |= Wants[want.upper()]
        self.description = Description(
            name, version, [Field(*_field(name, kind)) for name, kind in fields.items()],
            [Lookup(name, _columns(given["key"])[0], _columns(given["columns"])) for name, given in lookups.items()],
            [table.target for table in self.tables.values()], self.codes, wanted)

    def run(self, batch):
        message, self.outcome, self.done = self.message, Outcome([], [], []), set()
        message.batch, message.keys, message.values = batch, _cells(batch.keys), _cells(batch.values)
        message.packed_headers = _cells(batch.headers)
        for source, packed in zip(self.fields.values(), batch.fields):
            source.begin(packed)
        for index, (source, (by, key)) in enumerate(zip(self.lookups.values(), self.keys)):
            at = None if callable(by) else list(self.fields).index(by)
            source.begin(_lookup.find(index, self.keys_of(by, key, batch.count) if at is None else batch.fields[at]))
        for table in self.tables.values():
            table.begin(batch.count)
        self.each(batch.count, self.add)
        self.outcome.rows = [table.outcome(at) for at, table in enumerate(self.tables.values()) if table.rows]
        return self.outcome

    def add(self, at):
        made = self.transform(self.message)
        if type(made) is _Refusal:
            return self.refuse(at, made)
        rows = []
        for name, values in made.items():
            if (table := self.tables.get(name)) is None:
                raise TypeError(f"{name} is no table of this plugin")
            rows += [(table, table.row(at, row)) for row in (values if type(values) is list else [values])]
        if not rows:
            raise TypeError("transform returned no row; what is left out on purpose is filtered(code)")
        for table, row in rows:
            table.rows.append(row)
            table.sources.append(at)

    def each(self, count, work):
        """Calls `work` for each message that has no outcome yet; what it raises is the message's."""
        message, done = self.message, self.done
        for at in range(count):
            if at not in done:
                message.at = at
                try:
                    work(at)
                except Exception as error:
                    reason = _told(error)
                    log.error(f"exception on {message.batch.topic}/{message.partition}/{message.offset}: {reason}")
                    self.refuse(at, rejected("exception", reason))

    def refuse(self, at, refusal):
        if refusal.code not in self.codes:
            raise ValueError(f"the code {refusal.code} is not declared")
        code = self.codes.index(refusal.code)
        if refusal.reason is None:
            self.outcome.filtered.append(Filtered(at, code))
        else:
            self.outcome.rejected.append(Rejection(at, code, refusal.reason))
        self.done.add(at)

    def keys_of(self, by, key, count):
        (_, kind), = key.items()
        keys, write = [b""] * count, _KINDS[kind][1]
        lengths = [-1] * count

        def work(at):
            value = by(self.message)
            if value is not None:
                keys[at] = write(value)
                lengths[at] = len(keys[at])
        self.each(count, work)
        return Packed(b"".join(keys), lengths)


def _field(name, kind):
    return name, CqlType[kind.removesuffix("?").upper()], kind.endswith("?")


def _told(error):
    """What an exception says, and where in the author's file it was raised."""
    place, at = "", error.__traceback__
    while at:
        if at.tb_frame.f_code.co_filename != __file__:
            place = f" ({at.tb_frame.f_code.co_filename}:{at.tb_lineno})"
        at = at.tb_next
    return f"{type(error).__name__}: {error}{place}"


def plugin(described, **parts):
    """The plugin, to be called `Transform`: its name and its parts, or a function that returns both of the
    pipeline's `[plugin.config]`: `plugin(lambda config: dict(name=...))`. What it raises refuses them."""
    made = None

    class Transform(exports.Transform):
        def init(self, config):
            nonlocal made
            try:
                settings = json.loads(config)
                if settings and not callable(described):
                    raise ValueError("this plugin has no configuration")
                made = _Plugin(**described(settings)) if callable(described) else _Plugin(described, **parts)
                return made.description
            except Exception as error:
                raise Err(_told(error))

        def transform(self, batch):
            try:
                return made.run(batch)
            except Exception as error:
                log.error(_told(error))  # what comes of it by itself is a trap without a word
                raise
    return Transform
