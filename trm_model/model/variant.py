"""What a model is: every choice that an ablation changes, and the named variants.

A variant is data. A new ablation is one line in :data:`VARIANTS` that changes one field of another
entry; users add their own as YAML files (:func:`load_variants`). What depends on the benchmark and
not on the idea under study (width, steps, rates) is a :class:`trm_model.training.recipe.Recipe`.
``trm variants NAME`` prints what one costs (:mod:`trm_model.model.cost`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from trm_model.errors import ConfigurationError, require

Positions = Literal["rope", "learned", "none"]
Networks = Literal["shared", "separate"]
Halting = Literal["bce", "q_learning", "compared", "solved", "none"]
Loss = Literal["stablemax", "softmax"]
Solver = Literal["iteration", "anderson"]
OptimizerChoice = Literal["recipe", "muon"]
Schedule = Literal["cosine", "linear", "sigmoid"]
Corruption = Literal["mask", "uniform", "gaussian"]
Order = Literal["independent", "annealed", "constant"]
Remask = Literal["random", "confidence"]
Generation = Literal["parallel", "autoregressive"]
_Choice = TypeVar("_Choice")


def _require_choice(owner: object, name: str, choices: tuple[str, ...]) -> None:
    given = getattr(owner, name)
    require(
        given in choices, f"{name}={given!r}: expected one of {', '.join(choices)}; change {name}"
    )


def _require_at_least(owner: object, name: str, least: int) -> None:
    given = getattr(owner, name)
    require(
        type(given) is int and given >= least,
        f"{name}={given!r}: expected a whole number of at least {least}; change {name}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Mix positions by multi-head self-attention (TRM §4.5 "attention-free" reverses this choice;
    HRM §2)."""

    positions: Positions = "rope"

    def __post_init__(self) -> None:
        _require_choice(self, "positions", get_args(Positions))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMlp:
    """Mix positions by a SwiGLU over the position axis, as MLP-Mixer does (TRM §4.5); the sequence
    length is fixed."""

    positions: Literal["learned", "none"] = "none"

    def __post_init__(self) -> None:
        require(
            self.positions in ("learned", "none"),
            f"TokenMlp(positions={self.positions!r}): rotary positions act on attention heads, "
            "which a token MLP lacks; "
            "use 'learned' or 'none', or mixer=Attention()",
        )


@dataclass(frozen=True, slots=True)
class Dense:
    """The papers' SwiGLU."""


@dataclass(frozen=True, slots=True)
class GatedNorm:
    """SwiGLU whose up product is RMS-normalised before it meets the gate, which keeps it stable
    under Muon (SiC, arXiv 2601.19085)."""


@dataclass(frozen=True, slots=True)
class ShortConvolution:
    """SwiGLU over channels with a depthwise convolution over ``width`` positions, then silu, before
    its last product.

    URM, arXiv 2512.14693.
    """

    width: int = 2

    def __post_init__(self) -> None:
        _require_at_least(self, "width", 2)


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of ``count`` SwiGLU experts over channels, ``active`` of them per position (TRM,
    ideas that failed)."""

    count: int = 4
    active: int = 2

    def __post_init__(self) -> None:
        _require_at_least(self, "count", 2)
        _require_at_least(self, "active", 1)
        require(
            self.active <= self.count,
            f"active={self.active} of count={self.count} experts: expected at most all; lower "
            "active",
        )


@dataclass(frozen=True, slots=True)
class LastCycles:
    """Gradient flows through the last ``count`` cycles of a supervision step (TRM §4.1)."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class LastCalls:
    """Gradient flows through the last ``count`` network calls (HRM's one-step gradient: 2)."""

    count: int = 2


