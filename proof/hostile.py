"""Messages as no friendly producer makes them, from a seed: every form that the rules tell of, and what
they refuse.

Forms on which the rules say nothing are left out (leap seconds, lower-case `t` and `z`, more than nine
digits of a fraction), and so are times of Kafka's more than an hour ahead, which the host's clock judges.
"""
import datetime
import itertools
import random
import zlib

NAMES = [
    "Ada Lovelace", "Grace Hopper", "Björk Guðmundsdóttir", "Жéня", "東京 太郎", "🎧 DJ 🎉", "O'Brien, \"Bob\"",
    "back\\slash", "line\nbreak\ttab", "a\u0000b", " padded ", "null", "404", "Zoë", "Zoe\u0308", "ada lovelace",
    "א\u200fב", "\ufeffmark", "-", "{\"name\":\"x\"}",
]
# Around what a partition key may have: 65,535 bytes, alone or with 3 a component beside other columns.
LONG_NAMES = [65_536, 65_535, 65_534, 65_522, 65_521, 65_520, 65_519, 65_518, 65_512, 65_511, 65_510]
STRANGE_TITLES = ["", " ", "A Title Nobody Knows", "null", "0", "\u0000", "‮right to left", "tab\tbed", "🎬", "\\", "\"", ","]
HUGE = 1_200_000  # more than a row may have
I64_MIN, I64_MAX = -(1 << 63), (1 << 63) - 1
# Before and after all that a calendar of four digits has, and around its ends.
EXTREMES = [
    0, -1, 1, 999, -3_600_000, -3_600_001, I64_MIN, I64_MIN + 1, I64_MIN + 3_600_000, I64_MAX,
    -62_167_219_200_000, -62_167_219_200_001, 253_402_300_799_999, 253_402_300_800_000,
]
TIMES = [
    "1970-01-01", "1969-12-31T23:59:59.9995", "2024-02-29T23:59", "0000-01-01 00:00", "0000-01-01 00:00+00:01",
    "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59-00:01", "2026-03-02 16:05", "2026-03-02T16:05:01.123456",
    "2026-03-02T16:05:01.123456789Z", "2026-03-02T16:05:01,5Z", "2026-03-02 16:05:01+0530", "2026-03-02 16:05:01-08",
]
NO_TIMES = [
    "yesterday", "", "04:05 PM", "2026-03-02 04:05 PM", "2026-13-01 00:00", "2026-00-10 00:00", "2026-02-29 12:00",
    "1900-02-29 12:00", "2026-02-30 12:00", "2026-03-02 24:00", "2026-03-02 12:60", "2026-03-02 12:00:61",
    "2026-3-2 16:05", "26-03-02 16:05", " 2026-03-02 16:05", "2026-03-02 16:05 ", "2026-03-02T16:05:01.",
    "2026-03-02T16:05:01+24:00", "2026-03-02T16:05:01 UTC", "2026-03-02T16", "2026/03/02 16:05", "1767225600000",
    "２０２６-03-02 16:05", "2026-03-02  16:05", "12026-03-02 16:05", "-2026-03-02 16:05", "Mon, 02 Mar 2026 16:05:00 GMT",
]
# Written as they stand: each is a member of another type, or of none.
NO_INTS = ['"7"', "7.0", "7e0", "1.5", "true", "[7]", '{"a":7}', "2147483648", "-2147483649", "1e3", '""', "9" * 30]
NO_TEXTS = ["7", "1.5", "true", "false", '["x"]', '{"x":"y"}', "[]", "{}"]
NO_LONGS = ["1767225600000.5", "1.7e12", "9223372036854775808", "-9223372036854775809", "true", "[1]", "{}", "9" * 40]
NO_JSON = [
    b"", b" ", b"not JSON", b"{", b"}", b"{}}", b"{,}", b"{'name':'x'}", b'{"name":"x",}', b'{"name" "x"}', b'{name:"x"}',
    b'{"name":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":-1e999}', b'{"a":01}', b'{"a":+1}',
    b'{"a":1.}', b'{"a":.5}', b'{"a":-}', b'{"a":0x10}', b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":"\\x41"}', b'{"a":"\\u12"}',
    b'{"a":"\\ud83c"}', b'{"a":"\\udf89"}', b'{"a":"\\ud83c\\u0041"}', b'{"a":"\\udf89\\ud83c"}', b'{"a":tru}', b'{"a":nul}',
    b'/* */{"a":1}', b'{"a":1}//', b"\xef\xbb\xbf{}", b"\xff\xfe{}", b"{\xc3\xbc:1}", b'{"a":1} {"b":2}', b'{"a":"open',
    b'{"a":' + b"[" * 128 + b"]" * 128 + b"}", b"[" * 5000, b'{"a":' * 3000, b'{"a":' + b"9" * 400 + b"}",
    b"\x00\x00\x00\x00\x07{}", b"\x00", b"null", b"true", b"7", b'"text"', b"[]", b'[{"name":"x"}]', b"{}", b"  {}  ",
    b'{"name":"\xff"}', b'{"\xff":1}', b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}',
    b'{"a":"\xc0\xaf"}',
]
BEFORE_EPOCH = datetime.datetime(1970, 1, 1)


