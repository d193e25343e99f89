"""The authors' models: what their configurations mean, and their checkpoints in and out.

TRM, HRM and the direct baseline as in TinyRecursiveModels at e7b6871, DRM as in its own repository
(whose present names, ``core.…``, and earlier ones, ``inner.…``, are both read). Their checkpoints
are plain state dicts written by ``torch.save``; nothing is unpickled but tensors.
"""

import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from storage.atomic import new_file
from storage.reading import one_line, out_of_memory
from trm_model.choices import changed
from trm_model.errors import ConfigurationError, require
from trm_model.finite import require_finite
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.curricula.constant import Constant
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.dense import Dense
from trm_model.model.generations.parallel import Parallel
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.haltings.compared import Compared
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.layers import NORM_EPSILON, inner_width
from trm_model.model.mixers.attention import Attention
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.none import NoPosition
from trm_model.model.positions.position import Position
from trm_model.model.positions.rope import Rotary
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Precision, Size
from trm_model.model.solvers.iteration import Iteration
from trm_model.model.starts.fixed import FixedStart
from trm_model.model.starts.noisy import NoisyStart, Schedule
from trm_model.model.starts.start import Start
from trm_model.model.variant import Variant
from trm_model.model.weights import load_weights, require_same_names
from trm_model.variants import VARIANTS

TRM_CLASS, HRM_CLASS, DIRECT_CLASS = (
    "TinyRecursiveReasoningModel_ACTV1",
    "HierarchicalReasoningModel_ACTV1",
    "Model_ACTV2",
)
LOSSES: dict[str, Literal["stablemax", "softmax"]] = {
    "stablemax_cross_entropy": "stablemax",
    "softmax_cross_entropy": "softmax",
}
_TORCH = (b"PK\x03\x04", b"\x80\x02")
"""First bytes of the files of ``torch.save``: an archive, and before version 1.6 a pickle."""
DEFAULT_PREFIX = 16
"""``puzzle_emb_len`` of TRM and DRM where their configuration has none; HRM and the baseline always
take what the row needs."""
PREFIXES = ("_orig_mod.model.", "_orig_mod.", "model.")
ANSWER_TOKENS = "inner.embed_tokens_labels.embedding_weight"
MIXERS: dict[type[Mixer], dict[str, str]] = {
    TokenMlp: {"gate_up": "mlp_t.gate_up_proj", "down": "mlp_t.down_proj"},
    Attention: {"qkv": "self_attn.qkv_proj", "out": "self_attn.o_proj"},
}
"""The mixers that their code has: our names of a block's weights -> theirs."""
POSITIONS: dict[str, tuple[Position, ...]] = {
    "rope": (Rotary(),),
    "learned": (Learned(),),
    "none": (NoPosition(),),
}
"""Their names of positions, ``pos_encodings`` -> what they are here."""
STARTS: dict[type[Start], dict[str, str]] = {
    FixedStart: {},
    NoisyStart: {"answer_tokens": ANSWER_TOKENS},
}
"""The starts that their code has: our names of their weights -> theirs."""
DRM_NAMES = (
    ("inner.", "core."),
    ("L_level.", "recurrent_block."),
    ("H_init", "decode_init"),
    ("L_init", "scratchpad_init"),
)
"""Names of TRM's code -> names of DRM's present code."""