@dataclass(frozen=True, slots=True)
class FixedStart:
    """Every example starts from the same fixed vectors (HRM, TRM)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomStart:
    """Latents start from standard normal numbers.

    :param count: starts per example, K. In training the one with the lowest answer loss is trained
        (SiC, arXiv 2601.19085: winner takes all); at test the one with the highest halting logit
        answers.
    :param damping: share of an update that is taken: ``z + damping (f - z)``; 1: all (EqR, arXiv
        2605.21488).
    :param update_noise: standard deviation of normal noise added to each latent update, in training
        and at test (EqR).
    """

    count: int = 1
    damping: float = 1.0
    update_noise: float = 0.0

    def __post_init__(self) -> None:
        _require_at_least(self, "count", 1)
        require(
            0.0 < self.damping <= 1.0,
            f"damping={self.damping}: expected a share above 0 and up to 1",
        )
        require(self.update_noise >= 0.0, f"update_noise={self.update_noise}: expected 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyStart:
    """The answer starts from a corrupted target (DRM, arXiv 2604.18839).

    :param schedule: share of corrupted cells as a function of the noise level t.
    :param corruption: of a cell: the mask token, a token drawn uniformly, or Gaussian noise on its
        embedding.
    :param order: t in training: ``independent``: uniform for each example, no carried state (DRM);
        ``annealed``: falls with the example's own supervision step, state carried as in TRM;
        ``constant``: half of all levels for all.
    :param remask: what is corrupted again between test steps: cells drawn at ``random``, or those
        of least ``confidence``.
    :param correlated: neighbouring cells of the grid tend to be corrupted together.
    :param steps: test steps.
    :param votes: rollouts at test, each with noise of its own; cells are decided by plurality.
    :param carried_latents: keep z from step to step; False: z starts afresh with each corrupted
        answer.
    :param scaled: embed the re-masked answer at test as in training; False: without the factor
        sqrt(D) and positions, as the authors' code.
    """

    schedule: Schedule = "cosine"
    corruption: Corruption = "mask"
    order: Order = "independent"
    remask: Remask = "random"
    correlated: bool = False
    steps: int = 16
    votes: int = 1
    carried_latents: bool = True
    scaled: bool = True

    def __post_init__(self) -> None:
        for name, choices in (
            ("schedule", Schedule),
            ("corruption", Corruption),
            ("order", Order),
            ("remask", Remask),
        ):
            _require_choice(self, name, get_args(choices))
        _require_at_least(self, "steps", 1)
        _require_at_least(self, "votes", 1)
        require(
            self.corruption != "gaussian" or not (self.correlated or self.remask == "confidence"),
            "corruption='gaussian' touches every cell: correlated and remask='confidence' choose "
            "cells; "
            "use corruption='mask' or 'uniform' with them",
        )


@dataclass(frozen=True, slots=True)
class Constant:
    """The same recursion from the first optimizer step to the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthCurriculum:
    """The recursion deepens during training (CGAR, arXiv 2511.08653).

    :param until: shares of training at which the stages end; after the last, the variant's own n
        and T.
    :param cycles, latent_updates: T and n of each stage.
    :param loss_decay: an example's loss at its supervision step s = 0, 1, … is weighted by
        ``loss_decay ** s``.
    """

    until: tuple[float, ...] = (0.3, 0.6)
    cycles: tuple[int, ...] = (1, 2)
    latent_updates: tuple[int, ...] = (2, 4)
    loss_decay: float = 0.7

    def __post_init__(self) -> None:
        require(
            len(self.until) == len(self.cycles) == len(self.latent_updates),
            f"until={self.until}, cycles={self.cycles}, latent_updates={self.latent_updates}: "
            "expected one of each per stage",
        )
        require(
            all(0.0 < share < 1.0 for share in self.until)
            and list(self.until) == sorted(self.until),
            f"until={self.until}: expected growing shares of training between 0 and 1",
        )
        require(
            0.0 < self.loss_decay <= 1.0,
            f"loss_decay={self.loss_decay}: expected a number above 0 and up to 1",
        )


