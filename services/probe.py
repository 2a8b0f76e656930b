#!/usr/bin/env python3
"""probe.py kafka|cassandra HOST PORT [SECONDS [PID]]: does the server answer its own protocol?

Kafka is ready when a Metadata answer names at least one broker: an open port is not enough, because a
KRaft broker accepts connections before it is unfenced. Cassandra is ready when it answers STARTUP
with READY. Exit 0: ready. 1: not within SECONDS (0: one try). 2: the process PID has ended.
"""
import os
import socket
import struct
import sys
import time


def read_exactly(sock, size):
    got = b""
    while len(got) < size:
        part = sock.recv(size - len(got))
        if not part:
            raise OSError("closed")
        got += part
    return got


def kafka(sock):
    client = b"probe"
    # Metadata, version 4: of no topics, creating none.
    body = struct.pack(">hhih", 3, 4, 1, len(client)) + client + struct.pack(">i?", 0, False)
    sock.sendall(struct.pack(">i", len(body)) + body)
    answer = read_exactly(sock, struct.unpack(">i", read_exactly(sock, 4))[0])
    _correlation, _throttle, brokers = struct.unpack(">iii", answer[:12])
    return brokers >= 1


def cassandra(sock):
    key, value = b"CQL_VERSION", b"3.0.0"
    body = struct.pack(">hh", 1, len(key)) + key + struct.pack(">h", len(value)) + value
    sock.sendall(struct.pack(">BBhBi", 4, 0, 0, 0x01, len(body)) + body)
    _version, _flags, _stream, opcode, length = struct.unpack(">BBhBi", read_exactly(sock, 9))
    read_exactly(sock, length)
    return opcode in (0x02, 0x03)  # READY, or AUTHENTICATE


def has_ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and somebody else's
    return False


def main():
    answers = {"kafka": kafka, "cassandra": cassandra}[sys.argv[1]]
    address = (sys.argv[2], int(sys.argv[3]))
    deadline = time.monotonic() + float(sys.argv[4] if len(sys.argv) > 4 else 0)
    pid = int(sys.argv[5]) if len(sys.argv) > 5 else None
    while True:
        try:
            with socket.create_connection(address, 2) as sock:
                sock.settimeout(5)
                if answers(sock):
                    return 0
        except (OSError, struct.error):
            pass
        if pid and has_ended(pid):
            return 2
        if time.monotonic() >= deadline:
            return 1
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
