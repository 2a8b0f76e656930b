#!/usr/bin/env python3
"""probe.py [--secure=FOLDER --user=NAME] kafka|cassandra HOST PORT [SECONDS [PID]]

Does the server answer its own protocol? With a user: by TLS, and does it let that user in?

Kafka is ready when a Metadata answer names at least one broker: an open port is not enough, because a
KRaft broker accepts connections before it is unfenced. Cassandra is ready when it answers STARTUP
with READY, or asks for a login and takes it. Exit 0: ready. 1: not within SECONDS (0: one try). 2: the process PID has ended.
"""
import os
import pathlib
import socket
import ssl
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


def kafka(sock, login):
    def ask(key, version, body):
        client = b"probe"
        body = struct.pack(">hhih", key, version, 1, len(client)) + client + body
        sock.sendall(struct.pack(">i", len(body)) + body)
        return read_exactly(sock, struct.unpack(">i", read_exactly(sock, 4))[0])[4:]

    if login:
        # SaslHandshake, then SaslAuthenticate; both answer with an error code first.
        handshake = ask(17, 1, struct.pack(">h", 5) + b"PLAIN")
        answer = ask(36, 0, struct.pack(">i", len(login)) + login)
        if any(struct.unpack(">h", part[:2])[0] for part in (handshake, answer)):
            return False
    # Metadata, version 4: of no topics, creating none.
    _throttle, brokers = struct.unpack(">ii", ask(3, 4, struct.pack(">i?", 0, False))[:8])
    return brokers >= 1


def cassandra(sock, login):
    def ask(opcode, body):
        sock.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
        _version, _flags, _stream, opcode, length = struct.unpack(">BBhBi", read_exactly(sock, 9))
        read_exactly(sock, length)
        return opcode

    key, value = b"CQL_VERSION", b"3.0.0"
    answer = ask(0x01, struct.pack(">hh", 1, len(key)) + key + struct.pack(">h", len(value)) + value)
    if login and answer == 0x03:  # AUTHENTICATE
        return ask(0x0F, struct.pack(">i", len(login)) + login) == 0x10  # AUTH_SUCCESS
    return answer in (0x02, 0x03)  # READY, or AUTHENTICATE


def has_ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and somebody else's
    return False


def main():
    options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
    server, host, port, *rest = (word for word in sys.argv[1:] if not word.startswith("--"))
    answers = {"kafka": kafka, "cassandra": cassandra}[server]
    address = (host, int(port))
    deadline = time.monotonic() + float(rest[0] if rest else 0)
    pid = int(rest[1]) if len(rest) > 1 else None
    login, tls = None, None
    if options:
        folder = pathlib.Path(options["secure"])
        password = (folder / f"{server}.password").read_text(encoding="ascii").strip()
        login = f"\0{options['user']}\0{password}".encode()
        tls = ssl.create_default_context(cafile=folder / "ca.pem")
        tls.load_cert_chain(folder / "client.crt", folder / "client.key")
    while True:
        try:
            with socket.create_connection(address, 2) as plain:
                plain.settimeout(5)
                sock = tls.wrap_socket(plain, server_hostname=host) if tls else plain
                if answers(sock, login):
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
