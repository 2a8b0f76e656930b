"""Reads and fills topics of a one-node Kafka and reads a group's commits, with nothing but the standard
library.

It shares no code with the host, which is its point: what it reads is what the host is measured by.
"""
import gzip
import socket
import struct
import time
from typing import NamedTuple

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 0, 1, 2, 3, 8, 9, 10
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, CREATE_PARTITIONS = 19, 20, 21, 37
READ_COMMITTED = 1
LATEST, EARLIEST = -1, -2
UNKNOWN_TOPIC = 3
NOT_YET = {UNKNOWN_TOPIC, 6}  # the topic was just made: no leader so far
ALL_REPLICAS = -1
GZIP = 1
# After so many seconds a connection is made anew.
IDLE_MAX = 300


class Message(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple


class Reader:
    """A cursor over the bytes of an answer."""

    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.octets, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def bytes(self, size):
        part = self.octets[self.at : self.at + size]
        self.at += size
        return part

    def text(self):
        size = self.take("h")
        return None if size < 0 else bytes(self.bytes(size)).decode()

    def varint(self):
        octets, at, result, shift = self.octets, self.at, 0, 0
        while True:
            octet = octets[at]
            at += 1
            result |= (octet & 0x7F) << shift
            if octet < 0x80:
                self.at = at
                return (result >> 1) ^ -(result & 1)
            shift += 7

    def sized(self):
        size = self.varint()
        return None if size < 0 else bytes(self.bytes(size))


def _text(value):
    octets = value.encode()
    return struct.pack(">h", len(octets)) + octets


class Kafka:
    """A connection."""

    def __init__(self, address):
        self.address = address
        self._connect()

    def _connect(self):
        host, port = self.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 30)
        self.socket.settimeout(60)
        self.asked = time.monotonic()

    def _receive(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise OSError("Kafka closed the connection")
            parts += part
        return bytes(parts)

    def _ask(self, api, version, body):
        # A broker ends connections that are idle for ten minutes (`connections.max.idle.ms`).
        if time.monotonic() - self.asked > IDLE_MAX:
            self.socket.close()
            self._connect()
        self.asked = time.monotonic()
        header = struct.pack(">hhi", api, version, 1) + _text("sluice-proof")
        self.socket.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        size = struct.unpack(">i", self._receive(4))[0]
        answer = Reader(self._receive(size))
        answer.take("i")  # the correlation id
        return answer

    def partitions(self, topic):
        """How many partitions a topic has; 0 if there is no such topic."""
        answer = self._ask(METADATA, 4, struct.pack(">i", 1) + _text(topic) + b"\0")
        answer.take("i")
        for _ in range(answer.take("i")):
            answer.take("i"), answer.text(), answer.take("i"), answer.text()
        answer.text(), answer.take("i")
        _topics, error = answer.take("i"), answer.take("h")
        answer.text(), answer.take("b")
        if error == UNKNOWN_TOPIC:
            return 0
        if error:
            raise OSError(f"Kafka: metadata of {topic}: error {error}")
        return answer.take("i")

    def end(self, topic, partition):
        """The last stable offset of a partition."""
        return self._offset(topic, partition, LATEST)

    def _offset(self, topic, partition, place):
        body = struct.pack(">ibi", -1, READ_COMMITTED, 1) + _text(topic)
        answer = self._ask(LIST_OFFSETS, 2, body + struct.pack(">iiq", 1, partition, place))
        answer.take("ii"), answer.text(), answer.take("i")
        _partition, error, _timestamp, offset = answer.take("ihqq")
        if error:
            raise OSError(f"Kafka: offsets of {topic}/{partition}: error {error}")
        return offset

    def committed(self, group, topic, partitions):
        """A group's committed offsets by partition; -1 = none."""
        body = _text(group) + struct.pack(">i", 1) + _text(topic) + struct.pack(">i", partitions)
        body += b"".join(struct.pack(">i", partition) for partition in range(partitions))
        deadline = time.monotonic() + 30
        while True:
            # The first question for a coordinator is what makes the broker become one.
            self._ask(FIND_COORDINATOR, 1, _text(group) + b"\0")
            answer = self._ask(OFFSET_FETCH, 1, body)
            answer.take("i"), answer.text(), answer.take("i")
            commits, errors = {}, set()
            for _ in range(partitions):
                partition, offset = answer.take("iq")
                answer.text()
                errors.add(answer.take("h"))
                commits[partition] = offset
            if errors == {0}:
                return commits
            if time.monotonic() > deadline:  # the coordinator may still be loading
                raise OSError(f"Kafka: commits of {group}: errors {errors}")
            time.sleep(0.1)

    def create(self, topic, partitions):
        """Makes a topic."""
        body = struct.pack(">i", 1) + _text(topic) + struct.pack(">ihiii", partitions, 1, 0, 0, 30_000)
        answer = self._ask(CREATE_TOPICS, 2, body + b"\0")
        answer.take("ii"), answer.text()
        error = answer.take("h")
        if error:
            raise OSError(f"Kafka: topic {topic}: error {error}")

    def widen(self, topic, partitions):
        """Gives a topic more partitions."""
        body = struct.pack(">i", 1) + _text(topic) + struct.pack(">iiib", partitions, -1, 30_000, 0)
        answer = self._ask(CREATE_PARTITIONS, 0, body)
        answer.take("ii"), answer.text()
        error = answer.take("h")
        if error:
            raise OSError(f"Kafka: partitions of {topic}: error {error}")

    def cut(self, topic, offsets):
        """Deletes what is before these offsets (by partition), as retention does."""
        body = struct.pack(">i", 1) + _text(topic) + struct.pack(">i", len(offsets))
        body += b"".join(struct.pack(">iq", *pair) for pair in offsets.items()) + struct.pack(">i", 30_000)
        answer = self._ask(DELETE_RECORDS, 0, body)
        answer.take("ii"), answer.text()
        for _ in range(answer.take("i")):
            partition, _low, error = answer.take("iqh")
            if error:
                raise OSError(f"Kafka: records of {topic}/{partition}: error {error}")

    def commit(self, group, topic, offsets):
        """Commits for a group that has no members, as an administrator does."""
        body = _text(group) + struct.pack(">i", -1) + _text("") + struct.pack(">qi", -1, 1) + _text(topic)
        body += struct.pack(">i", len(offsets))
        body += b"".join(struct.pack(">iq", *pair) + _text("") for pair in offsets.items())
        answer = self._ask(OFFSET_COMMIT, 2, body)
        answer.take("i"), answer.text()
        for _ in range(answer.take("i")):
            partition, error = answer.take("ih")
            if error:
                raise OSError(f"Kafka: commit of {group} for {topic}/{partition}: error {error}")

    def delete(self, topics):
        """Deletes topics, as far as they are there."""
        body = struct.pack(">i", len(topics)) + b"".join(map(_text, topics))
        self._ask(DELETE_TOPICS, 1, body + struct.pack(">i", 10_000))

    def produce(self, topic, partition, messages, codec=0):
        """Appends messages (timestamp, key, value, headers) as one batch."""
        batch = _batch(messages, codec)
        body = struct.pack(">hhii", -1, ALL_REPLICAS, 30_000, 1) + _text(topic)
        deadline = time.monotonic() + 30
        while True:
            answer = self._ask(PRODUCE, 3, body + struct.pack(">iii", 1, partition, len(batch)) + batch)
            answer.take("i"), answer.text(), answer.take("i")
            _partition, error, _offset, _time = answer.take("ihqq")
            if not error:
                return
            if error not in NOT_YET or time.monotonic() > deadline:
                raise OSError(f"Kafka: produce to {topic}/{partition}: error {error}")
            time.sleep(0.1)

    def messages(self, topic):
        """Every message of a topic as it stands now, partition by partition."""
        for partition in range(self.partitions(topic)):
            offset, end = self._offset(topic, partition, EARLIEST), self.end(topic, partition)
            while offset < end:
                before = offset
                for message, following in self._fetch(topic, partition, offset):
                    if message is not None and message.offset >= offset:
                        yield message
                    offset = max(offset, following)
                if offset == before:
                    raise OSError(f"Kafka: {topic}/{partition} does not go on at {offset}")

    def _fetch(self, topic, partition, offset):
        body = struct.pack(">iiiibi", -1, 1000, 1, 64 << 20, READ_COMMITTED, 1) + _text(topic)
        answer = self._ask(FETCH, 4, body + struct.pack(">iiqi", 1, partition, offset, 16 << 20))
        answer.take("ii"), answer.text(), answer.take("i")
        _partition, error, _high, _stable = answer.take("ihqq")
        if error:
            raise OSError(f"Kafka: fetch of {topic}/{partition}: error {error}")
        for _ in range(max(answer.take("i"), 0)):
            answer.take("qq")
        records = answer.bytes(max(answer.take("i"), 0))
        return _batches(records, partition)


def _batches(records, partition):
    """The messages of record batches (format 2), each with the offset that follows its batch."""
    reader = Reader(records)
    while len(records) - reader.at >= 61:
        first, size = reader.take("qi")
        if len(records) - reader.at < size:
            return  # the answer was cut here
        after = reader.at + size
        _epoch, magic, _crc, attributes, last = reader.take("ibIhi")
        start, latest, _producer, _producer_epoch, _sequence, count = reader.take("qqqhii")
        if magic != 2:
            raise ValueError(f"record format {magic} is not read here")
        octets = reader.bytes(after - reader.at)
        codec = attributes & 7
        if codec == GZIP:
            octets = gzip.decompress(octets)
        elif codec:
            raise ValueError("this reader knows only gzip and no compression")
        if attributes & 0x20:
            yield None, first + last + 1  # a transaction's marker
            continue
        inside = Reader(octets)
        for _ in range(count):
            _size, _attributes = inside.varint(), inside.take("b")
            timestamp, offset = start + inside.varint(), first + inside.varint()
            key, value = inside.sized(), inside.sized()
            headers = tuple((inside.sized().decode(), inside.sized()) for _ in range(inside.varint()))
            if attributes & 8:
                timestamp = latest  # the broker's clock was asked for
            yield Message(partition, offset, timestamp, key, value, headers), offset + 1
        yield None, first + last + 1


def _batch(messages, codec):
    """A record batch (format 2) without a producer's id."""
    records, start = bytearray(), messages[0][0]
    for offset, (timestamp, key, value, headers) in enumerate(messages):
        record = b"\0" + _varint(timestamp - start) + _varint(offset) + _sized(key) + _sized(value)
        record += _varint(len(headers)) + b"".join(_sized(name.encode()) + _sized(value) for name, value in headers)
        records += _varint(len(record)) + record
    records = gzip.compress(records, 1) if codec == GZIP else bytes(records)
    latest = max(timestamp for timestamp, *_ in messages)
    checked = struct.pack(">hiqqqhii", codec, len(messages) - 1, start, latest, -1, -1, -1, len(messages)) + records
    rest = struct.pack(">ibI", -1, 2, _crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def _varint(number):
    octets, number = bytearray(), number << 1 ^ number >> 63
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _sized(octets):
    return _varint(-1) if octets is None else _varint(len(octets)) + octets


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = _crc32c_table()


def _crc32c(octets):
    crc, table = 0xFFFFFFFF, CRC32C
    for octet in octets:
        crc = crc >> 8 ^ table[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF
