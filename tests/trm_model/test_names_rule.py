"""One rule for the names of variants, wherever one enters; broken files stop no others."""

from pathlib import Path

import pytest

from assets.benchmarks import BENCHMARKS
from assets.partitions import unknown_partition
from trm_model.command import main
from trm_model.errors import ConfigurationError
from trm_model.names import LONGEST, nearest, require_name
from trm_model.variants import VARIANTS, load_variants

GOOD = "base: trm_mlp\nchanges: {cycles: 4}\n"


def test_what_is_built_in_keeps_the_rule() -> None:
    for name in (*VARIANTS, *BENCHMARKS, "a", "x" * LONGEST, "Deeper_2"):
        require_name("variant", name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "x" * 235, "x" * (LONGEST + 1), "_x", "__HIVE_DEFAULT_PARTITION__", "1e5", "7"),
        *("true", "False", "NULL", "None", "nan", "inf", "Infinity", "2024_01_01", "größe"),
        *("a b", "a-b", "a=b", "a|b", "a/b", "..", "a\n", "x[1]"),
    ],
)
def test_names_that_would_break_later(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a name of at most 64 letters") as caught:
        require_name("variant", name)
    assert len(str(caught.value)) < 300
    if name and "/" not in name and name != "..":
        (tmp_path / f"{name}.yaml").write_text(GOOD)
        found = load_variants(tmp_path)
        assert not found.known
        assert "rename it" in found.broken[name]


def test_both_endings_are_read_and_editors_files_are_not(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yml", "c.YML", ".d.yaml", "e.txt"):
        (tmp_path / name).write_text(GOOD)
    assert list(load_variants(tmp_path).known) == ["a", "b", "c"]
    (tmp_path / "a.yml").write_text(GOOD)
    found = load_variants(tmp_path)
    assert list(found.known) == ["b", "c"]
    assert "rename one" in found.broken["a"]


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one good variant and several broken ones."""
    folder = tmp_path / "variants"
    folder.mkdir()
    (folder / "good.yaml").write_text(GOOD)
    (folder / "folder.yaml").mkdir()
    (folder / "listed.yaml").write_text("base: [trm]\nchanges: {}\n")
    (folder / "gone.yaml").symlink_to(folder / "nowhere")
    (folder / "binary.yaml").write_bytes(b"\x00\xff")
    (folder / "keys.yaml").write_text("base: trm\nchanges: {1: 2}\n")
    (folder / "twice.yaml").write_text("base: trm\nchanges: {layers: 2, layers: 3}\n")
    (folder / "both.yaml").write_text("base: trm\nchanges: {}\nbase: hrm\n")
    for name, code in (("syntax", "def ("), ("fails", "1 / 0"), ("imports", "import not_there")):
        (tmp_path / f"own_{name}.py").write_text(code)
        mixer = f"base: trm\nchanges: {{mixer: 'own_{name}:Mixer'}}\n"
        (folder / f"{name}.yaml").write_text(mixer)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_broken_file_stops_no_other(broken: Path) -> None:
    found = load_variants(broken)
    assert list(found.known) == ["good"]
    says = {
        "folder": "a folder; expected a file in YAML",
        "listed": "base ['trm']: expected the name of one built-in variant",
        "gone": "no file, or a link to none",
        "binary": "expected YAML",
        "twice": "the key 'layers' stands twice, the second time in line 2; expected it once",
        "both": "the key 'base' stands twice, the second time in line 3",
        "keys": "unknown variant field 1",
        "syntax": "own_syntax: SyntaxError: ",
        "fails": "own_fails: ZeroDivisionError: division by zero",
        "imports": "No module named 'not_there'",
    }
    assert set(found.broken) == set(says)
    for name, said in says.items():
        assert found.broken[name].startswith(f"{broken / name}.yaml: ")
        assert said in found.broken[name]
        assert "\n" not in found.broken[name]
    assert "own_fails.py, line 1" in found.broken["fails"]


def test_commands_go_on_without_broken_files_and_name_them(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["variants", "--own", str(broken)]) == 0
    printed = capsys.readouterr()
    assert "good" in printed.out
    assert printed.err.count("note: left out: ") == 10
    assert main(["variants", "good", "--own", str(broken)]) == 0
    capsys.readouterr()
    assert main(["variants", "listed", "--own", str(broken)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {broken}/listed.yaml: base ['trm']")


def test_a_folder_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["variants", "--own", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_the_nearest_names() -> None:
    assert nearest("TRM_MPL", VARIANTS).startswith("did you mean trm_mlp")
    assert nearest("qqqq", VARIANTS) == ""


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("trm_mpl|0", "no variant 'trm_mpl': did you mean trm_mlp?"),
        ("trm_mlp|9", "no seed '9' of trm_mlp: expected 0 to 1"),
        ("trm_mlp", "partition 'trm_mlp': expected VARIANT|SEED such as 'trm_mlp|0'"),
        ("bad|0", "bad.yaml: broken"),
    ],
)
def test_a_wrong_partition_says_first_which_half_is_wrong(key: str, message: str) -> None:
    known = ["trm_mlp|0", "trm_mlp|1", "hrm|0", "hrm|1"]
    assert unknown_partition(key, known, {"bad": "bad.yaml: broken"}).startswith(message)
