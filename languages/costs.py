"""What `spotify` costs in each language: `host bench` measures it beside the one in Rust, in turn, and the pages
have that between their marks: one a table of all, each language's its own."""

import json
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/writing-a-plugin.md"
# The batches whose figures are shown, of those that are measured.
BATCH = 1_000
# How comments begin, by a source's suffix. Python's own, at the beginning of a definition, count as code.
COMMENTS = {".c": "//", ".h": "//", ".zig": "//", ".go": "//", ".rs": "//", ".js": ("//", "/*", "*"), ".py": "#"}
COMMENTS[".ts"] = COMMENTS[".js"]
BEGIN, END = "<!-- languages/check --table -->\n", "<!-- end -->"
HEAD = """
| `spotify` in | a message | of Rust's | its call alone | component | compiled in | from the cache in | starts in | memory | its lines | the SDK's |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
"""


@dataclass
class Costs:
    """What a plugin costs, what that is of Rust's time in the same run, and the lines that somebody wrote."""

    title: str
    language: str
    figures: dict
    ratio: float
    own: int
    sdk: int

    def row(self):
        told, cost = self.figures, at_batch(self.figures["costs"])
        cells = [
            self.title,
            f"{cost['all']['median_ns']:,.0f} ns",
            f"{self.ratio:.2f}",
            f"{cost['calls']['median_ns']:,.0f} ns",
            f"{told['bytes'] / 1e3:,.0f} kB",
            f"{told['compile_ms']:,.0f} ms",
            f"{told['cached_ms']:.1f} ms",
            f"{told['start_ms']:.2f} ms",
            f"{told['memory_bytes'] / 1e6:.1f} MB",
            f"{self.own}",
            f"{self.sdk}",
        ]
        return f"| {' | '.join(cells)} |\n"

    def sentence(self):
        told, cost = self.figures, at_batch(self.figures["costs"])
        beside = "" if self.language == "rust" else f" ({self.ratio:.2f} of Rust's time)"
        said = (
            f"`spotify` in {self.title} takes {cost['all']['median_ns']:,.0f} ns a message{beside} and "
            f"{told['memory_bytes'] / 1e6:.1f} MB. The component has {told['bytes'] / 1e3:,.0f} kB; it is compiled in "
            f"{told['compile_ms']:,.0f} ms, and loaded in {told['cached_ms']:.1f} ms from then on. "
            "[Compared](../../docs/writing-a-plugin.md#a-page-a-language) with the other languages.")
        return f"\n{textwrap.fill(said, 118, break_long_words=False, break_on_hyphens=False)}\n\n"


def of(language, folder):
    """Of the plugin in a folder, which is built."""
    own = [path for path in folder.iterdir() if path.suffix in COMMENTS and not is_sdk(path)]
    # With what one language takes from another; else it lies beside the language's page.
    sdk = [path for path in folder.iterdir() if is_sdk(path)]
    sdk = sdk or [path for path in page(language).parent.iterdir() if is_sdk(path)]
    return measured(folder, language, own, sdk)


def of_carried():
    """Of the one in Rust that the binary carries, beside itself: how far two runs of the same are apart."""
    plugins = ROOT / "plugins"
    # What runs a plugin in a test is nothing that the others have.
    sdk = [path for path in (plugins / "sdk/src").glob("*.rs") if path.stem != "testing"]
    return measured("spotify", "rust", [plugins / "spotify/src/lib.rs"], sdk)


def measured(plugin, language, own, sdk):
    command = ["host", "bench", plugin, "--beside", "spotify", "--json"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    told = json.loads(ran.stdout)
    whole = [at_batch(told[which]["costs"])["all"]["median_ns"] for which in ("plugin", "beside")]
    title = page(language).read_text().split("\n")[0].removeprefix("# A plugin in ")
    return Costs(title, language, told["plugin"], whole[0] / whole[1], lines(own), lines(sdk))


def page(language):
    return ROOT / "languages" / language / "README.md"


def at_batch(costs):
    [cost] = [each for each in costs if each["batch"] == BATCH]
    return cost


def is_sdk(path):
    return path.name.split(".")[0] == "sluice" and path.suffix in COMMENTS


def lines(sources):
    """The lines of code: those of tests, of comments and of nothing do not count."""
    return sum(code_of(source) for source in sources)


def code_of(source):
    text = source.read_text().split("#[cfg(test)]")[0]
    told = (line.strip() for line in text.splitlines())
    return sum(1 for line in told if line and not line.startswith(COMMENTS[source.suffix]))


def write(found):
    """Puts what was found between the pages' marks; the table has the fastest first."""
    rows = "".join(each.row() for each in sorted(found, key=lambda each: each.ratio))
    texts = {PAGE: marked(PAGE, HEAD + rows)}
    texts |= {page(each.language): marked(page(each.language), each.sentence()) for each in found}
    for path, text in texts.items():
        path.write_text(text)


def marked(path, told):
    text = path.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin] + told + text[end:]
