"""How a command ends, whichever it is: its exit code, and one line for what went wrong.

Exit codes: 0 done; 1 a comparison found differences; 2 the user's mistake, damaged data or what the
machine refuses, with one line that says what to change; 130 interrupted.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from storage.reading import one_line, out_of_memory
from storage.refusals import UserError, refusal
from trm_model.names import OWN_MODULES_VARIABLE

MISTAKE = 2
INTERRUPTED = 130

_C = TypeVar("_C", bound=Callable[..., Any])


def run(group: click.Group, arguments: Sequence[str], *, program: str) -> int:
    """Run a command of a group.

    :param program: how the user called it, for usage lines and the shell's completion.
    :returns: the exit code; a mistake is one line on standard error.
    """
    try:
        code = group.main(list(arguments), prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return MISTAKE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else program
        return _mistake(f"{error.format_message().rstrip('.')}; see {where} --help")
    except click.ClickException as error:
        return _mistake(error.format_message())
    except click.Abort:
        return INTERRUPTED
    except UserError as error:
        return _mistake(error)
    except OSError as error:
        return _mistake(refusal(error))
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return _mistake(
            f"not enough memory ({one_line(error)}); end other programs or use a larger machine"
        )
    return code or 0


def _mistake(message: object) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return MISTAKE


def _import(ctx: click.Context, parameter: click.Parameter, modules: Sequence[str]) -> None:
    del ctx, parameter
    if modules:
        from trm_model.choices import import_own

        for name in modules:
            import_own(name)


def import_option(command: _C) -> _C:
    """The option ``--import``, which is carried out before the command and before its help."""
    return click.option(
        "--import",
        "modules",
        multiple=True,
        metavar="MODULE",
        envvar=OWN_MODULES_VARIABLE,
        is_eager=True,
        expose_value=False,
        callback=_import,
        help="Import it first: it registers a family or choices of your own (repeat). Default: "
        f"those that {OWN_MODULES_VARIABLE} names.",
    )(command)
