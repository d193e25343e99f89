"""Choices: one of several ways to do a thing, as data that carries its behaviour.

An axis is what there is a choice of: a subclass of :class:`Choice` declared with ``axis=True``
(``Mixer``, ``Start``, ``Optimizer``, …) that says which methods a choice of it has. A choice is a
frozen dataclass that implements them, in a file of its own beside the file of its axis; there it is
found by its ``name``, and nothing else has to be changed. A user's own choice may live in any
importable module and is named ``package.module:Class``.

The rest of this module turns frozen dataclasses, choices included, into plain data (JSON, YAML)
and back. It is written here, and not taken from pydantic or cattrs, because a training must run
where only torch, numpy, numba, safetensors and zarr are installed.
"""

import importlib
import math
import pkgutil
import traceback
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import (
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from storage.reading import one_line
from trm_model.errors import ConfigurationError, require
from trm_model.names import OWN_MODULES_VARIABLE, nearest

MOST = 10**12
"""No whole number that a configuration counts to is larger: its products still fit into the 64 bits
of tensors and tables."""

_T = TypeVar("_T")
_C = TypeVar("_C", bound="Choice")


class Choice:
    """Base of all axes; see the module's docstring. A choice without a ``name`` of its own is named
    after its module and class.
    """

    __slots__ = ()
    name: ClassVar[str] = ""
    known: ClassVar[dict[str, type["Choice"]]]
    """Of an axis: its choices that have been imported, by name."""

    def __init_subclass__(cls, *, axis: bool = False) -> None:
        super().__init_subclass__()
        if axis:
            cls.known = {}
            return
        if "name" not in cls.__dict__:
            cls.name = f"{cls.__module__}:{cls.__qualname__}"
        taken = cls.known.setdefault(cls.name, cls)
        # ``dataclass(slots=True)`` makes each class a second time; the second one counts.
        require(
            (taken.__module__, taken.__qualname__) == (cls.__module__, cls.__qualname__),
            f"{cls.__module__}:{cls.__qualname__} is named {cls.name!r} as "
            f"{taken.__module__}:{taken.__qualname__} is; give it another name",
        )
        cls.known[cls.name] = cls


def choices(axis: type[_C]) -> dict[str, type[_C]]:
    """The choices of an axis by name, in alphabetical order: those built in, which stand beside the
    axis's own file, and those of the user that have been imported.
    """
    package = axis.__module__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    return cast("dict[str, type[_C]]", dict(sorted(axis.known.items())))


def find(axis: type[_C], name: str, *, importing: bool = False) -> type[_C]:
    """The choice of an axis that has this name.

    :param importing: import the module that ``package.module:Class`` names. Only for names that the
        user has written: a name in a file from somebody else must not run code.
    :raises ConfigurationError: there is none, or it cannot be imported.
    """
    found = choices(axis)
    title = axis.__name__.lower()
    loaded = found.get(name) or _load(found, title, name, importing=importing)
    require(
        isinstance(loaded, type) and issubclass(loaded, axis) and _is_frozen(loaded),
        f"{title} {name!r}: expected a frozen dataclass derived from {axis.__name__}",
    )
    return cast("type[_C]", loaded)


def is_foreign(axis: type[Choice], given: object) -> bool:
    """Whether a choice in plain data is of a class of somebody's own that is not imported here."""
    name = given
    if isinstance(given, Mapping):
        name = next(iter(cast("Mapping[object, object]", given)), None)
    return isinstance(name, str) and ":" in name and name not in choices(axis)


def import_own(name: str) -> types.ModuleType:
    """Import a module of the user's, which registers the choices and families that it defines.

    :raises ConfigurationError: there is no such module here, or its code fails, whatever it raises:
        the message says in which line.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{name}: {one_line(error)}; expected a module that Python can import here: is its "
            "folder in PYTHONPATH?"
        ) from error
    except Exception as error:  # the user's code may raise anything
        raise ConfigurationError(
            f"{name}: {type(error).__name__}: {one_line(error)}{_place(error)}; expected a module "
            "that can be imported; mend it"
        ) from error


def _place(error: Exception) -> str:
    """File and line where the user's code failed; a syntax error says them itself."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<frozen")]
    if isinstance(error, SyntaxError) or len(own) < 2:
        return ""
    return f" ({own[-1].filename}, line {own[-1].lineno})"


def _is_frozen(cls: type) -> bool:
    """Whether a class was itself made by ``@dataclass(frozen=True)``."""
    parameters: Any = cls.__dict__.get("__dataclass_params__")
    return parameters is not None and parameters.frozen


def _load(found: Mapping[str, type[Choice]], title: str, name: str, *, importing: bool) -> object:
    """What ``package.module:Class`` names, for :func:`find`."""
    names = ", ".join(choice for choice in found if ":" not in choice)
    module, colon, cls = name.partition(":")
    require(
        bool(colon),
        f"{title} {name!r}: expected one of {names}, or your own as package.module:Class",
    )
    require(
        importing,
        f"{title} {name!r}: a class that is neither built in nor registered here, and names in "
        "stored files are not imported; name it in a variant of your own, or import its module "
        f"first: --import {module}, or {OWN_MODULES_VARIABLE}={module} in the environment",
    )
    imported = import_own(module)
    try:
        return getattr(imported, cls)
    except AttributeError as error:
        raise ConfigurationError(
            f"{title} {name!r}: {one_line(error)}; expected package.module:Class of a class in it"
        ) from error


# Checking the fields of a configuration


def _is_choice(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Choice)


def _options(hint: object) -> tuple[Any, ...]:
    """The members of a union; one for any other type."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a field's type: whole numbers are no Booleans, numbers are finite."""
    origin = get_origin(hint)
    if hint is Any:
        return True
    if hint in (None, type(None)):
        return value is None
    if hint is int:
        return type(value) is int
    if hint is float:
        return type(value) in (int, float) and math.isfinite(cast(float, value))
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if origin is tuple:
        arguments = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is ...:
            return all(_fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin is dict:
        return isinstance(value, dict)
    return isinstance(value, hint)


def in_words(hint: Any) -> str:
    """A field's type, as messages name what was expected."""
    words = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}
    if hint in (None, type(None)):
        return "nothing"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(in_words, get_args(hint)))
    if get_origin(hint) is tuple:
        inner = [argument for argument in get_args(hint) if argument is not ...]
        count = "" if ... in get_args(hint) else f" of {len(inner)}"
        return f"a list{count}, each {in_words(inner[0])}" if inner else "a list"
    if get_origin(hint) is dict:
        return "a mapping"
    if get_origin(hint) is list:
        return "a list, as [FIRST, SECOND]"
    if _is_choice(hint):
        return f"one of {', '.join(choices(hint))}"
    if is_dataclass(hint):
        return f"a mapping of some of its fields: {', '.join(each.name for each in fields(hint))}"
    return words.get(hint, f"a {getattr(hint, '__name__', hint)}")


