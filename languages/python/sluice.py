"""Sluice for Python: say what a plugin reads and writes, and what becomes of a message.

README.md tells how. The contract underneath is plugin.wit; the modules imported first are made of it when the
plugin is built. Python interprets, so what many messages need is done for a whole batch at once: a table's rows
are put together, column by column, when all messages have been through `transform`.
"""
import json
import re
import uuid
from datetime import date, datetime, timedelta, timezone
from io import BytesIO
from itertools import repeat
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

# Where the author's files are, by the number of their folder; of those of Python itself none is named.
_OWN = re.compile(r"/\d+/(.+)")
# A plugin's end is that of its message, too.
_CAUGHT = Exception, SystemExit
_POSITIONS = uuid.uuid5(uuid.NAMESPACE_URL, "sluice:position")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_length, _count = Struct(">i"), Struct(">H")


class _Prefixes(dict):
    """What stands in front of a cell in a row, by the cell's length."""

    def __missing__(self, length):
        return self.setdefault(length, _length.pack(length)) if length < 4096 else _length.pack(length)


_PREFIX = _Prefixes()
_NULL, _LEFT = _PREFIX[-1], _PREFIX[-2]


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


def _written(value, kind, name):
    try:
        return _KINDS[kind][1](value)
    except Exception:
        raise TypeError(f"{value!r} is no {kind}, which {name} is") from None


def _cells(packed, null=None):
    """The values of a column, by message: bytes, or `null`. They are cut one by one, as they are asked for."""
    lengths, read = packed.lengths, BytesIO(packed.bytes).read
    if sum(lengths) == len(packed.bytes):  # there is no -1
        return map(read, lengths)
    return (null if length < 0 else read(length) for length in lengths)


class _Source:
    """A field or a lookup: what a message has, and what a table may copy."""
    def __init__(self, name, types, is_lookup=False):
        self.name, self.columns, self.is_lookup = name, _columns(types), is_lookup
        self.readers = [(column, _KINDS[kind][0]) for column, kind in types.items()]
        self.null = _NULL * len(types) if is_lookup else b""

    def begin(self, packed):
        self.packed, self.cells = packed, None

    def read(self, message):
        if self.cells is None:
            self.cells = list(_cells(self.packed))
        cell = self.cells[message]
        if cell is None or not self.is_lookup:
            return None if cell is None else self.readers[0][1](cell)
        values, at = {}, 0
        for column, reader in self.readers:
            length, = _length.unpack_from(cell, at)
            at += 4 + max(length, 0)
            values[column] = None if length < 0 else reader(cell[at - length:at])
        return values

    def columns_of(self, pick):
        """What stands in rows of it, one after another: pieces, by row."""
        prefixes = [] if self.is_lookup else [map(_PREFIX.__getitem__, self.packed.lengths)]
        return map(pick, [*prefixes, _cells(self.packed, self.null)])


class _Given:
    """A column whose value the author gives."""

    def __init__(self, name, kind):
        self.name, self.kind, self.columns = name, kind, _columns({name: kind})

    def add(self, values):
        try:
            value = values[self.name]
        except KeyError:
            raise TypeError(f"no value for the column {self.name}") from None
        if value is None or value is UNSET:
            return self.cells.append(_NULL if value is None else _LEFT)
        cell = _written(value, self.kind, self.name)
        self.cells.append(_PREFIX[len(cell)] + cell)

    def columns_of(self, _):
        return [self.cells]


class _Table:
    def __init__(self, name, described, sources):
        described = described if isinstance(described, dict) else {"columns": described}
        self.name, self.parts = name, []
        for column in described["columns"]:
            self.parts += [sources[column]] if isinstance(column, str) else [_Given(*pair) for pair in column.items()]
        self.given = [part for part in self.parts if isinstance(part, _Given)]
        self.most = len(self.given)
        columns = [column for part in self.parts for column in part.columns]
        self.count = _count.pack(len(columns))
        operation = Operation[described.get("operation", "upsert").upper()]
        self.target = Target(described.get("table", name), operation, columns)

    def begin(self):
        self.sources = []
        for part in self.given:
            part.cells = []

    def refuse(self, values):
        unknown = values.keys() - {part.name for part in self.given}
        raise TypeError(f"{self.name} has no column {min(unknown)} that a row gives")

    def remove(self, message):
        """Takes back the rows of the message that was last, and what was written of one more."""
        while self.sources and self.sources[-1] == message:
            self.sources.pop()
        for part in self.given:
            del part.cells[len(self.sources):]

    def outcome(self, target, messages):
        sources = self.sources
        pick = iter if sources == messages else lambda pieces: map(list(pieces).__getitem__, sources)
        columns = [column for part in self.parts for column in part.columns_of(pick)]
        rows = list(map(b"".join, zip(repeat(self.count), *columns)))
        return Rows(target, Packed(b"".join(rows), list(map(len, rows))), sources)


