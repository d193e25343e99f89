"""The documentation as tests see it: pages and the fenced blocks in them.

A comment before a block says what a test does with it: ``<!-- test: run -->`` runs it, ``<!-- test:
file NAME -->`` puts it into a file of that name for later blocks. Blocks without one are only
checked.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
    ]
)
DATED = {"log.md", "measurements.md"}
"""Pages that tell what was so on a date: names in them may be gone."""

_MARK = re.compile(r"<!-- test: (.+) -->")
_FENCE = re.compile(r"```(\w*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its page, the line it begins on, its language, its mark and its text."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def name(self) -> str:
        """``docs/training.md:12``, for test identifiers and messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order.

    :raises ValueError: a block that is not closed.
    """
    found: list[Block] = []
    mark, opened, lines = "", None, list[str]()
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if opened is not None:
            if line == "```":
                found.append(Block(page, opened[0], opened[1], mark, "\n".join(lines) + "\n"))
                mark, opened, lines = "", None, []
            else:
                lines.append(line)
        elif fence := _FENCE.fullmatch(line):
            opened = (number, fence[1])
        elif said := _MARK.fullmatch(line):
            mark = said[1]
        elif line:
            mark = ""
    if opened is not None:
        raise ValueError(f"{page}:{opened[0]}: this block is not closed")
    return found


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages; README's first, then those of docs by name."""
    pages = sorted(PAGES, key=lambda page: (page.parent != ROOT, page.name != "README.md", page))
    return [block for page in pages for block in blocks(page) if block.language in languages]


def files() -> dict[str, str]:
    """The files that pages give whole: name -> text."""
    given = all_blocks("python", "yaml")
    return {b.mark.removeprefix("file "): b.text for b in given if b.mark.startswith("file ")}


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of a block: words, and the file that its output goes to, if any."""

    words: tuple[str, ...]
    output: str | None


def commands(block: Block) -> list[Command]:
    """The command lines of a shell block, without comments. A backslash joins lines."""
    found: list[Command] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word != "&&":
                words.append(word)
            elif words:
                output = words[words.index(">") + 1] if ">" in words else None
                kept = words[: words.index(">")] if ">" in words else words
                found.append(Command(tuple(kept), output))
                words = []
    return found
