"""Frozen dataclasses as what Dagster's page offers to change: a field for each of theirs, with its
type, its default and the words of its ``:param`` in the docstring."""

import inspect
import re
import types
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import dagster as dg

from trm_model.choices import Choice, choices, default_of, to_plain

_PARAM = re.compile(r":param ([\w, ]+): (.+?)(?=\n:|\n\n|\Z)", re.DOTALL)
_ROLE = re.compile(r":\w+:(`[^`]+`)")


def documented(cls: type) -> dict[str, str]:
    """The description of each field in a class's docstring, on one line."""
    return {
        name: _line(text)
        for names, text in _PARAM.findall(inspect.getdoc(cls) or "")
        for name in names.split(", ")
    }


def _line(text: str) -> str:
    return _ROLE.sub(r"\1", " ".join(text.split())).replace("``", "`")


def _title(cls: type) -> str:
    """The first paragraph of a docstring, on one line."""
    return _line((inspect.getdoc(cls) or "").partition("\n\n")[0])


def change_fields(
    cls: type, *, without: tuple[str, ...] = (), stays: str = ""
) -> dict[str, dg.Field]:
    """A field for each of a dataclass's, all of which may be left out; nothing stands in place of
    what is left out.

    :param without: the fields that are not offered.
    :param stays: what a field is when it is left out, in words; empty: the dataclass's default.
    """
    return {
        field.name: dg.Field(
            kind, is_required=False, description=f"{text} {stays or _told(field)}".strip()
        )
        for field, kind, text in _described(cls)
        if field.name not in without
    }


def value_fields(base: Any) -> dict[str, dg.Field]:
    """A field for each of a dataclass's, with the value that it has in ``base`` as default."""
    found: dict[str, dg.Field] = {}
    for field, kind, text in _described(type(base)):
        value = getattr(base, field.name)
        if is_dataclass(value) and not isinstance(value, Choice):
            found[field.name] = dg.Field(dg.Shape(value_fields(value)), description=text)
        else:
            found[field.name] = dg.Field(kind, default_value=to_plain(value), description=text)
    return found


@cache
def _described(cls: type) -> list[tuple["Field[Any]", Any, str]]:
    """Each field of a dataclass with Dagster's type for it and what the docstring says of it."""
    texts, hints = documented(cls), get_type_hints(cls)
    return [
        (field, _kind(hints[field.name]), texts.get(field.name, ""))
        for field in fields(cast(Any, cls))
    ]


def _told(field: "Field[Any]") -> str:
    """A field's default in words; empty where it has none."""
    given = default_of(field)
    return "" if given is MISSING else f"Default: {to_plain(given)}."


_PLAIN = (int, float, bool, str)


def _kind(hint: Any) -> Any:
    """Dagster's type for values of a field. It may take too much, such as anything for the types of
    a user's own choice: :func:`trm_model.choices.from_plain` has the last word."""
    options = [each for each in get_args(hint) if each is not type(None)]
    origin = get_origin(hint)
    if hint in _PLAIN:
        return hint
    if origin is Literal and all(isinstance(word, str) for word in options):
        return dg.Enum(" | ".join(options), [dg.EnumValue(word) for word in options])
    if origin in (Union, types.UnionType) and len(options) == 1:
        return dg.Noneable(_kind(options[0]))
    if origin is tuple and options[0] in _PLAIN:
        return dg.Array(options[0])
    if isinstance(hint, type) and issubclass(hint, Choice):
        return _choice(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return dg.Shape(change_fields(hint))
    return dg.Any  # Lists of choices among others: one choice stands for a list of it.


@cache
def _choice(axis: type[Choice]) -> dg.ScalarUnion:
    """A choice is its name, or its name with settings."""
    options = {
        name: dg.Field(dg.Shape(change_fields(cls)), is_required=False, description=_title(cls))
        for name, cls in choices(axis).items()
    }
    return dg.ScalarUnion(str, dg.Selector(options))