def check_fields(owner: Any, **bounds: float | tuple[float, float]) -> None:
    """Whether every field of a dataclass has a value of its type; called at construction.

    :param bounds: name of a field -> the least value that it may have, or the least and the most
        (None is let through). Give both for whatever is built or allocated so many times: what
        cannot end must be refused at once. Without a most, whole numbers are at most :data:`MOST`.
    :raises ConfigurationError: the first field that has not.
    """
    hints = get_type_hints(type(owner))
    for field in fields(owner):
        value, hint = getattr(owner, field.name), hints[field.name]
        require(
            _fits(value, hint),
            f"{field.name}={value!r}: expected {in_words(hint)}; change {field.name}",
        )
    for name, bound in bounds.items():
        value = getattr(owner, name)
        number = next(option for option in _options(hints[name]) if option in (int, float))
        unbounded = MOST if number is int else math.inf
        least, most = bound if isinstance(bound, tuple) else (bound, unbounded)
        for good, limit in (
            (value is None or value >= least, f"of at least {least}"),
            (value is None or value <= most, f"of at most {most}"),
        ):
            require(
                good,
                f"{name}={value!r}: expected {in_words(number)} {limit}; change {name}",
            )


# Plain data


def to_plain(value: Any) -> Any:
    """A value as plain data from which :func:`from_plain` makes an equal one: dataclasses as
    mappings of all their fields, choices as ``{name: fields}``, tuples as lists.
    """
    if is_dataclass(value) and not isinstance(value, type):
        data = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return {value.name: data} if isinstance(value, Choice) else data
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in cast("Iterable[Any]", value)]
    return value


