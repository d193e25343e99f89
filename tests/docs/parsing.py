"""Command lines of the documentation, parsed by the programs' own parsers without running them."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import click
from dagster._cli import create_dagster_cli

from assets.benchmarks import BENCHMARKS
from pipelines.command import trm
from tests.docs.pages import ROOT, Command, files

SHELL = {"tensorboard", "mlflow", "torchrun", "eval", "source", "export", "pip", "pre-commit"}
"""Programs whose arguments are not checked."""


def check(command: Command) -> None:
    """Refuse a command line that would not work.

    :raises click.UsageError: an option, argument or command that does not exist.
    :raises AssertionError: a program, module, make target or benchmark that does not exist.
    """
    program, *arguments = command.words
    if program == "trm":
        check_trm(arguments)
    elif program == "python" and arguments[0] == "-m":
        check_module(arguments[1], arguments[2:])
    elif program == "make":
        check_make(arguments)
    elif program == "dagster":
        parse(create_dagster_cli(), arguments)
    elif program == "python":
        assert (ROOT / arguments[0]).is_file(), arguments[0]
    else:
        assert program in SHELL or program.startswith(".ci/"), program


def parse(command: click.Command, arguments: Sequence[str]) -> click.Context:
    """Let click parse arguments; commands in a group are followed to the last one."""
    context = command.make_context(command.name, list(arguments))
    while isinstance(context.command, click.Group):
        name, arguments = arguments[0], arguments[1:]
        found = context.command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name!r}", context)
        context = found.make_context(name, list(arguments), parent=context)
    return context


def check_trm(arguments: Sequence[str]) -> None:
    """The arguments of ``trm``, down to benchmarks, partitions and settings."""
    given = parse(trm, arguments).params
    if given.get("benchmark") is not None:  # It may be left out.
        check_benchmark(given["benchmark"], given.get("partitions", ()), given.get("settings", ()))


def check_benchmark(benchmark: str, partitions: Sequence[str], settings: Sequence[str]) -> None:
    """A benchmark, partitions of it and settings of its stages."""
    from pipelines.definitions import PARTITIONS, defs
    from pipelines.execute import parse_partitions, parse_settings

    assert benchmark in BENCHMARKS, benchmark
    own = [f"{Path(name).stem}|0" for name in files() if name.startswith("variants/")]
    parse_partitions(partitions, [*PARTITIONS.get_partition_keys(), *own], {})
    for name, op in parse_settings(benchmark, settings).items():
        definition = defs.resolve_assets_def(name.split("__")).op
        known = definition.config_schema.config_type.fields  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
        for field in op["config"]:
            assert field in known, f"{name}.{field}: expected one of {', '.join(known)}"


def check_module(module: str, arguments: Sequence[str]) -> None:
    """``python -m MODULE``: the module can be run."""
    if module == "pipelines.materialize":
        check_trm(["materialize", *arguments])
    elif module != "pytest":
        found = importlib.util.find_spec(module)
        assert found is not None, f"no module {module}"
        if found.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{module}.__main__") is not None, (
                f"{module} cannot run"
            )


def check_make(arguments: Sequence[str]) -> None:
    """``make TARGET… VARIABLE=VALUE…``: targets and variables are those of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        pattern = rf"\$\({name}\)" if equals else rf"^{name}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"make {argument}"
