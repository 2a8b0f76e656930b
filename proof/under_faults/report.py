"""What came of the rows, as a table for people."""
import json
import pathlib
from typing import NamedTuple


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


def of_tests(path):
    """The lines that tests have appended to a file, as JSON."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [Line(**{"by": "tests", **line, "row": str(line["row"])}) for line in lines]


def _place(line):
    number = "".join(letter for letter in line.row if letter.isdigit())
    return int(number or 0), line.row


def table(lines):
    """Markdown."""
    head = "| # | fault | injected | lost | extra | wrong | stale | measured | held by |\n"
    head += "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    return head + "".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n"
        for line in sorted(lines, key=_place)
    )


def write(path, lines):
    """Puts the table into a page, between its marks."""
    page = pathlib.Path(path)
    before, rest = page.read_text().split("<!-- table -->\n", 1)
    _, after = rest.split("<!-- end -->", 1)
    page.write_text(f"{before}<!-- table -->\n{table(lines)}<!-- end -->{after}")
