"""YAML as people write it: files of one mapping, and values on the command line."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from storage.reading import one_line
from trm_model.errors import ConfigurationError, require

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Numbers such as 3e-4, which YAML 1.1 takes for text unless they have a point and a sign."""


def parse_yaml(text: str | bytes) -> Any:
    """What YAML says, in plain data; 3e-4 is a number.

    :raises ConfigurationError: no YAML, or a key that stands twice in one mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for number, key in enumerate(keys):
                require(
                    key not in keys[:number],
                    f"{key!r} stands twice, the second time in line "
                    f"{node.value[number][0].start_mark.line + 1}; remove one",
                )
            return cast("dict[Any, Any]", super().construct_mapping(node, deep))

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))
    try:
        return yaml.load(text, Loader)  # noqa: S506  # a subclass of the safe loader
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise ConfigurationError(f"{one_line(error)}; expected YAML; mend it") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a file holds.

    :raises ConfigurationError: no file, or no mapping in YAML.
    :raises OSError: it cannot be read.
    """
    found = "a folder" if path.is_dir() else "no file, or a link to none"
    require(path.is_file(), f"{found}; expected a file in YAML; rename or remove it")
    content = parse_yaml(path.read_bytes())
    require(isinstance(content, Mapping), "expected keys and values in YAML; mend it")
    return dict(cast("Mapping[str, Any]", content))