CHOICES: dict[str, dict[str, type[Any]]] = {
    "mixer": {"attention": Attention, "token_mlp": TokenMlp},
    "feed_forward": {
        "dense": Dense,
        "gated_norm": GatedNorm,
        "short_convolution": ShortConvolution,
        "experts": Experts,
    },
    "backprop": {"last_cycles": LastCycles, "last_calls": LastCalls},
    "start": {"fixed": FixedStart, "random": RandomStart, "noisy": NoisyStart},
    "curriculum": {"constant": Constant, "depth": DepthCurriculum},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One named model. Defaults are TRM with the token MLP (TRM, Table 1, first row).

    :param generation: ``parallel``: all cells are answered together (TRM); ``autoregressive``: one
        after the other, each attending to those before it alone and reading the answer of the last
        of them (docs/autoregressive.md).
    :param mixer: how positions exchange information inside a block.
    :param feed_forward: what acts on channels (``gated_norm``: also on positions, with a token
        MLP).
    :param layers: blocks per network.
    :param answer_layers: blocks of the answer's network where there are two; None: ``layers``.
    :param networks: ``shared``: one network updates latents and answer (TRM); ``separate``: two
        (HRM).
    :param latents: 0: a single feature, 1: ``y`` and ``z``, more: multi-scale (TRM, Table 2).
    :param latent_updates: latent calls per cycle, ``n``; 0 (with no latents): the one call of a
        cycle reads the question.
    :param cycles: cycles per supervision step, ``T``.
    :param solver: how a cycle's latent calls without gradient are used: plain iteration, or
        Anderson's towards a fixed point.
    :param backprop: which calls have a gradient.
    :param start: the state before the first supervision step.
    :param state_noise: standard deviation of normal noise added to the carried state after each
        training step (SPRM).
    :param deep_supervision: carry the state over several supervision steps; False: one step per
        example.
    :param curriculum: how the recursion changes during training.
    :param halting: when a carried example is replaced. ``bce``: the halting head learns whether the
        answer is right (TRM §4.6); ``q_learning``: a second head learns the value of going on (HRM
        §2); ``compared``: as ``bce``, but it must exceed the untrained second head (the authors'
        direct baseline); ``solved``: as soon as the answer is right; ``none``: after all
        supervision steps.
    :param loss: of the answer.
    :param tied: read the answer with the input embedding.
    :param optimizer: ``recipe``: the recipe's; ``muon``: Muon for the networks' matrices, the
        recipe's for all else.
    :param ema: evaluate averaged weights (TRM §4.7; the recipe has the decay).
    :raises ConfigurationError: for values that no model can have.
    """

    generation: Generation = "parallel"
    mixer: Attention | TokenMlp = field(default_factory=TokenMlp)
    feed_forward: Dense | GatedNorm | ShortConvolution | Experts = field(default_factory=Dense)
    layers: int = 2
    answer_layers: int | None = None
    networks: Networks = "shared"
    latents: int = 1
    latent_updates: int = 6
    cycles: int = 3
    solver: Solver = "iteration"
    backprop: LastCycles | LastCalls = field(default_factory=LastCycles)
    start: FixedStart | RandomStart | NoisyStart = field(default_factory=FixedStart)
    state_noise: float = 0.0
    deep_supervision: bool = True
    curriculum: Constant | DepthCurriculum = field(default_factory=Constant)
    halting: Halting = "bce"
    loss: Loss = "stablemax"
    tied: bool = False
    optimizer: OptimizerChoice = "recipe"
    ema: bool = True

    def __post_init__(self) -> None:
        for name, choices in (
            ("generation", Generation),
            ("networks", Networks),
            ("halting", Halting),
            ("loss", Loss),
            ("solver", Solver),
            ("optimizer", OptimizerChoice),
        ):
            _require_choice(self, name, get_args(choices))
        for name, least in (("layers", 1), ("latents", 0), ("latent_updates", 0), ("cycles", 1)):
            _require_at_least(self, name, least)
        for name in ("deep_supervision", "tied", "ema"):
            given = getattr(self, name)
            require(
                isinstance(given, bool), f"{name}={given!r}: expected true or false; change {name}"
            )
        if self.answer_layers is not None:
            _require_at_least(self, "answer_layers", 1)
        require(
            self.networks == "shared" or self.latent_updates > 0,
            "networks='separate' with latent_updates=0: the first network would never be called; "
            "use networks='shared'",
        )
        require(
            self.answer_layers is None or self.networks == "separate",
            f"answer_layers={self.answer_layers} with networks='shared': one network has one "
            "depth; use networks='separate'",
        )
        require(
            self.latent_updates >= self.latents,
            f"latents={self.latents} with latent_updates={self.latent_updates}: a cycle would "
            "never update some latents; "
            "use at least as many latent updates as latents",
        )
        most = self.cycles if isinstance(self.backprop, LastCycles) else self.calls
        require(
            1 <= self.backprop.count <= most,
            f"backprop={self.backprop}: expected a count of 1 to {most} with cycles={self.cycles} "
            f"and {self.calls} calls",
        )
        require(
            self.solver == "iteration" or (self.latents == 1 and self.latent_updates >= 2),
            f"solver={self.solver!r} with latents={self.latents}, "
            f"latent_updates={self.latent_updates}: a fixed point is sought for one "
            "latent over several updates; use latents=1 and at least 2 latent updates",
        )
        require(self.state_noise >= 0.0, f"state_noise={self.state_noise}: expected 0 or more")
        require(
            not isinstance(self.start, RandomStart) or self.latents > 0,
            "start=RandomStart with latents=0: there is no latent to start at random; use "
            "latents=1",
        )
        one_by_one = "one supervision step per example leaves nothing to go on with"
        require(
            self.carries_state or (self.halting != "q_learning" and self.state_noise == 0.0),
            f"halting={self.halting!r}, state_noise={self.state_noise}: {one_by_one}; use "
            "halting='bce' or 'none' and no state noise, "
            "or deep_supervision=True with a start that is carried",
        )
        require(
            self.deep_supervision
            or not (isinstance(self.start, NoisyStart) and self.start.order == "annealed"),
            f"deep_supervision=False with noise that falls from step to step: {one_by_one}; use "
            "order='independent'",
        )
        require(
            self.training_rollouts == 1 or self.halting != "q_learning",
            "halting='q_learning' with several starts: the value of going on is one example's, "
            "not one start's; use halting='bce'",
        )
        if self.autoregressive:
            self._require_causal()
        if isinstance(self.curriculum, DepthCurriculum):
            for cycles, updates in zip(
                self.curriculum.cycles, self.curriculum.latent_updates, strict=True
            ):
                replace(self, curriculum=Constant(), cycles=cycles, latent_updates=updates)

    def _require_causal(self) -> None:
        """Refuse what lets a position see later ones, or needs more of earlier ones than their keys
        and values."""
        remedy = "or generation='parallel'"
        require(
            isinstance(self.mixer, Attention),
            "mixer=TokenMlp with generation='autoregressive': a token MLP mixes later cells into "
            "earlier ones; "
            f"use mixer=Attention() {remedy}",
        )
        require(
            not isinstance(self.feed_forward, ShortConvolution),
            "feed_forward=ShortConvolution with generation='autoregressive': a convolution needs "
            "earlier cells' activations, which are not "
            f"kept; use feed_forward=Dense() {remedy}",
        )
        require(
            self.solver == "iteration",
            f"solver={self.solver!r} with generation='autoregressive': its weights depend on all "
            f"cells; use solver='iteration' {remedy}",
        )
        require(
            isinstance(self.start, FixedStart),
            f"start={type(self.start).__name__} with generation='autoregressive': noise and "
            "choice of starts belong to whole answers; "
            f"use start=FixedStart() {remedy}",
        )
        require(
            self.halting in ("bce", "solved", "none"),
            f"halting={self.halting!r} with generation='autoregressive': there is no value of "
            "going on for single cells; "
            f"use halting='bce', 'solved' or 'none' {remedy}",
        )

    @property
    def autoregressive(self) -> bool:
        """Whether cells are answered one after the other."""
        return self.generation == "autoregressive"

    @property
    def calls(self) -> int:
        """Network calls per supervision step: T (n + 1)."""
        return self.cycles * (self.latent_updates + 1)

    @property
    def graded_calls(self) -> int:
        """Network calls per supervision step that have a gradient, counted from the last."""
        if isinstance(self.backprop, LastCalls):
            return self.backprop.count
        return self.backprop.count * (self.latent_updates + 1)

    @property
    def depth(self) -> int:
        """Layers applied per supervision step: the depth column of the papers' tables."""
        return self.cycles * (
            self.latent_updates * self.layers + (self.answer_layers or self.layers)
        )

    @property
    def forward_passes(self) -> int:
        """Forward passes per optimizer step (TRM, Table 1): Q-learning needs a second one for its
        target."""
        return 2 if self.halting == "q_learning" else 1

    @property
    def carries_state(self) -> bool:
        """Whether training carries examples over several supervision steps."""
        return self.deep_supervision and not (
            isinstance(self.start, NoisyStart) and self.start.order != "annealed"
        )

    @property
    def training_rollouts(self) -> int:
        """Starts per example in training, K."""
        return self.start.count if isinstance(self.start, RandomStart) else 1

    @property
    def test_rollouts(self) -> int:
        """Starts per example at test."""
        return self.start.votes if isinstance(self.start, NoisyStart) else self.training_rollouts

    def training_steps(self, most: int) -> int:
        """Supervision steps after which a training example is replaced, given the recipe's
        ``max_steps``."""
        return most if self.carries_state else 1

    def test_steps(self, most: int) -> int:
        """Supervision steps at test, given the recipe's ``max_steps``."""
        if isinstance(self.start, NoisyStart):
            return self.start.steps
        return most if self.deep_supervision else 1

    def stage(self, share: float) -> "Variant":
        """The variant whose recursion is trained after this share (0..1) of training; itself
        without a curriculum."""
        if isinstance(self.curriculum, Constant):
            return self
        for until, cycles, updates in zip(
            self.curriculum.until,
            self.curriculum.cycles,
            self.curriculum.latent_updates,
            strict=True,
        ):
            if share <= until:
                return replace(self, curriculum=Constant(), cycles=cycles, latent_updates=updates)
        return self


_TRM_MLP = Variant()
_TRM = replace(_TRM_MLP, mixer=Attention())
_HRM = replace(
    _TRM,
    networks="separate",
    layers=4,
    latent_updates=2,
    cycles=2,
    backprop=LastCalls(2),
    halting="q_learning",
    ema=False,
)
_NOISY = NoisyStart()
_DRM = replace(_TRM, latent_updates=4, start=_NOISY)
_GATED_NORM = replace(_TRM_MLP, feed_forward=GatedNorm())

TABLE_3 = ((1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (3, 6), (6, 6))
"""(n of HRM, T) of TRM's Table 3; TRM's n is twice HRM's."""

VARIANTS: dict[str, Variant] = {
    "trm_mlp": _TRM_MLP,
    "trm": _TRM,
    "hrm": _HRM,
    "direct": Variant(
        mixer=Attention(),
        layers=8,
        latents=0,
        latent_updates=0,
        cycles=1,
        deep_supervision=False,
        ema=False,
    ),
    "drm": _DRM,
    # TRM, Table 1: one changed field against trm_mlp.
    "with_act": replace(_TRM_MLP, halting="q_learning"),
    "separate_networks": replace(_TRM_MLP, networks="separate"),
    "no_ema": replace(_TRM_MLP, ema=False),
    "four_layers": replace(_TRM_MLP, layers=4, latent_updates=3),
    "self_attention": _TRM,
    "two_cycles": replace(_TRM_MLP, cycles=2, latent_updates=2),
    "one_step_gradient": replace(_TRM_MLP, backprop=LastCalls(2)),
    # TRM, Table 2.
    "multi_scale": replace(_TRM_MLP, latents=6),
    "single_feature": replace(_TRM_MLP, latents=0),
    # TRM, Table 3.
    **{f"hrm_n{n}_t{t}": replace(_HRM, latent_updates=n, cycles=t) for n, t in TABLE_3},
    **{f"trm_n{2 * n}_t{t}": replace(_TRM_MLP, latent_updates=2 * n, cycles=t) for n, t in TABLE_3},
    # An independent analysis of HRM names deep supervision its main driver (arcprize.org, August
    # 2025).
    "no_deep_supervision": replace(_TRM_MLP, deep_supervision=False),
    # TRM, ideas that failed.
    "mixture_of_experts": replace(_TRM_MLP, feed_forward=Experts()),
    "last_k_gradient": replace(_TRM_MLP, backprop=LastCalls(4)),
    "stop_when_solved": replace(_TRM_MLP, halting="solved"),
    "tied_embeddings": replace(_TRM_MLP, tied=True),
    "fixed_point": replace(_TRM_MLP, solver="anderson"),
    # After TRM.
    "gated_norm": _GATED_NORM,
    "muon": replace(_GATED_NORM, optimizer="muon"),
    "short_convolution": replace(_TRM, feed_forward=ShortConvolution()),
    "depth_curriculum": replace(_TRM_MLP, curriculum=DepthCurriculum()),
    "winner_takes_all": replace(_TRM_MLP, start=RandomStart(count=4)),
    "random_latents": replace(_TRM_MLP, start=RandomStart(damping=0.9, update_noise=0.05)),
    "softmax_loss": replace(_TRM_MLP, loss="softmax"),
    "sprm": replace(_TRM, state_noise=0.1),
    "autoregressive": replace(_TRM, generation="autoregressive"),
    # DRM's axes: one changed field of its start, or the latent calls of the last cycle that have a
    # gradient (drm: all 4).
    "drm_annealed": replace(_DRM, start=replace(_NOISY, order="annealed")),
    "drm_constant": replace(_DRM, start=replace(_NOISY, order="constant")),
    "drm_linear": replace(_DRM, start=replace(_NOISY, schedule="linear")),
    "drm_sigmoid": replace(_DRM, start=replace(_NOISY, schedule="sigmoid")),
    "drm_uniform_tokens": replace(_DRM, start=replace(_NOISY, corruption="uniform")),
    "drm_gaussian": replace(_DRM, start=replace(_NOISY, corruption="gaussian")),
    "drm_confidence": replace(_DRM, start=replace(_NOISY, remask="confidence")),
    "drm_correlated": replace(_DRM, start=replace(_NOISY, correlated=True)),
    "drm_fresh_latents": replace(_DRM, start=replace(_NOISY, carried_latents=False)),
    "drm_votes": replace(_DRM, start=replace(_NOISY, votes=8)),
    "drm_published": replace(_DRM, start=replace(_NOISY, scaled=False)),
    "drm_gradient_1": replace(_DRM, backprop=LastCalls(2)),
    "drm_gradient_2": replace(_DRM, backprop=LastCalls(3)),
    "drm_gradient_4": replace(_DRM, backprop=LastCalls(5)),
}


def variant_to_dict(variant: Variant) -> dict[str, Any]:
    """Plain data (for JSON, YAML and hashing) from which :func:`variant_from_dict` makes an equal
    variant."""
    data = asdict(variant)
    for name, kinds in CHOICES.items():
        kind = next(k for k, cls in kinds.items() if isinstance(getattr(variant, name), cls))
        data[name] = {"kind": kind, **data[name]}
    return data


def variant_from_dict(data: Mapping[str, Any], base: Variant | None = None) -> Variant:
    """A variant from plain data: the fields of ``base`` (default: :class:`Variant`'s defaults),
    changed as given.

    :raises ConfigurationError: unknown field or choice, with those that exist.
    """
    changes: dict[str, Any] = dict(data)
    known = [f.name for f in fields(Variant)]
    for name in changes:
        require(
            name in known, f"unknown variant field {name!r}: expected one of {', '.join(known)}"
        )
    for name, kinds in CHOICES.items():
        if name in changes:
            changes[name] = _choice_from_dict(name, changes[name], kinds)
    return replace(base if base is not None else Variant(), **changes)


def _choice_from_dict(name: str, given: object, kinds: Mapping[str, type[_Choice]]) -> _Choice:
    options = {"kind": given} if isinstance(given, str) else given
    require(
        isinstance(options, Mapping) and options.get("kind") in kinds,
        f"{name}={given!r}: expected one of {', '.join(kinds)}, or a mapping with one of them as "
        "its 'kind'",
    )
    assert isinstance(options, Mapping)
    cls = kinds[options["kind"]]
    # JSON and YAML know lists only.
    arguments = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in options.items()
        if key != "kind"
    }
    known = get_type_hints(cls)
    for key in arguments:
        require(
            key in known,
            f"{name} {options['kind']!r} has no option {key!r}: expected "
            f"{', '.join(known) or 'none'}",
        )
    return cls(**arguments)


def load_variants(folder: Path) -> dict[str, Variant]:
    """The user's own variants: one YAML file each, named after the variant.

    A file holds ``base:`` (a name in :data:`VARIANTS`) and ``changes:`` (fields of
    :class:`Variant`).

    :raises ConfigurationError: naming the file and what is wrong with it.
    """
    import yaml

    found: dict[str, Variant] = {}
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
        try:
            data: object = yaml.safe_load(path.read_text("utf-8"))
            require(
                isinstance(data, dict)
                and set(data) == {"base", "changes"}
                and isinstance(data["changes"], dict),
                "expected two keys, 'base' (the name of a variant) and 'changes' (field: value)",
            )
            assert isinstance(data, dict)
            require(
                path.stem not in VARIANTS,
                f"the name {path.stem!r} is taken by a built-in variant; rename the file",
            )
            require(
                path.stem.isidentifier(),
                f"the name {path.stem!r} is not made of letters, digits and _; rename the file",
            )
            require(
                data["base"] in VARIANTS, f"base {data['base']!r} is none of {', '.join(VARIANTS)}"
            )
            found[path.stem] = variant_from_dict(data["changes"], VARIANTS[data["base"]])
        except (yaml.YAMLError, ConfigurationError, UnicodeDecodeError, TypeError) as error:
            raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from error
    return found
