"""Published figures: (benchmark, variant) -> accuracy, share of the test set. Sources as in PAPERS.md."""

from typing import NamedTuple


class Published(NamedTuple):
    """A published figure: ``value`` in 0..1 and where it stands."""

    value: float
    source: str


_TRM_1, _TRM_2, _TRM_4 = (f"TRM (arXiv 2510.04871), Table {number}" for number in (1, 2, 4))

PUBLISHED: dict[tuple[str, str], Published] = {
    ("sudoku_extreme", "hrm"): Published(0.550, _TRM_1),
    ("sudoku_extreme", "trm_mlp"): Published(0.874, _TRM_1),
    ("sudoku_extreme", "with_act"): Published(0.861, _TRM_1),
    ("sudoku_extreme", "separate_networks"): Published(0.824, _TRM_1),
    ("sudoku_extreme", "no_ema"): Published(0.799, _TRM_1),
    ("sudoku_extreme", "four_layers"): Published(0.795, _TRM_1),
    ("sudoku_extreme", "trm"): Published(0.747, f"{_TRM_1} (self-attention)"),
    ("sudoku_extreme", "two_cycles"): Published(0.737, _TRM_1),
    ("sudoku_extreme", "one_step_gradient"): Published(0.565, _TRM_1),
    ("sudoku_extreme", "multi_scale"): Published(0.776, _TRM_2),
    ("sudoku_extreme", "single_feature"): Published(0.719, _TRM_2),
    ("sudoku_extreme", "direct"): Published(0.0, _TRM_4),
}