def settings_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass as plain data, each with its dotted path: those of dataclasses in
    it one by one, and choices whole.

    :param path: of the dataclass itself.
    """
    for field in fields(value):
        given, place = getattr(value, field.name), f"{path}.{field.name}"
        if is_dataclass(given) and not isinstance(given, Choice):
            yield from settings_of(given, place)
        else:
            yield place, to_plain(given)


def default_of(field: "Field[Any]") -> Any:
    """A field's default; :data:`dataclasses.MISSING` where it has none."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def changed(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, as plain data, nested.

    What is hashed to tell configurations apart: a new field with a default changes no hash.
    """
    found: dict[str, Any] = {}
    for field in fields(value):
        given, default = getattr(value, field.name), default_of(field)
        if default is not MISSING and given == default:
            continue
        found[field.name] = _changed_value(given)
    return found


def _changed_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_changed_value(item) for item in cast("tuple[Any, ...]", value)]
    if is_dataclass(value) and not isinstance(value, type):
        differing = changed(value)
        return {value.name: differing} if isinstance(value, Choice) else differing
    return to_plain(value)


def differing(base: Any, other: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The fields in which one frozen dataclass differs from another of its class: name, value in
    ``base``, value in ``other``; of a choice that stays its own fields, ``choice.field``."""
    for field in fields(base):
        old, new = getattr(base, field.name), getattr(other, field.name)
        if old == new:
            continue
        if is_dataclass(new) and type(old) is type(new):
            yield from differing(old, new, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", old, new


def _choice_from_plain(
    axis: type[_C], name: str, given: object, old: object, *, importing: bool
) -> _C:
    options: Any = given
    if isinstance(given, str):
        options = {given: {}}
    elif isinstance(given, Mapping) and "kind" in given:
        # The spelling of files from before choices were named by their key.
        older = dict(cast("Mapping[str, Any]", given))
        options = {older.pop("kind"): older}
    require(
        isinstance(options, Mapping) and len(options) == 1,
        f"{name}={given!r}: expected one of {', '.join(choices(axis))}, or a mapping of one of "
        "them to its options",
    )
    ((chosen, arguments),) = options.items()
    require(
        isinstance(chosen, str) and (arguments is None or isinstance(arguments, Mapping)),
        f"{name}={given!r}: expected a name, or a mapping of a name to its options",
    )
    try:
        cls = find(axis, chosen, importing=importing)
        # Settings change the choice that there is; a name alone is the choice as it is by default.
        base = old if type(old) is cls and options is given else None
        return from_plain(cls, arguments or {}, cast("_C | None", base), importing=importing)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _value_from_plain(name: str, hint: Any, given: Any, old: Any, *, importing: bool) -> Any:
    for option in _options(hint):
        if _is_choice(option) and given is not None:
            return _choice_from_plain(option, name, given, old, importing=importing)
        if is_dataclass(option) and isinstance(given, Mapping):
            plain = cast("Mapping[str, Any]", given)
            base = old if type(old) is option else None
            return from_plain(cast("type[Any]", option), plain, base, importing=importing)
        if get_origin(option) is tuple:
            first, *others = get_args(option)
            of_item = first if others == [...] else Any
            if _is_choice(of_item) and isinstance(given, str | Mapping):
                given = [given]  # one choice stands for a list of it
            if not isinstance(given, list):  # all that JSON and YAML know
                continue
            items = cast("list[Any]", given)
            return tuple(
                _value_from_plain(name, of_item, item, None, importing=importing) for item in items
            )
    if type(given) is int and float in _options(hint) and int not in _options(hint):
        return float(given)  # so that 1 and 1.0 have one hash
    return given


def from_plain(
    cls: type[_T], data: Mapping[str, Any], base: _T | None = None, *, importing: bool = False
) -> _T:
    """The inverse of :func:`to_plain`.

    :param base: what to change; None: a new one, with the defaults of fields that are not given.
        Settings of a choice that ``base`` has already change that one, as nested fields do.
    :param importing: see :func:`find`.
    :raises ConfigurationError: an unknown field or choice, with those that exist; a value that
        cannot be.
    """
    hints = get_type_hints(cls)
    known = [field.name for field in fields(cast(Any, cls))]
    what = cls.name if issubclass(cls, Choice) else cls.__name__.lower()
    for name in data:
        require(
            name in known,
            f"unknown {what} field {name!r}: {nearest(str(name), known)} expected "
            f"{', '.join(known) or 'no field'}".replace(":  ", ": "),
        )
    values = {
        name: _value_from_plain(
            name, hints[name], given, getattr(base, name, None), importing=importing
        )
        for name, given in data.items()
    }
    if base is not None:
        return replace(cast(Any, base), **values)
    missing = [
        field.name
        for field in fields(cast(Any, cls))
        if field.name not in values and default_of(field) is MISSING
    ]
    require(not missing, f"{what} without {', '.join(missing)}: expected a value; give it")
    return cls(**values)
