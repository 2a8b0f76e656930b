"""Whether the proof finds bugs: the host is told to have one, and a row must find it."""
import copy

from under_faults import kills, poison, stores, swaps
from under_faults.world import Failed, Stuck

# Each bug, as the host is told of it, and the row that must find it.
BUGS = {
    "bug-commit-early=return": kills.at_random,
    "bug-drop-rejected=return": kills.asked_to_stop,
    "bug-lose-on-revoke=return": kills.in_rebalance,
    "bug-wall-clock=return": kills.asked_to_stop,
    "bug-reuse-instance=return": poison.traps,
    "bug-retry-storm=return": stores.errors_forged,
    "bug-skip-one=1*return": kills.asked_to_stop,
    "bug-trade-unnamed=return": swaps.another_layout,
    "bug-no-rewind=return": swaps.bad_versions,
}


def run(args, pool):
    """Prints what was not found; the exit code."""
    found = [*pool.map(lambda bug: _is_found(copy.copy(args), bug), BUGS)]
    print("verdict  " + (f"all {len(BUGS)} bugs were found" if all(found) else "not all bugs were found"))
    return 0 if all(found) else 1


# How often a bug is looked for that shows by chance.
TRIES = 3


def _is_found(args, bug):
    row, args.bug = BUGS[bug], bug
    for seed in range(args.seed, args.seed + TRIES):
        try:
            verdict, *_ = row(args, seed)
            told, is_found = str(verdict), not verdict.holds
        except Stuck as stuck:
            # Of a busy machine, or of the bug: that does not tell.
            told, is_found = str(stuck).splitlines()[0], False
        except Failed as failed:
            told, is_found = str(failed).splitlines()[0], True
        if is_found:
            break
    name, fault = bug.split("=")[0], row.__doc__.split(":")[0]
    print(f"{'found ' if is_found else 'MISSED'}   {name} by row {fault}: {told}", flush=True)
    return is_found