def shared_name(name: str) -> str:
    """One of their names without the wrappers' prefix, and DRM's as the others'."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
    name = name.removeprefix(prefix)
    if name == "embed_tokens_labels":  # So our recordings hold it.
        return ANSWER_TOKENS
    for shared, present in DRM_NAMES:
        name = name.replace(present, shared)
    return name


def variant_of(config: Mapping[str, Any], state_names: Collection[str]) -> Variant:
    """The variant that an authors' configuration (option names as in their ``config/arch``)
    describes.

    The number of latents is not among their options (each is a model file of its own); the initial
    vectors in the state dict tell it: ``L_init`` alone: none; ``H_init`` and ``L_init``: one;
    ``H_init`` and ``L1_init``, ``L2_init``, …: several. A ``mask_token`` makes it a DRM.

    :raises ConfigurationError: a model or an option that is not built here.
    """
    name = config.get("class", TRM_CLASS)
    require(
        name in (TRM_CLASS, HRM_CLASS, DIRECT_CLASS),
        f"model class {name!r} is not built here: expected one of {TRM_CLASS}, {HRM_CLASS}, "
        f"{DIRECT_CLASS}",
    )
    for option, value in (("rms_norm_eps", NORM_EPSILON), ("rope_theta", Rotary().base)):
        require(
            config.get(option, value) == value,
            f"{option}={config.get(option)!r}: expected {value}, which all published models use",
        )
    loss = config.get("loss", "stablemax_cross_entropy")
    require(loss in LOSSES, f"loss={loss!r}: expected one of {', '.join(LOSSES)}")
    encoding = config["pos_encodings"]
    require(
        encoding in POSITIONS,
        f"pos_encodings={encoding!r}: expected one of {', '.join(POSITIONS)}",
    )
    positions = POSITIONS[encoding]
    if config.get("mlp_t", False) and name != DIRECT_CLASS:
        # Their token MLP ignores rotary positions.
        mixer = TokenMlp(positions=POSITIONS["none"] if encoding == "rope" else positions)
    else:
        mixer = Attention(positions=positions)
    base = Variant(mixer=mixer, loss=LOSSES[loss], ema=False)
    with_continue = not config.get("no_ACT_continue", True)
    if name == DIRECT_CLASS:
        # One pass, whatever H_cycles says; both heads are compared although nothing trains the
        # second.
        return replace(
            base,
            layers=config["H_layers"],
            latents=0,
            latent_updates=0,
            cycles=1,
            halting=Compared(),
        )
    base = replace(
        base,
        layers=config["L_layers"],
        latent_updates=config["L_cycles"],
        cycles=config["H_cycles"],
    )
    if name == HRM_CLASS:
        answer_layers = None if config["H_layers"] == config["L_layers"] else config["H_layers"]
        return replace(
            base,
            networks="separate",
            answer_layers=answer_layers,
            backprop=LastCalls(2),
            halting=QLearning(),
        )
    if "mask_token" in config:
        noise: str = config.get("noise", "mask, cosine ratio")
        schedule = next((name for name in get_args(Schedule) if name in noise), None)
        require(
            schedule is not None and "mask" in noise,
            f"noise={noise!r}: expected masks with a {', '.join(get_args(Schedule))} ratio",
        )
        return replace(
            base,
            start=NoisyStart(schedule=schedule or "cosine", scaled=False),
            evaluation=Evaluation(depth=config.get("steps", 16)),
        )
    several = sum(re.fullmatch(r"inner\.L\d+_init", name) is not None for name in state_names)
    latents = several or int("inner.H_init" in state_names)
    halting = QLearning() if with_continue else BinaryCrossEntropy()
    return replace(base, latents=latents, halting=halting)


def size_of(config: Mapping[str, Any]) -> Size:
    """The sizes in an authors' configuration. ``puzzle_emb_len`` 0 means: as many positions as a
    row needs."""
    width, row = config["hidden_size"], config.get("puzzle_emb_ndim", 0)
    needed = -(-row // width)
    trm = config.get("class", TRM_CLASS) == TRM_CLASS
    prefix = (config.get("puzzle_emb_len", DEFAULT_PREFIX) or needed) if trm else needed
    return Size(
        width=width,
        heads=config["num_heads"],
        expansion=config["expansion"],
        prefix=prefix if row else 0,
        puzzle_width=row,
    )


def start_names(variant: Variant) -> list[str]:
    """Their names of the initial vectors: of the answer, then of each latent."""
    if variant.latents == 0:
        # The baseline's only state is the answer's; the single-feature TRM calls it z.
        return ["inner.L_init" if variant.latent_updates else "inner.H_init"]
    if variant.latents == 1:
        return ["inner.H_init", "inner.L_init"]
    return ["inner.H_init", *(f"inner.L{number}_init" for number in range(1, variant.latents + 1))]


def names(variant: Variant, size: Size) -> dict[str, str]:
    """Our names -> theirs, of all but the initial vectors (:func:`start_names`), whose shapes
    differ.

    :raises ConfigurationError: for variants that their code does not have.
    """
    for name, value, theirs in (
        ("generation", variant.generation, Parallel()),
        ("feed_forward", variant.feed_forward, Dense()),
        ("tied", variant.tied, False),
        ("curriculum", variant.curriculum, Constant()),
        ("solver", variant.solver, Iteration()),
        ("registers", size.registers, 0),
    ):
        require(
            value == theirs,
            f"{name}={value!r}: the authors' code has no such model; their format holds "
            f"{name}={theirs!r} only",
        )
    for name, value, known in (
        ("start", variant.start, STARTS),
        ("mixer", variant.mixer, MIXERS),
    ):
        require(
            type(value) in known,
            f"{name}={value!r}: the authors' code has no such model; their format holds "
            f"{', '.join(cls.__name__ for cls in known)} only",
        )
    require(
        set(changed(variant.mixer)) <= {"positions"},
        f"mixer={variant.mixer!r}: the authors' code has no such model; their format holds mixers "
        "without norms of their own only",
    )
    require(
        variant.mixer.told_by in POSITIONS.values(),
        f"positions={variant.mixer.told_by!r}: the authors' code has no such model; their format "
        f"holds one of {', '.join(POSITIONS)} only",
    )
    result = {
        "tokens": "inner.embed_tokens.embedding_weight",
        "head": "inner.lm_head.weight",
        "halt_weight": "inner.q_head.weight",
        "halt_bias": "inner.q_head.bias",
    }
    result |= STARTS[type(variant.start)]
    if size.puzzle_width:
        result["puzzle_rows"] = "inner.puzzle_emb.weights"
    if Learned() in variant.mixer.told_by:
        result["positions"] = "inner.embed_pos.embedding_weight"
    if variant.networks == "separate":
        levels = (("L_level", variant.layers), ("H_level", variant.answer_layers or variant.layers))
    else:
        levels = (("L_level" if variant.latent_updates else "H_level", variant.layers),)
    for network, (level, layers) in enumerate(levels):
        for layer in range(layers):
            mine, of_layer = f"networks.{network}.{layer}", f"inner.{level}.layers.{layer}"
            for ours, theirs in MIXERS[type(variant.mixer)].items():
                result[f"{mine}.mixer.{ours}"] = f"{of_layer}.{theirs}.weight"
            for ours, theirs in (("gate_up", "gate_up_proj"), ("down", "down_proj")):
                result[f"{mine}.channels.{ours}"] = f"{of_layer}.mlp.{theirs}.weight"
    return result


def to_ours(state: Mapping[str, Tensor], variant: Variant, size: Size) -> dict[str, Tensor]:
    """Their state dict under our names and shapes, float32, for ``Reasoner.load_state_dict``.

    :raises ConfigurationError: naming missing or unexpected entries.
    """
    state = {shared_name(name): tensor for name, tensor in state.items()}
    known, starts = names(variant, size), start_names(variant)
    require_same_names("authors' state dict", state, {*known.values(), *starts})
    ours = {name: state[theirs].to(torch.float32) for name, theirs in known.items()}
    answer, *latents = (state[name].to(torch.float32) for name in starts)
    ours["answer_start"] = answer
    ours["latent_starts"] = torch.stack(latents) if latents else answer.new_zeros(0, len(answer))
    if not size.puzzle_width:
        ours["puzzle_rows"] = torch.zeros(1, 0)
    return ours


def to_theirs(reasoner: Reasoner) -> dict[str, Tensor]:
    """Our weights under the names of their code (DRM: of its present code), the inverse of
    :func:`to_ours`.

    The initial vectors are in the precision of the model, as theirs are.

    :raises ConfigurationError: for variants that their code does not have.
    """
    state, variant = reasoner.state_dict(), reasoner.variant
    theirs = {name: state[ours] for ours, name in names(variant, reasoner.size).items()}
    starts = (state["answer_start"], *state["latent_starts"])
    theirs |= {
        name: start.to(reasoner.dtype)
        for name, start in zip(start_names(variant), starts, strict=True)
    }
    if ANSWER_TOKENS in theirs:
        for old, new in DRM_NAMES:
            theirs = {name.replace(old, new): tensor for name, tensor in theirs.items()}
    return {name: tensor.detach().cpu().clone() for name, tensor in theirs.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What a state dict of theirs says about its model by names and shapes; ``positions_count`` is
    P + L where something has that size."""

    variant: Variant
    width: int
    expansion: float
    rows: int
    positions_count: int | None
    puzzle_rows: int
    puzzle_width: int


