"""What a model is: every choice that an ablation changes, and the named variants.

A variant is data. A new ablation is one line in :data:`VARIANTS` that changes one field of another entry; users add their own as
YAML files (:func:`load_variants`). What depends on the benchmark and not on the idea under study (width, steps, rates) is a
:class:`trm_model.recipe.Recipe`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

Positions = Literal["rope", "learned", "none"]
Networks = Literal["shared", "separate"]
Halting = Literal["bce", "none"]
_Choice = TypeVar("_Choice")


class ConfigurationError(ValueError):
    """A configuration that cannot be; the message says what was given, what was expected and the remedy."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`ConfigurationError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ConfigurationError(message)


def _require_choice(owner: object, name: str, choices: tuple[str, ...]) -> None:
    given = getattr(owner, name)
    require(given in choices, f"{name}={given!r}: expected one of {', '.join(choices)}; change {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Mix positions by multi-head self-attention (TRM §4.5 "attention-free" reverses this choice; HRM §2)."""

    positions: Positions = "rope"

    def __post_init__(self) -> None:
        _require_choice(self, "positions", get_args(Positions))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMlp:
    """Mix positions by a SwiGLU over the position axis, as MLP-Mixer does (TRM §4.5); the sequence length is fixed."""

    positions: Literal["learned", "none"] = "none"

    def __post_init__(self) -> None:
        require(
            self.positions in ("learned", "none"),
            f"TokenMlp(positions={self.positions!r}): rotary positions act on attention heads, which a token MLP lacks; "
            "use 'learned' or 'none', or mixer=Attention()",
        )


@dataclass(frozen=True, slots=True)
class LastCycles:
    """Gradient flows through the last ``count`` cycles of a supervision step (TRM §4.1)."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class LastCalls:
    """Gradient flows through the last ``count`` network calls (HRM's one-step gradient: 2)."""

    count: int = 2


MIXERS: dict[str, type[Attention] | type[TokenMlp]] = {"attention": Attention, "token_mlp": TokenMlp}
BACKPROPS: dict[str, type[LastCycles] | type[LastCalls]] = {"last_cycles": LastCycles, "last_calls": LastCalls}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One named model. Defaults are TRM with the token MLP (TRM, Table 1, first row).

    :param mixer: how positions exchange information inside a block.
    :param layers: blocks per network.
    :param networks: ``shared``: one network updates latents and answer (TRM); ``separate``: two (HRM).
    :param latents: 0: a single feature, 1: ``y`` and ``z``, more: multi-scale (TRM, Table 2).
    :param latent_updates: latent calls per cycle, ``n``.
    :param cycles: cycles per supervision step, ``T``.
    :param backprop: which calls have a gradient.
    :param halting: ``bce``: the halting head learns whether the answer is right (TRM §4.6); ``none``: every example is
        carried for all supervision steps.
    :param ema: evaluate averaged weights (TRM §4.7; the recipe has the decay).
    :raises ConfigurationError: for values that no model can have.
    """

    mixer: Attention | TokenMlp = field(default_factory=TokenMlp)
    layers: int = 2
    networks: Networks = "shared"
    latents: int = 1
    latent_updates: int = 6
    cycles: int = 3
    backprop: LastCycles | LastCalls = field(default_factory=LastCycles)
    halting: Halting = "bce"
    ema: bool = True

    def __post_init__(self) -> None:
        _require_choice(self, "networks", get_args(Networks))
        _require_choice(self, "halting", get_args(Halting))
        for name, least in (("layers", 1), ("latents", 0), ("latent_updates", 1), ("cycles", 1)):
            given = getattr(self, name)
            require(isinstance(given, int) and given >= least, f"{name}={given!r}: expected a whole number of at least {least}")
        require(
            self.latent_updates >= self.latents,
            f"latents={self.latents} with latent_updates={self.latent_updates}: a cycle would never update some latents; "
            "use at least as many latent updates as latents",
        )
        most = self.cycles if isinstance(self.backprop, LastCycles) else self.calls
        require(
            1 <= self.backprop.count <= most,
            f"backprop={self.backprop}: expected a count of 1 to {most} with cycles={self.cycles} and {self.calls} calls",
        )

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
        return self.calls * self.layers


_TRM_MLP = Variant()
_TRM = replace(_TRM_MLP, mixer=Attention())

VARIANTS: dict[str, Variant] = {
    "trm_mlp": _TRM_MLP,
    "trm": _TRM,
    # TRM, Table 1: one changed field against trm_mlp.
    "separate_networks": replace(_TRM_MLP, networks="separate"),
    "no_ema": replace(_TRM_MLP, ema=False),
    "four_layers": replace(_TRM_MLP, layers=4, latent_updates=3),
    "two_cycles": replace(_TRM_MLP, cycles=2, latent_updates=2),
    "one_step_gradient": replace(_TRM_MLP, backprop=LastCalls(2)),
    # TRM, Table 2.
    "multi_scale": replace(_TRM_MLP, latents=6),
    "single_feature": replace(_TRM_MLP, latents=0),
}


def variant_to_dict(variant: Variant) -> dict[str, Any]:
    """Plain data (for JSON, YAML and hashing) from which :func:`variant_from_dict` makes an equal variant."""
    data = asdict(variant)
    for name, kinds in (("mixer", MIXERS), ("backprop", BACKPROPS)):
        kind = next(k for k, cls in kinds.items() if isinstance(getattr(variant, name), cls))
        data[name] = {"kind": kind, **data[name]}
    return data


def variant_from_dict(data: Mapping[str, Any], base: Variant | None = None) -> Variant:
    """A variant from plain data: the fields of ``base`` (default: :class:`Variant`'s defaults), changed as given.

    :raises ConfigurationError: unknown field or choice, with those that exist.
    """
    changes: dict[str, Any] = dict(data)
    known = [f.name for f in fields(Variant)]
    for name in changes:
        require(name in known, f"unknown variant field {name!r}: expected one of {', '.join(known)}")
    for name, kinds in (("mixer", MIXERS), ("backprop", BACKPROPS)):
        if name in changes:
            changes[name] = _choice_from_dict(name, changes[name], kinds)
    return replace(base if base is not None else Variant(), **changes)


def _choice_from_dict(name: str, given: object, kinds: Mapping[str, type[_Choice]]) -> _Choice:
    options = {"kind": given} if isinstance(given, str) else given
    require(
        isinstance(options, Mapping) and options.get("kind") in kinds,
        f"{name}={given!r}: expected one of {', '.join(kinds)}, or a mapping with one of them as its 'kind'",
    )
    assert isinstance(options, Mapping)
    cls = kinds[options["kind"]]
    arguments = {key: value for key, value in options.items() if key != "kind"}
    known = get_type_hints(cls)
    for key in arguments:
        require(key in known, f"{name} {options['kind']!r} has no option {key!r}: expected {', '.join(known) or 'none'}")
    return cls(**arguments)


def load_variants(folder: Path) -> dict[str, Variant]:
    """The user's own variants: one YAML file each, named after the variant.

    A file holds ``base:`` (a name in :data:`VARIANTS`) and ``changes:`` (fields of :class:`Variant`).

    :raises ConfigurationError: naming the file and what is wrong with it.
    """
    import yaml

    found: dict[str, Variant] = {}
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
        try:
            data: object = yaml.safe_load(path.read_text("utf-8"))
            require(
                isinstance(data, dict) and set(data) == {"base", "changes"} and isinstance(data["changes"], dict),
                "expected two keys, 'base' (the name of a variant) and 'changes' (field: value)",
            )
            assert isinstance(data, dict)
            require(path.stem not in VARIANTS, f"the name {path.stem!r} is taken by a built-in variant; rename the file")
            require(path.stem.isidentifier(), f"the name {path.stem!r} is not made of letters, digits and _; rename the file")
            require(data["base"] in VARIANTS, f"base {data['base']!r} is none of {', '.join(VARIANTS)}")
            found[path.stem] = variant_from_dict(data["changes"], VARIANTS[data["base"]])
        except (yaml.YAMLError, ConfigurationError, UnicodeDecodeError, TypeError) as error:
            raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from error
    return found
