"""Published figures, as shares of the test set. docs/published.md tells where each is from."""

from typing import NamedTuple


class Published(NamedTuple):
    """A published figure and where it stands.

    :param value: 0..1; of ``metric``: ``exact_accuracy`` (Sudoku, mazes), ``pass@1`` or ``pass@2``
        (ARC, attempts).
    :param depth, forward_passes, parameters: as the table prints them beside it; parameters in
        millions.
    :param trained_on: what the method was trained on, in words; empty: not said.
    :param test_compute: what an answer costs, in words; empty: not said.
    :param read: as readers of the paper give it; it was not read in the paper itself.
    """

    value: float
    source: str
    metric: str = "exact_accuracy"
    depth: int | None = None
    forward_passes: int | None = None
    parameters: float | None = None
    trained_on: str = ""
    test_compute: str = ""
    read: bool = False


_TRM = "TRM (arXiv 2510.04871)"
_TABLE_1, _TABLE_2, _TABLE_3, _TABLE_4, _TABLE_5 = (
    f"{_TRM}, Table {number}" for number in (1, 2, 3, 4, 5)
)
_DRM = "DRM (arXiv 2604.18839), after summaries of it"
_SIC, _EQR, _CGAR, _URM = (
    "SiC (arXiv 2601.19085)",
    "EqR (arXiv 2605.21488)",
    "CGAR (arXiv 2511.08653)",
    "URM (arXiv 2512.14693)",
)


def _share(percent: float) -> float:
    return round(percent / 100, 6)  # 0.874, not 0.8740000000000001


def _table_1(accuracy: float, depth: int, passes: int, parameters: float) -> Published:
    return Published(
        _share(accuracy), _TABLE_1, depth=depth, forward_passes=passes, parameters=parameters
    )


def _table_3(rows: dict[str, tuple[int, float]]) -> dict[tuple[str, str], Published]:
    return {
        ("sudoku_extreme", name): Published(_share(accuracy), _TABLE_3, depth=depth)
        for name, (depth, accuracy) in rows.items()
    }


def _model(
    name: str, parameters: float | None = None, **percent: float
) -> dict[tuple[str, str], Published]:
    return {
        (benchmark, name): Published(
            _share(value),
            _TABLE_5 if benchmark.startswith("arc") else _TABLE_4,
            "pass@2" if benchmark.startswith("arc") else "exact_accuracy",
            parameters=parameters,
        )
        for benchmark, value in percent.items()
    }


PUBLISHED: dict[tuple[str, str], Published] = {
    # Of variants in VARIANTS: (benchmark, variant). Later lines stand for the same figure in a
    # table that says more.
    **_model("direct", 27, sudoku_extreme=0.0, maze_hard=0.0, arc_agi_1=21.0, arc_agi_2=0.0),
    **_model("hrm", 27, sudoku_extreme=55.0, maze_hard=74.5, arc_agi_1=40.3, arc_agi_2=5.0),
    **_model("trm", 7, sudoku_extreme=74.7, maze_hard=85.3, arc_agi_1=44.6, arc_agi_2=7.8),
    **_model("trm_mlp", 19, sudoku_extreme=87.4, maze_hard=0.0, arc_agi_1=29.6, arc_agi_2=2.4),
    ("sudoku_extreme", "hrm"): _table_1(55.0, 24, 2, 27),
    ("sudoku_extreme", "trm_mlp"): _table_1(87.4, 42, 1, 5),
    ("sudoku_extreme", "with_act"): _table_1(86.1, 42, 2, 5),
    ("sudoku_extreme", "separate_networks"): _table_1(82.4, 42, 1, 10),
    ("sudoku_extreme", "no_ema"): _table_1(79.9, 42, 1, 5),
    ("sudoku_extreme", "four_layers"): _table_1(79.5, 48, 1, 10),
    ("sudoku_extreme", "trm"): _table_1(74.7, 42, 1, 7),
    ("sudoku_extreme", "self_attention"): _table_1(74.7, 42, 1, 7),
    ("sudoku_extreme", "two_cycles"): _table_1(73.7, 12, 1, 5),
    ("sudoku_extreme", "one_step_gradient"): _table_1(56.5, 42, 1, 5),
    ("sudoku_extreme", "multi_scale"): Published(0.776, _TABLE_2),
    ("sudoku_extreme", "single_feature"): Published(0.719, _TABLE_2),
    # The first row's printed depths, 9 and 7, do not follow from its n and T (8 and 6). TRM ran out
    # of memory in two rows.
    **_table_3(
        {
            "hrm_n1_t1": (9, 46.4),
            "hrm_n2_t2": (24, 55.0),
            "hrm_n3_t3": (48, 61.6),
            "hrm_n4_t4": (80, 59.5),
            "hrm_n6_t3": (84, 62.3),
            "hrm_n3_t6": (96, 58.8),
            "hrm_n6_t6": (168, 57.5),
            "trm_n2_t1": (7, 63.2),
            "trm_n4_t2": (20, 81.9),
            "trm_n6_t3": (42, 87.4),
            "trm_n8_t4": (72, 84.2),
            "trm_n6_t6": (84, 85.8),
        }
    ),
    ("sudoku_extreme", "drm"): Published(0.20, _DRM, read=True),
    ("maze_hard", "drm"): Published(0.81, _DRM, read=True),
    ("arc_agi_1", "drm"): Published(0.505, f"{_DRM}, on an easy set", "pass@2", read=True),
    ("arc_agi_2", "drm"): Published(0.167, _DRM, "pass@2", parameters=7, read=True),
    ("sudoku_extreme", "winner_takes_all"): Published(
        0.969, f"{_SIC}, with Muon and gated norm; its baseline 85.5"
    ),
    ("sudoku_extreme", "random_latents"): Published(0.864, f"{_EQR}, depth 16"),
    ("sudoku_extreme", "depth_curriculum"): Published(0.860, f"{_CGAR}, in 0.58 of the time"),
    ("sudoku_extreme", "short_convolution"): Published(
        0.776, f"{_URM}, with first loops without gradient"
    ),
    ("arc_agi_1", "short_convolution"): Published(0.538, _URM, "pass@1"),
    ("arc_agi_2", "short_convolution"): Published(0.160, _URM, "pass@1"),
}


