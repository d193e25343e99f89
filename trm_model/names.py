"""Names: what variants and benchmarks may be called, which name was probably meant, and the
environment variables of this project.

A name is a folder, a part of file names, a partition key and a value in the path of a table, where
whoever reads the table without its schema guesses the value's type. One rule serves all of them.
"""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from trm_model.errors import require

LONGEST = 64
"""Letters of a name: file names hold it with more around it, and most disks stop at 255 bytes."""
_RULE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OTHER_TYPES = ("false", "inf", "infinity", "nan", "none", "null", "true")
"""Words that a reader of tables takes for a value of another type, in any spelling."""
_SHOWN = 3

OWN_VARIANTS_VARIABLE = "TRM_VARIANTS"
"""Environment variable: the folder of the user's own variants."""
OWN_VARIANTS_DEFAULT = Path("variants")
OWN_MODULES_VARIABLE = "TRM_IMPORT"
"""Environment variable: modules that define choices or families of the user's own, with spaces
between them, which are imported first."""
STORE_VARIABLE = "TRM_RANKS_STORE"
"""Environment variable with the address at which the processes of one training on one machine find
one another."""
GROUP_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Environment variables by which torchrun tells a process its number among all and how many they
are, and the same of its own machine."""
OWN_STUDIES_VARIABLE = "TRM_STUDIES"
"""Environment variable: the folder of the user's own studies."""
OWN_STUDIES_DEFAULT = Path("studies")


def own_variants_folder() -> Path:
    """Where the user's own variants are (:func:`trm_model.variants.load_variants`)."""
    return Path(os.environ.get(OWN_VARIANTS_VARIABLE) or OWN_VARIANTS_DEFAULT)


def own_studies_folder() -> Path:
    """Where the user's own studies are (:func:`assets.studies.study.load_studies`)."""
    return Path(os.environ.get(OWN_STUDIES_VARIABLE) or OWN_STUDIES_DEFAULT)


def own_modules() -> list[str]:
    """The user's own modules that the environment names (:func:`trm_model.choices.import_own`)."""
    return os.environ.get(OWN_MODULES_VARIABLE, "").split()


def require_name(what: str, name: str) -> None:
    """Whether a variant or a benchmark may have this name.

    :param what: ``variant``, …, for the message.
    :raises ConfigurationError: it may not.
    """
    shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    require(
        len(name) <= LONGEST
        and _RULE.fullmatch(name) is not None
        and name.lower() not in _OTHER_TYPES,
        f"{what} {shown!r}: expected a name of at most {LONGEST} letters a-z or A-Z, digits and _ "
        f"that begins with a letter and is none of {', '.join(_OTHER_TYPES)}; rename it",
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """The names that begin with ``name`` and those most like it, in words: ``did you mean trm or
    trm_mlp?``; empty where there is none."""
    spelled, given = {each.lower(): each for each in known}, name.lower()
    begun = [each for each in spelled if given and each.startswith(given)]
    like = difflib.get_close_matches(given, spelled, _SHOWN)
    found = [spelled[each] for each in dict.fromkeys([*begun, *like])][:_SHOWN]
    return f"did you mean {' or '.join(found)}?" if found else ""


def unknown_name(what: str, name: str, known: Iterable[str], remedy: str) -> str:
    """The message for a name that is none of the known ones.

    :param remedy: where all of them are to be seen.
    """
    like = nearest(name, known)
    return f"no {what} {name!r}: {f'{like} ' if like else ''}{remedy}"
