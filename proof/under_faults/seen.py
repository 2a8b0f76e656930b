"""How often each interesting state was met: a proof that never met it proves nothing of it."""
import collections
import threading

_lock = threading.Lock()
_counts = collections.Counter()


def note(state, times=1):
    """Counts a state that was met."""
    with _lock:
        _counts[state] += times


def counts():
    """By state."""
    with _lock:
        return dict(_counts)