def infer(state: Mapping[str, Tensor]) -> Shapes:
    """Kind, layers and widths of the model in a state dict of theirs (names as :func:`shared_name`
    gives them).

    Not in it, and therefore as published: n and T (TRM 6 and 3, HRM 2 and 2, DRM 4 and 3), rotary
    positions with attention, and which calls have a gradient.

    :raises ConfigurationError: no model of theirs.
    """

    def count(level: str) -> int:
        return len(
            {
                match.group(1)
                for name in state
                if (match := re.match(rf"inner\.{level}\.layers\.(\d+)\.", name))
            }
        )

    low, high = count("L_level"), count("H_level")
    tokens = state.get("inner.embed_tokens.embedding_weight")
    if tokens is None or not low + high:
        raise ConfigurationError(
            "no state dict of TRM, HRM or DRM: expected inner.embed_tokens.embedding_weight and "
            "layers, "
            f"found {', '.join(sorted(state)[:3])}; give another file"
        )
    level = "L_level" if low else "H_level"
    width = tokens.shape[1]
    widths = {width: state[f"inner.{level}.layers.0.mlp.down_proj.weight"].shape[1]}
    learned = state.get("inner.embed_pos.embedding_weight")
    across = state.get(f"inner.{level}.layers.0.mlp_t.down_proj.weight")
    if across is not None:
        widths[across.shape[0]] = across.shape[1]
        mixer = TokenMlp(positions=POSITIONS["none" if learned is None else "learned"])
    else:
        mixer = Attention(positions=POSITIONS["rope" if learned is None else "learned"])
    several = sum(re.fullmatch(r"inner\.L\d+_init", name) is not None for name in state)
    if low and high:
        base = replace(VARIANTS["hrm"], layers=low, answer_layers=None if low == high else high)
    elif high:
        base = replace(VARIANTS["direct"], layers=high)
    elif ANSWER_TOKENS in state:
        base = replace(VARIANTS["drm"], layers=low)
    else:
        base = replace(VARIANTS["trm"], layers=low, latents=several or int("inner.H_init" in state))
    puzzles = state.get("inner.puzzle_emb.weights", tokens.new_zeros(1, 0))
    return Shapes(
        variant=replace(base, mixer=mixer),
        width=width,
        expansion=_expansion(widths),
        rows=tokens.shape[0],
        positions_count=next((t.shape[0] for t in (across, learned) if t is not None), None),
        puzzle_rows=puzzles.shape[0],
        puzzle_width=puzzles.shape[1],
    )


