"""A TCP proxy that misbehaves as it is told, while connections are open.

`mode` is one of
    pass      everything goes through
    cut       connections are reset, and so are new ones
    hole      nothing goes through, and nobody is told; what is held goes on when the mode changes
    half      what the client says goes through, answers do not: half-open
and `delay` (seconds a chunk) and `rate` (bytes a second) slow down what passes.
"""
import socket
import struct
import threading
import time

CHUNK = 65_536
LOOK = 0.05
RESET = struct.pack("ii", 1, 0)  # close without lingering: the other side sees a reset


class Proxy:
    """Between clients and one server. `filter`, if given, makes an object for each connection, of a way to
    send something to the server later; its `request` and `answer` turn what passes into what is passed on."""

    def __init__(self, server, filter=None, port=0):
        host, at = server.rsplit(":", 1)
        self.server, self.filter = (host, int(at)), filter
        self.mode, self.delay, self.rate = "pass", 0.0, 0
        self.connections = self.bytes = 0
        self._open, self._lock = set(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.mode = "closed"
        self._listener.close()
        self._reset()

    def be(self, mode, delay=0.0, rate=0):
        """Changes how it behaves, also towards connections that are open."""
        self.mode, self.delay, self.rate = mode, delay, rate
        if mode == "cut":
            self._reset()

    def _reset(self):
        with self._lock:
            pairs, self._open = self._open, set()
        for pair in pairs:
            for end in pair:
                _close(end)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        if not self._gate(to_server=True):
            return _close(client)
        try:
            server = socket.create_connection(self.server, 5)
            server.settimeout(None)
        except OSError:
            return _close(client)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        pair = (client, server)
        with self._lock:
            self._open.add(pair)
        lock = threading.Lock()

        def later(seconds, octets):
            timer = threading.Timer(seconds, _send, (server, octets, lock))
            timer.daemon = True
            timer.start()

        filter = self.filter(later) if self.filter else None
        turn = (filter.request, filter.answer) if filter else (None, None)
        threading.Thread(target=self._pump, args=(pair, 0, turn[0], lock), daemon=True).start()
        threading.Thread(target=self._pump, args=(pair, 1, turn[1], lock), daemon=True).start()

    def _gate(self, to_server):
        """Waits until something may pass; whether anything may at all."""
        while self.mode == "hole" or (self.mode == "half" and not to_server):
            time.sleep(LOOK)
        return self.mode in ("pass", "half")

    def _pump(self, pair, side, turn, lock):
        source, other = pair[side], pair[1 - side]
        try:
            while chunk := source.recv(min(CHUNK, self.rate or CHUNK)):
                if not self._gate(to_server=side == 0):
                    break
                if self.delay:
                    time.sleep(self.delay)
                if self.rate:
                    time.sleep(len(chunk) / self.rate)
                self.bytes += len(chunk)
                onward, back = turn(chunk) if turn else (chunk, b"")
                _send(other, onward, lock)
                _send(source, back, lock)
        except OSError:
            pass
        with self._lock:
            self._open.discard(pair)
        for end in pair:
            _close(end)


def _send(end, octets, lock):
    """Whole, although frames come from several threads."""
    if octets:
        try:
            with lock:
                end.sendall(octets)
        except OSError:
            _close(end)


def _close(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
