"""What came of the rows, as a table for people."""
import json
import pathlib
from typing import NamedTuple


# What must be seen beside 0 lost, extra, wrong and stale, by the row's number.
EXPECTED = {
    1: "goes on from the last commit", 2: "goes on from the last commit",
    3: "drained and committed, exit 0; 75 if a batch is left; at once on a second signal",
    4: "connects again", 5: "does not end, memory flat", 6: "goes on", 7: "asks again, skips nothing",
    8: "goes on by itself within 30 s", 9: "no eviction, memory flat, caught up at 0.8 of the calm rate",
    10: "backs off; at most twice the requests", 11: "tries again itself", 12: "the late write loses",
    13: "holds without a dead letter, goes on within 30 s of the mending", 14: "exactly the bad rows are dead letters",
    15: "fenced: read again by the new owner", 16: "its late writes lose, its commits are refused", 17: "the same table",
    18: "all read", 19: "stops with the numbers; new partitions from 0", 20: "not read",
    21: "each kind its code, its neighbours written", 22: "stops within 1,000, goes on when told to",
    23: "waits, drops nothing", 24: "each a dead letter alone, in at most 2 log2 n + 2 calls",
    25: "ended at the limit + 200 ms, others unharmed", 26: "within the limit + 32 MiB; logs bounded",
    27: "no end of the process", 28: "each its code, before the driver",
    29: "found by running twice", 30: "refused, the old one goes on", 31: "refused, nothing is changed",
    32: "taken back in its probation, read again, nothing of it left", 33: "one after the other, the last one wins",
    34: "what was cut off is read again by the version that began it", 35: "a complete file, or none",
    36: "refused with line, or the rule",
    37: "waits or says why; restarts", 39: "exit 78 with its place", 40: "works or says why",
}
# The rows that tests hold.
TESTED = {6, 7, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 35, 36, 37, 39, 40}


class Line(NamedTuple):
    """One line of the table."""

    row: str
    fault: str
    injected: str
    lost: int
    extra: int
    wrong: int
    stale: int
    measured: str
    by: str

    @property
    def holds(self):
        return not (self.lost or self.extra or self.wrong or self.stale)


    @property
    def number(self):
        return int("".join(letter for letter in self.row if letter.isdigit()))


def of_tests(path):
    """The lines that tests have appended to a file, as JSON, and the rows that are missing there."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [Line(**{"by": "tests", **line, "row": str(line["row"])}) for line in lines]
    return lines, sorted(TESTED - {line.number for line in lines})


def table(lines):
    """Markdown."""
    names = ("#", "fault", "injected", "expected", "lost, extra, wrong, stale", "measured", "held by")
    rows = [names, ["---"] * len(names)]
    for line in sorted(lines, key=lambda line: (line.number, line.row, line.by, line.fault)):
        verdict = f"{line.lost}, {line.extra}, {line.wrong}, {line.stale}"
        rows.append((line.row, line.fault, line.injected, EXPECTED[line.number], verdict, line.measured, line.by))
    cells = ([str(cell).replace("|", "\\|") for cell in row] for row in rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def write(path, lines):
    """Puts the table into a page, between its marks."""
    page = pathlib.Path(path)
    before, rest = page.read_text().split("<!-- table -->\n", 1)
    _, after = rest.split("<!-- end -->", 1)
    page.write_text(f"{before}<!-- table -->\n{table(lines)}<!-- end -->{after}")