def _expansion(widths: Mapping[int, int]) -> float:
    """An expansion that gives each width its inner width; the published 4 if it does."""
    candidates = [4.0, *(inner * 1.5 / width for width, inner in widths.items())]
    for candidate in candidates:
        if all(inner_width(width, candidate) == inner for width, inner in widths.items()):
            return candidate
    raise ConfigurationError(
        f"inner widths {dict(widths)}: expected those of one SwiGLU expansion; not a state dict "
        "of these models"
    )


def written_by_torch(path: Path) -> bool:
    """Whether a file begins as those of ``torch.save`` do; nothing of it is unpickled."""
    with path.open("rb") as file:
        return file.read(4).startswith(_TORCH)


def load(
    path: Path,
    *,
    heads: int,
    length: int,
    variant: Variant | None = None,
    prefix: int | None = None,
    num_puzzles: int | None = None,
    resize: bool = False,
    precision: Precision | None = None,
) -> Reasoner:
    """A model from a checkpoint of theirs, ready to evaluate or to train on.

    :param heads: attention heads, which no shape tells (published: 8; the baseline 12).
    :param length: cells per puzzle, L.
    :param variant: the model, where it is not the one that :func:`infer` finds (another n or T).
    :param prefix: leading positions, P; None: from the shapes, or as published.
    :param num_puzzles: rows that the puzzle table shall have; None: those it has.
    :param resize: if the table has another number of rows, give every row its mean, as their code
        does; False: refuse.
    :param precision: of activations; None: that of the initial vectors in the file.
    :raises ConfigurationError: a file that is not a state dict of these models, does not fit, or
        holds numbers that are not finite; the message says what to change.
    """
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except (
        UnpicklingError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
        ValueError,
        KeyError,
        IndexError,
    ) as error:
        if out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigurationError(
            f"{path}: not a plain state dict written by torch.save ({reason}); nothing else is read"
        ) from error
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        found = type(content).__name__
        raise ConfigurationError(
            f"{path}: {found} found, expected a state dict, names to tensors; save "
            "model.state_dict()"
        )
    state: dict[str, Tensor] = {shared_name(name): tensor for name, tensor in content.items()}
    try:
        require_finite(state)
        return _build(state, heads, length, variant, prefix, num_puzzles, resize, precision)
    except (ConfigurationError, RuntimeError, KeyError) as error:
        raise ConfigurationError(f"{path}: {one_line(error)}") from error