_PAPER = "1,000 puzzles"
_SOTAKU = "2.7 million puzzles"


def _method(
    name: str,
    source: str,
    trained_on: str,
    test_compute: str,
    parameters: float | None = None,
    *,
    metric: str = "",
    read: bool = False,
    **percent: float,
) -> dict[tuple[str, str], Published]:
    return {
        (benchmark, name): Published(
            _share(value),
            source,
            metric or ("pass@2" if benchmark.startswith("arc") else "exact_accuracy"),
            parameters=parameters,
            trained_on=trained_on,
            test_compute=test_compute,
            read=read,
        )
        for benchmark, value in percent.items()
    }


OTHERS: dict[tuple[str, str], Published] = {
    # Of methods that are no variant here: (benchmark, method), for leaderboards.
    **_model(
        "DeepSeek R1", 671_000, sudoku_extreme=0.0, maze_hard=0.0, arc_agi_1=15.8, arc_agi_2=1.3
    ),
    **_model("Claude 3.7 8K", sudoku_extreme=0.0, maze_hard=0.0),
    **_model("Claude 3.7 16K", arc_agi_1=28.6, arc_agi_2=0.7),
    **_model("o3-mini-high", sudoku_extreme=0.0, maze_hard=0.0, arc_agi_1=34.5, arc_agi_2=3.0),
    **_model("Gemini 2.5 Pro 32K", arc_agi_1=37.0, arc_agi_2=4.9),
    **_model("Grok-4-thinking", 1_700_000, arc_agi_1=66.7, arc_agi_2=16.0),
    **_model("Bespoke (Grok-4)", arc_agi_1=79.6, arc_agi_2=29.4),
    **_method(
        "DRM 14M", _DRM, "1,000 puzzles; NVARC data", "16 steps", 14, read=True, arc_agi_2=24.9
    ),
    **_method("PTRM", "arXiv 2605.19943", "", "100 rollouts x 64 steps", sudoku_extreme=98.75),
    **_method(
        "PTRM, highest halting logit",
        "arXiv 2605.19943",
        "",
        "100 rollouts x 64 steps",
        read=True,
        maze_hard=85.2,
        arc_agi_2=9.7,
    ),
    **_method(
        "PTRM, most frequent answer",
        "arXiv 2605.19943",
        "",
        "100 rollouts x 64 steps",
        read=True,
        maze_hard=86.7,
    ),
    **_method(
        "guided exploration",
        "arXiv 2605.25230",
        "",
        "16 particles x 48 steps",
        read=True,
        sudoku_extreme=98.0,
    ),
    **_method("SiC", "arXiv 2601.19085", _PAPER, "16 steps", sudoku_extreme=96.9),
    **_method(
        "SiC, one start in training", "arXiv 2601.19085", _PAPER, "16 steps", sudoku_extreme=85.5
    ),
    **_method("SiC, any shortest path", "arXiv 2601.19085", _PAPER, "16 steps", maze_hard=94.9),
    **_method("EqR", "arXiv 2605.21488", _PAPER, "16 steps", sudoku_extreme=86.4),
    **_method("EqR, depth 64", "arXiv 2605.21488", _PAPER, "64 steps", sudoku_extreme=93.0),
    **_method(
        "EqR, 128 starts", "arXiv 2605.21488", _PAPER, "128 starts x 64 steps", sudoku_extreme=99.8
    ),
    **_method(
        "LDT",
        "arXiv 2605.08605",
        _PAPER,
        "up to 64 chains x 1,000 rounds",
        0.8,
        sudoku_extreme=99.96,
    ),
    **_method(
        "LDT, any shortest path",
        "arXiv 2605.08605",
        _PAPER,
        "up to 64 chains x 1,000 rounds",
        1.8,
        maze_hard=99.3,
    ),
    **_method(
        "InfiLoop",
        "arXiv 2610.11570",
        _PAPER,
        "thousands of layers",
        sudoku_extreme=97.9,
        maze_hard=87.4,
    ),
    **_method(
        "InfiLoop", "arXiv 2610.11570", "", "thousands of layers", arc_agi_1=49.1, arc_agi_2=13.6
    ),
    **_method(
        "FPRM",
        "arXiv 2606.18206",
        _PAPER,
        "up to 3,744 layers",
        read=True,
        sudoku_extreme=94.2,
        maze_hard=87.0,
    ),
    **_method(
        "FPRM",
        "arXiv 2606.18206",
        "",
        "up to 3,744 layers",
        read=True,
        arc_agi_1=47.5,
        arc_agi_2=6.2,
    ),
    **_method(
        "RSM",
        "arXiv 2603.15641",
        "all 3.8 million puzzles",
        "up to 20,000 steps",
        sudoku_extreme=97.5,
    ),
    **_method("RSM", "arXiv 2603.15641", "", "up to 20,000 steps", maze_hard=80.0),
    **_method("sotaku", "its repository", _SOTAKU, "16 iterations", sudoku_extreme=81.8),
    **_method("sotaku, 128", "its repository", _SOTAKU, "128 iterations", sudoku_extreme=95.3),
    **_method("sotaku, 1,024", "its repository", _SOTAKU, "1,024 iterations", sudoku_extreme=98.9),
    **_method(
        "GRAM",
        "arXiv 2605.19376",
        _PAPER,
        "20 samples",
        read=True,
        sudoku_extreme=97.0,
    ),
    **_method(
        "GRAM", "arXiv 2605.19376", "", "20 samples", read=True, arc_agi_1=52.0, arc_agi_2=11.1
    ),
    **_method("Attractor", "arXiv 2605.12466", _PAPER, "", 27, sudoku_extreme=91.4, maze_hard=93.1),
    **_method("Attractor 7M", "arXiv 2605.12466", _PAPER, "", 7, sudoku_extreme=54.3),
    **_method("CGAR", "arXiv 2511.08653", _PAPER, "16 steps", sudoku_extreme=86.0),
    **_method("URM", "arXiv 2512.14693", _PAPER, "16 steps", sudoku_extreme=77.6),
    **_method(
        "URM, one attempt",
        "arXiv 2512.14693",
        "as TRM",
        "16 steps",
        metric="pass@1",
        arc_agi_1=53.8,
        arc_agi_2=16.0,
    ),
    **_method("DIS", "arXiv 2511.16886", "", "6 steps", 0.8, arc_agi_1=24.0),
    **_method("CHARM", "arXiv 2609.33270", "more tasks", "", arc_agi_1=84.0, arc_agi_2=46.7),
    **_method(
        "nano-trm", "its authors' figure", _PAPER, "16 steps", sudoku_extreme=87.0, maze_hard=75.0
    ),
}


def figure_of(benchmark: str, name: str) -> str | None:
    """The figure of a variant or of another method on a benchmark and where it stands, in words;
    None: there is none.
    """
    figure = PUBLISHED.get((benchmark, name))
    if figure is not None:
        return f"{figure.value:.1%} on {benchmark} ({figure.source})"
    other = OTHERS.get((benchmark, name))
    return other and f"{other.value:.1%} on {benchmark} ({name}, {other.source})"


def published_names(benchmark: str) -> list[str]:
    """The variants and other methods that :func:`figure_of` has a figure of on a benchmark."""
    return [name for of, name in (*PUBLISHED, *OTHERS) if of == benchmark]
