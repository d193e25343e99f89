"""Published figures, as shares of the test set. docs/published.md tells where each is from."""

from typing import NamedTuple


class Published(NamedTuple):
    """A published figure and where it stands.

    :param value: 0..1; of ``metric``: ``exact_accuracy`` (Sudoku, mazes), ``pass@1`` or ``pass@2``
        (ARC, attempts).
    :param depth, forward_passes, parameters: as the table prints them beside it; parameters in
        millions.
    """

    value: float
    source: str
    metric: str = "exact_accuracy"
    depth: int | None = None
    forward_passes: int | None = None
    parameters: float | None = None


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


def _tables_4_and_5(
    name: str,
    sudoku: float,
    maze: float,
    arc_1: float,
    arc_2: float,
    parameters: float | None = None,
) -> dict[tuple[str, str], Published]:
    return {
        ("sudoku_extreme", name): Published(_share(sudoku), _TABLE_4, parameters=parameters),
        ("maze_hard", name): Published(_share(maze), _TABLE_4, parameters=parameters),
        ("arc_agi_1", name): Published(_share(arc_1), _TABLE_5, "pass@2", parameters=parameters),
        ("arc_agi_2", name): Published(_share(arc_2), _TABLE_5, "pass@2", parameters=parameters),
    }


PUBLISHED: dict[tuple[str, str], Published] = {
    # Of variants in VARIANTS: (benchmark, variant). Later lines stand for the same figure in a
    # table that says more.
    **_tables_4_and_5("direct", 0.0, 0.0, 21.0, 0.0, 27),
    **_tables_4_and_5("hrm", 55.0, 74.5, 40.3, 5.0, 27),
    **_tables_4_and_5("trm", 74.7, 85.3, 44.6, 7.8, 7),
    **_tables_4_and_5("trm_mlp", 87.4, 0.0, 29.6, 2.4, 19),
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
    ("sudoku_extreme", "drm"): Published(0.20, _DRM),
    ("maze_hard", "drm"): Published(0.81, _DRM),
    ("arc_agi_2", "drm"): Published(0.167, _DRM, "pass@2", parameters=7),
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
    ("arc_agi_2", "DRM 14M"): Published(0.249, f"{_DRM}, with extra data", "pass@2", parameters=14),
    ("sudoku_extreme", "PTRM"): Published(
        0.9875, "PTRM (arXiv 2605.19943), 100 rollouts, depth 64"
    ),
    ("maze_hard", "PTRM"): Published(0.852, "PTRM (arXiv 2605.19943)"),
    ("arc_agi_2", "PTRM"): Published(0.097, "PTRM (arXiv 2605.19943)", "pass@2"),
    ("sudoku_extreme", "EqR depth 64"): Published(0.930, _EQR),
    ("sudoku_extreme", "EqR breadth 128"): Published(0.998, _EQR),
    ("arc_agi_1", "DIS"): Published(0.24, "DIS (arXiv 2511.16886)", "pass@2", parameters=0.8),
    ("sudoku_extreme", "nano-trm"): Published(0.87, "nano-trm, its authors' figure"),
    ("maze_hard", "nano-trm"): Published(0.75, "nano-trm, its authors' figure"),
}