class Message:
    """A message's fields and what lookups know of it, by name. The others are there if `wants` asks for them."""

    def __init__(self, sources):
        self._sources = sources

    def __getitem__(self, name):
        return self._sources[name].read(self.at)

    key = property(lambda self: self.keys[self.at])
    value = property(lambda self: self.values[self.at])
    time = property(lambda self: None if self.batch.timestamps[self.at] == -1 else self.batch.timestamps[self.at])
    partition = property(lambda self: self._placed(self.batch.partitions))
    offset = property(lambda self: self._placed(self.batch.offsets))

    def _placed(self, numbers):
        if not numbers:
            raise ValueError("a message's partition, offset and id are there if `wants` has positions")
        return numbers[self.at]

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
        self.transform, self.codes = transform, list(dict.fromkeys([*codes, "exception"]))
        self.fields = {name: _Source(name, {name: kind.removesuffix("?")}) for name, kind in fields.items()}
        self.lookups = {name: _Source(name, given["columns"], True) for name, given in lookups.items()}
        if both := self.fields.keys() & self.lookups.keys():
            raise ValueError(f"there are two of the name {min(both)}")
        self.keys = [(given["by"], given["key"]) for given in lookups.values()]
        sources = self.fields | self.lookups
        self.tables = {name: _Table(name, given, sources) for name, given in tables.items()}
        # A table whose columns are all copied: a row of it, which has nothing to look into, is what most messages get.
        self.copied = next((name for name, table in self.tables.items() if not table.given), None)
        self.message = Message(sources)
        wanted = Wants(0)
        for want in wants:
            wanted |= Wants[want.upper()]
        self.description = Description(
            name, version, [Field(*_field(name, kind)) for name, kind in fields.items()],
            [Lookup(name, _columns(given["key"])[0], _columns(given["columns"])) for name, given in lookups.items()],
            [table.target for table in self.tables.values()], self.codes, wanted)

    def run(self, batch):
        message, transform, tables, count, done = self.message, self.transform, self.tables, batch.count, set()
        self.outcome, self.done = Outcome([], [], []), done
        message.batch, message.keys, message.values = batch, list(_cells(batch.keys)), list(_cells(batch.values))
        message.packed_headers = list(_cells(batch.headers))
        for table in tables.values():
            table.begin()
        for source, packed in zip(self.fields.values(), batch.fields):
            source.begin(packed)
        for index, (source, (by, key)) in enumerate(zip(self.lookups.values(), self.keys)):
            at = None if callable(by) else list(self.fields).index(by)
            source.begin(_lookup.find(index, self.keys_of(by, key, count) if at is None else batch.fields[at]))
        messages, name = list(range(count)), self.copied
        copied, copy = {name: {}}, name and tables[name].sources.append
        for at in [at for at in messages if at not in done] if done else messages:
            message.at = at
            try:
                made = transform(message)
                if made == copied:
                    copy(at)
                elif type(made) is _Refusal:
                    self.refuse(at, made)
                else:
                    self.store(at, made)
            except _CAUGHT as error:
                self.failed(at, error)
        self.outcome.rows = [table.outcome(at, messages) for at, table in enumerate(tables.values()) if table.sources]
        return self.outcome

    def store(self, at, made):
        added = False
        for name, values in made.items() if isinstance(made, dict) else ():
            table = self.tables.get(name)
            if table is None:
                raise TypeError(f"{name} is no table of this plugin")
            for row in values if isinstance(values, list) else (values,):
                if len(row) > table.most:
                    table.refuse(row)
                for part in table.given:
                    part.add(row)
                table.sources.append(at)
                added = True
        if not added:
            raise TypeError("transform is asynchronous, and nothing waits for it" if hasattr(made, "__await__") else
                            "transform returned no row; what is left out on purpose is filtered(code)")

    def failed(self, at, error):
        """What `by` or `transform` raises is the message's: the host logs it."""
        for table in self.tables.values():
            table.remove(at)
        self.refuse(at, rejected("exception", _told(error, self.transform)))

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
        (name, kind), = key.items()
        cells = [None] * count
        for at in range(count):
            self.message.at = at
            try:
                value = None if at in self.done else by(self.message)
                cells[at] = None if value is None else _written(value, kind, name)
            except _CAUGHT as error:
                self.failed(at, error)
        return Packed(b"".join(filter(None, cells)), [-1 if cell is None else len(cell) for cell in cells])


def _field(name, kind):
    return name, CqlType[kind.removesuffix("?").upper()], kind.endswith("?")


def _told(error, function=None):
    """What an exception says, and where in the author's files it was raised, or else where `function` is."""
    code, at = getattr(function, "__code__", None), error.__traceback__
    places = [(code.co_filename, code.co_firstlineno)] if code else []
    while at:
        places.append((at.tb_frame.f_code.co_filename, at.tb_lineno))
        at = at.tb_next
    own = [f" ({found[1]}:{line})" for name, line in places if name != __file__ and (found := _OWN.match(name))]
    return f"{type(error).__name__}: {error}{own[-1] if own else ''}"


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
