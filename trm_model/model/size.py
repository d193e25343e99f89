"""How large a model is: what stays the same while variants change."""

from dataclasses import dataclass
from typing import Literal

from trm_model.choices import check_fields
from trm_model.errors import require

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Sizes of a model. Defaults: the papers' (HRM §3, TRM §5).

    :param width: D, of every position.
    :param heads: attention heads; must divide ``width``.
    :param expansion: SwiGLU inner width over its width, before the factor 2/3 and rounding up to a
        multiple of 256.
    :param prefix: P, leading positions filled from the puzzle's embedding row; 0: no puzzle
        embedding.
    :param puzzle_width: width of one row of the puzzle table, at most ``prefix * width``; the rest
        of the prefix is zero, but for the registers.
    :param registers: so many of the prefix's positions, the last ones, hold fixed random vectors in
        place of zeros (SiC, arXiv 2601.19085); they are drawn after all weights.
    """

    width: int = 512
    heads: int = 8
    expansion: float = 4.0
    prefix: int = 16
    puzzle_width: int = 512
    registers: int = 0

    def __post_init__(self) -> None:
        check_fields(
            self,
            width=(1, 1 << 16),
            heads=(1, 1 << 16),
            expansion=(0.0, 1_000.0),
            prefix=(0, 1 << 16),
            puzzle_width=(0, 1 << 20),
            registers=(0, 1 << 16),
        )
        require(
            self.width % (2 * self.heads) == 0,
            f"width={self.width} with heads={self.heads}: each head needs an even number of "
            "channels; make width a multiple of 2 * heads",
        )
        require(self.expansion > 0, f"expansion={self.expansion}: expected a positive number")
        require(
            0 <= self.puzzle_width <= self.prefix * self.width
            and (self.prefix == 0) == (self.puzzle_width == 0),
            f"puzzle_width={self.puzzle_width} with prefix={self.prefix}, width={self.width}: a "
            "row must fit into its "
            f"{self.prefix} positions ({self.prefix * self.width}); both are 0 for a model "
            "without puzzle embedding",
        )
        require(
            self.puzzle_width <= (self.prefix - self.registers) * self.width,
            f"registers={self.registers} with prefix={self.prefix}, puzzle_width="
            f"{self.puzzle_width}, width={self.width}: expected positions that the puzzle's row "
            f"leaves empty, {self.prefix - -(-self.puzzle_width // self.width)}; give fewer "
            "registers, or a longer prefix",
        )