def _build(
    state: dict[str, Tensor],
    heads: int,
    length: int,
    variant: Variant | None,
    prefix: int | None,
    num_puzzles: int | None,
    resize: bool,
    precision: Precision | None,
) -> Reasoner:
    found = infer(state)
    variant = variant or found.variant
    if found.positions_count is not None:
        require(
            prefix in (None, found.positions_count - length),
            f"prefix={prefix} with length={length}: the weights are for {found.positions_count} "
            "positions in all; leave prefix out",
        )
        prefix = found.positions_count - length
    elif prefix is None:
        row_needs = -(-found.puzzle_width // found.width)
        of_trm = variant.networks == "shared" and variant.latent_updates > 0
        prefix = max(DEFAULT_PREFIX, row_needs) if of_trm and found.puzzle_width else row_needs
    require(
        (prefix == 0) == (found.puzzle_width == 0) and prefix >= 0,
        f"length={length}: leaves {prefix} leading positions for puzzle rows of width "
        f"{found.puzzle_width}; give the length trained with",
    )
    if num_puzzles is not None and found.puzzle_width and num_puzzles != found.puzzle_rows:
        require(
            resize,
            f"puzzle table of {found.puzzle_rows} rows, expected {num_puzzles}; resize=True gives "
            "every row the mean, as the authors' "
            "code does, or leave num_puzzles out",
        )
        table = state["inner.puzzle_emb.weights"]
        state = {
            **state,
            "inner.puzzle_emb.weights": table.float().mean(0, keepdim=True).expand(num_puzzles, -1),
        }
    size = Size(
        width=found.width,
        heads=heads,
        expansion=found.expansion,
        prefix=prefix,
        puzzle_width=found.puzzle_width,
    )
    reasoner = Reasoner(
        variant,
        size,
        vocabulary=found.rows - int(variant.start.masks),
        length=length,
        num_puzzles=len(state["inner.puzzle_emb.weights"]) if found.puzzle_width else 1,
        generator=torch.Generator().manual_seed(0),
        precision=precision
        or ("bfloat16" if state[start_names(variant)[0]].dtype == torch.bfloat16 else "float32"),
    )
    load_weights(reasoner, to_ours(state, variant, size))
    return reasoner


def save(reasoner: Reasoner, path: Path, *, prefix: str = PREFIXES[0]) -> None:
    """Write a model as a checkpoint of theirs: a plain state dict.

    :param prefix: of the names; as their loader expects them with compilation, its default;
        without: ``model.``.
    :raises ConfigurationError: for variants that their code does not have, and for weights that
        are not finite.
    """
    state = {prefix + name: tensor for name, tensor in to_theirs(reasoner).items()}
    require_finite(state)
    with new_file(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