class Raw(str):
    """A member's value as it is to be written."""


class Hostile:
    """Makes messages for a pipeline that reads these fields, of these titles."""

    def __init__(self, fields, titles, partitions, seed, now_ms):
        self.random, self.fields, self.titles = random.Random(seed), fields, titles
        self.partitions, self.now_ms = partitions, now_ms
        self.times = {}  # write time -> partition: no two partitions share one
        self.last = [0] * partitions
        self.lengths = itertools.cycle(LONG_NAMES)

    def messages(self, count):
        """(partition, timestamp, key, value, headers), in the order in which they are sent."""
        for index in range(count):
            self.is_huge, self.is_long = index == count // 2, index % 250 == 7
            name, value = self._value()
            by_name = self.random.random() < 0.8
            partition = zlib.crc32(name.encode()) % self.partitions if by_name else self.random.randrange(self.partitions)
            key = self.random.choice([None, b"", name.encode()[:100], b"\xff\x00"])
            headers = self.random.choice([(), (), (), (("trace", b"\x00\xff"), ("trace", None), ("ünï", b""))])
            yield partition, self._kafka_time(partition, index), key, value, headers

    def _kafka_time(self, partition, index):
        """Mostly later than before, at times the same, earlier, or none at all."""
        drawn, time = self.random.random(), self.now_ms + index // 4
        if drawn < 0.02 and self.last[partition]:
            time = -1
        elif drawn < 0.2:
            time -= self.random.randrange(5_000)
        while True:
            written = max(0 if time == -1 else time * 1000, self.last[partition] + 1)
            if self.times.setdefault(written, partition) == partition:
                self.last[partition] = written
                return time
            time = max(time, self.last[partition] // 1000) + 1

    def _value(self):
        drawn, members = self.random.random(), self._members()
        name = members[0][1]
        if self.is_huge or self.is_long:
            return name, self._written(members)
        if drawn < 0.01:
            return name, None
        if drawn < 0.06:
            return name, self.random.choice(NO_JSON)
        if drawn < 0.08:
            value = self._written(members)
            return name, value[: self.random.randrange(len(value))]
        if drawn < 0.09:
            return name, self._written(members) + self.random.choice([b"x", b"{}", b",", b"\x00", b"]"])
        if drawn < 0.20:
            return name, self._written(self._spoiled(members))
        return name, self._written(self._disguised(members))

    def _members(self):
        """A good message's members: the name first, which decides the partition."""
        values = {"name": self._name, "song": self._title, "movie": self._title, "rating": self._rating, "id": self._id}
        named = [(field, values.get(field, self._time)()) for field in self.fields]
        return sorted(named, key=lambda member: member[0] != "name")

    def _name(self):
        if self.is_long:
            return "n" * next(self.lengths)
        if self.random.random() < 0.005:
            return ""
        return self.random.choice(NAMES)

    def _title(self):
        if self.is_huge:
            return "t" * HUGE
        title = self.random.choice(self.titles)
        if self.is_long or self.random.random() < 0.75:
            return title
        return self.random.choice([title.swapcase(), title + " ", title[:-1], *STRANGE_TITLES])

    def _rating(self):
        return self.random.randint(1, 10) if self.random.random() < 0.9 else self.random.choice(
            [0, 11, -1, 100, (1 << 31) - 1, -(1 << 31), Raw("-0")])

    def _id(self):
        return self.random.randrange(100_000) if self.random.random() < 0.9 else self.random.choice(
            [-1, 100_000, (1 << 31) - 1, -(1 << 31), Raw("-0")])

    def _time(self):
        drawn = self.random.random()
        if drawn < 0.05:
            return self.random.choice(EXTREMES)
        if drawn < 0.12:
            return self.random.choice(TIMES)
        # Few enough for keys to be written again and again.
        ms = self.now_ms // 86_400_000 * 86_400_000 - self.random.randrange(40) * 1_234_567
        if self.random.random() < 0.1:
            ms = -ms
        return self._form(ms)

    def _form(self, ms):
        """A time in one of its forms."""
        east = self.random.choice([0, 60, -480, 330, 1439, -1439])
        time = BEFORE_EPOCH + datetime.timedelta(milliseconds=ms)
        there = time + datetime.timedelta(minutes=east)
        zone = f"{'+' if east >= 0 else '-'}{abs(east) // 60:02}:{abs(east) % 60:02}"
        t, micros = self.random.choice("T "), f"{self.random.randrange(1000):03}"
        return self.random.choice([
            ms, ms, f"{time:%Y-%m-%d}{t}{time:%H:%M:%S}.{ms % 1000:03}Z",
            f"{time:%Y-%m-%d}{t}{time:%H:%M:%S}.{ms % 1000:03}{micros}", f"{time:%Y-%m-%d}{t}{time:%H:%M}",
            f"{time:%Y-%m-%d}{t}{time:%H:%M:%S}Z", f"{time:%Y-%m-%d}{t}{time:%H:%M:%S}",
            f"{there:%Y-%m-%d}{t}{there:%H:%M:%S}.{ms % 1000:03}{zone}",
            f"{there:%Y-%m-%d}{t}{there:%H:%M}{zone.replace(':', '')}",
        ])

    def _spoiled(self, members):
        """One member, or some, left out or of another kind."""
        members = [*members]
        for _ in range(self.random.choice([1, 1, 1, 2])):
            at = self.random.randrange(len(members))
            kind = self.fields.get(members[at][0])
            wrong = {"text": NO_TEXTS, "int": NO_INTS, "timestamp": [*NO_LONGS, *NO_TIMES]}.get(kind, ["null"])
            wrong = self.random.choice([None, "null", *wrong, *wrong])
            if wrong is None and len(members) > 1:
                del members[at]
            else:
                is_time = kind == "timestamp" and wrong in NO_TIMES
                members[at] = (members[at][0], wrong if is_time else Raw(wrong or "null"))
        return members

    def _disguised(self, members):
        """The same message for who reads it well: other members beside it, or earlier ones of a name."""
        members, drawn = [*members], self.random.random()
        if drawn < 0.4:
            self.random.shuffle(members)
        if 0.3 < drawn < 0.4:
            field, _ = self.random.choice(members)
            members.insert(0, (field, self.random.choice(["first", 1, Raw("null"), Raw("[{}]"), Raw("1.5")])))
        if 0.4 < drawn < 0.6:
            beside = [
                ("Name", "x"), ("name ", 7), ("", Raw("[]")), ("meta", Raw('{"name":1,"song":[2,{"movie":null}]}')),
                ("deep", Raw("[" * 127 + "]" * 127)), ("number", Raw("-1.5E-400")), ("number", Raw("123456789012345678901")),
                ("text", "}]\"\\"), ("list", Raw("[1, 2.5e1, true, null, \"\"]")),
            ]
            members.insert(self.random.randrange(len(members) + 1), self.random.choice(beside))
        if drawn > 0.95:
            members.append((self.random.choice(members)[0], Raw("null")))
        return members

    def _written(self, members):
        blank = self.random.choice(["", "", " ", "\n", "\t ", "\r\n"])
        inside = f"{blank},{blank}".join(f"{self._text(name)}{blank}:{blank}{self._json(value)}" for name, value in members)
        return f"{blank}{{{blank}{inside}{blank}}}{blank}".encode()

    def _json(self, value):
        if isinstance(value, Raw):
            return str(value)
        return str(value) if isinstance(value, int) else self._text(value)

    def _text(self, text):
        style = self.random.choice(["plain", "plain", "ascii", "escaped"]) if len(text) < 1000 else "plain"
        return '"' + "".join(self._character(character, style) for character in text) + '"'

    def _character(self, character, style):
        short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}.get(character)
        if style == "escaped" or character < " " or (style == "ascii" and character > "~"):
            units = character.encode("utf-16-be").hex()
            spelled = units.upper() if self.random.random() < 0.5 else units
            escaped = "".join(f"\\u{spelled[at:at + 4]}" for at in range(0, len(spelled), 4))
            return self.random.choice([short, escaped]) if short else escaped
        if short:
            return short
        return "\\/" if character == "/" and style == "ascii" else character
