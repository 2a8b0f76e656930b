"""What the `spotify` pipeline must make of messages, computed a second time and in another way.

Written from the pipeline's description alone: a left outer join of plays with a CSV of songs, rows by
(name, timestamp), the greatest write time wins.
"""
import csv
import datetime
import json
import struct

# The table's columns after the key and the song, in this order: CSV column and how a cell is encoded.
DETAILS = [
    ("artists", str.encode), ("duration_ms", str.encode), ("album_name", str.encode),
    ("album_release_date", lambda text: struct.pack(">I", _days(text))),
    *[(name, lambda text: struct.pack(">f", float(text))) for name in ("danceability", "energy")],
    ("key", lambda text: struct.pack(">b", int(text))),
    ("loudness", lambda text: struct.pack(">f", float(text))),
    ("mode", lambda text: struct.pack(">b", int(text))),
    *[(name, lambda text: struct.pack(">f", float(text))) for name in
      ("speechiness", "acousticness", "instrumentalness", "liveness", "valence", "tempo")],
]
COLUMNS = ["name", "timestamp", "song", *[name for name, _ in DETAILS]]
UNKNOWN = (None,) * len(DETAILS)
EPOCH = datetime.date(1970, 1, 1)
KEY_BYTES_MAX = 65_535


def _days(text):
    return (datetime.date.fromisoformat(text) - EPOCH).days + (1 << 31)


def songs(path):
    """The encoded details of each song; the first of several of one name counts."""
    found = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file, strict=True):
            if line["name"] and line["name"] not in found:
                found[line["name"]] = tuple(
                    encode(line[name]) if line[name] else None for name, encode in DETAILS
                )
    return found


def _refuse(text):
    raise ValueError(f"{text} is not JSON")


def _finite(text):
    number = float(text)
    return number if abs(number) != float("inf") else _refuse(text)


def play(value):
    """A message's (name, timestamp, song), or None if the host must reject it."""
    try:
        event = json.loads((value or b"").decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    name, song, timestamp = event.get("name"), event.get("song"), event.get("timestamp")
    if not isinstance(name, str) or not isinstance(song, str):
        return None
    if isinstance(timestamp, str):
        timestamp = _instant(timestamp)
    if type(timestamp) is not int or not -(1 << 63) <= timestamp < 1 << 63:
        return None
    try:
        key = name.encode()
        song.encode()
    except UnicodeEncodeError:
        return None  # half a surrogate pair
    return (name, timestamp, song) if 0 < len(key) <= KEY_BYTES_MAX else None


def _instant(text):
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


class Expected:
    """The table that messages make, and the messages that must be dead letters."""

    def __init__(self, messages, details):
        self.rows, self.rejected, self.filtered, self.messages = {}, set(), 0, 0
        last = {}
        for message in messages:
            self.messages += 1
            written = max(message.timestamp * 1000, last.get(message.partition, -1 << 63) + 1)
            last[message.partition] = written
            if message.value is None:
                self.filtered += 1  # a tombstone, and the pipeline deletes nothing
                continue
            found = play(message.value)
            if found is None:
                self.rejected.add((message.partition, message.offset))
                continue
            name, timestamp, song = found
            key = (name.encode(), struct.pack(">q", timestamp))
            cells = (song.encode(), *details.get(song, UNKNOWN))
            self._upsert(key, written, cells)
        self.written = self.messages - len(self.rejected) - self.filtered

    def _upsert(self, key, written, cells):
        before = self.rows.get(key)
        if before is None or before[0] < written:
            self.rows[key] = (written, cells)
        elif before[0] == written:
            # Two partitions, one key and one write time: Cassandra settles it cell by cell, a
            # deleted one first, else the greater bytes.
            settled = (None if None in pair else max(pair) for pair in zip(before[1], cells))
            self.rows[key] = (written, tuple(settled))

    def compare(self, rows):
        """Lost, extra and wrong rows of a table: how many, and the first few of each.

        `rows` have the columns of COLUMNS and then the song's write time. All write times may lie
        later by the same whole number of milliseconds: the plugin's generation.
        """
        missing, extra, wrong, shifts = set(self.rows), [], [], {}
        for name, timestamp, *cells, written in rows:
            key = (name, timestamp)
            expected = self.rows.get(key)
            missing.discard(key)
            if expected is None:
                extra.append(key)
            elif expected[1] != tuple(cells):
                wrong.append((key, [*zip(COLUMNS[2:], expected[1], cells)]))
            else:
                shift = struct.unpack(">q", written)[0] - expected[0]
                shifts[shift] = shifts.get(shift, 0) + 1
        return {"lost": list(missing), "extra": extra, "wrong": wrong, "shifts": shifts}
