"""What the documentation names exists: commands, options, settings, files, names in Python."""

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from assets.benchmarks import BENCHMARKS
from assets.studies.study import load_studies
from tests.docs.pages import DATED, PAGES, ROOT, Block, all_blocks, commands, files
from tests.docs.parsing import check
from trm_model.variants import VARIANTS, load_variants

PACKAGES = ("pipelines", "assets", "trm_model", "storage", "tests", "docs")
UNSEEN = {".git", ".venv", ".dagster", "data", "__pycache__", ".ruff_cache", ".pytest_cache"}


def identifier(block: Block) -> str:
    return block.name


@pytest.mark.parametrize("block", all_blocks("sh"), ids=identifier)
def test_command_lines_can_be_parsed(block: Block) -> None:
    for command in commands(block):
        check(command)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trm train sudoku_4x4 --partitions 'trm|0'", "No such option"),
        ("trm trian sudoku_4x4", "no command"),
        ("trm train sudoku_5x5 --partition 'trm|0'", "sudoku_5x5"),
        ("trm train sudoku_4x4 --partition 'trn|0'", "no variant 'trn'"),
        ("trm train sudoku_4x4 --partition 'trm|0' --set checkpoint.step=3", "expected one of"),
        ("python -m trm_model.nothing", "no module"),
        ("make nothing", "make nothing"),
        ("nothing", "nothing"),
    ],
)
def test_wrong_command_lines_are_noticed(line: str, message: str) -> None:
    block = Block(ROOT / "README.md", 1, "sh", "", f"{line}\n")
    with pytest.raises(Exception, match=message):
        for command in commands(block):
            check(command)


@pytest.mark.parametrize("block", all_blocks("python"), ids=identifier)
def test_names_in_python_exist(block: Block) -> None:
    tree = ast.parse(block.text, block.name)
    modules: dict[str, ModuleType] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                modules[name.asname or name.name] = importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            if f"{(node.module or '').replace('.', '/')}.py" in files():
                continue
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            assert module is None or hasattr(module, node.attr), f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("block", [b for b in all_blocks("yaml") if not b.mark], ids=identifier)
def test_variants_and_studies_in_yaml_can_be_loaded(block: Block, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(block.text)
    if block.text.startswith("# studies/"):
        assert load_studies([tmp_path], BENCHMARKS, VARIANTS).named("mine").trainings()
        return
    assert "base" in yaml.safe_load(block.text)
    loaded = load_variants(tmp_path).named("mine")
    assert loaded not in VARIANTS.values()


def headings(page: Path) -> set[str]:
    """The anchors that a page's headings have on GitHub."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name}: {target} does not exist"
        assert not anchor or anchor in headings(found), f"{page.name}: {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    if page.name in DATED:
        return
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for name in re.findall(r"`([\w./-]+)`", text):
        if name.split("/")[0] in PACKAGES and "/" in name:
            assert (ROOT / name).exists(), f"{page.name}: {name} does not exist"


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = next(block for block in all_blocks("text") if "pipelines/ " in block.text)
    folder = ""
    for line in tree.text.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name
            assert (ROOT / folder).is_dir(), folder
        else:
            assert (ROOT / folder / name).exists(), folder + name
    shown = {line.split()[0].rstrip("/") for line in tree.text.splitlines() if line[0] != " "}
    assert shown == set(PACKAGES)


def test_every_page_can_be_found_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for page in PAGES:
        if page.parent.name == "docs":
            assert f"(docs/{page.name})" in text, f"README does not link to docs/{page.name}"


def test_pages_that_are_not_in_the_repository_are_not_cited() -> None:
    gone = [f"{name}.md" for name in ("DESIGN", "PAPERS", "DAGSTER")]
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        if UNSEEN & set(inside) or not path.is_file() or inside == ("docs", "log.md"):
            continue
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".cff", ".json"}:
            text = path.read_text("utf-8", errors="replace")
            cited = [name for name in gone if re.search(rf"\b{name}", text)]
            assert not cited, f"{'/'.join(inside)} cites {cited[0]}, which is not in the repository"
