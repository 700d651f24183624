"""A YAML file as plain values that remember their lines, so that every complaint has a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from mirrorpy.errors import ConfigError, one_line

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
MAX_NODES = 200_000
"""Values after aliases are expanded; a bomb has billions."""


@dataclass(frozen=True)
class Document:
    """The values of one file and the line of each key path, such as `repos[0].baseurl`."""

    file: Path
    values: dict[str, Any]
    lines: dict[str, int]

    def place(self, path: str) -> str:
        """Return `FILE:LINE: PATH` for a key path, or for the nearest one above it that exists."""
        known = path
        while known and known not in self.lines:
            known = known[: max(known.rfind("."), known.rfind("["), 0)]
        return f"{self.file}:{self.lines.get(known, 1)}: {path}" if path else f"{self.file}:1"


def read_document(file: Path, text: str) -> Document:
    """Parse YAML.

    Raises:
        ConfigError: It is not YAML, not a mapping, has a key twice, or expands without bound.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{file}:{line}: is not YAML: {one_line(error.problem or str(error))}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}:1: is not YAML: {one_line(str(error))}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}:1: is not a mapping of options")
    builder = _Builder(file)
    return Document(file, builder.build(node, ""), builder.lines)


class _Builder:
    """Turns YAML's nodes into values, counting them and keeping their lines."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._scalars = yaml.SafeLoader("")
        self._count = 0
        self.lines: dict[str, int] = {}

    def build(self, node: yaml.Node, path: str) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self._count > MAX_NODES or path.count(".") + path.count("[") > 20:
            raise ConfigError(f"{self._file}:{line}: {path[:80]}: expands to too many values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, f"{path}[{index}]") for index, child in enumerate(node.value)]
        if ".vars." in path and node.tag in _NUMBERS:
            # A release of 5.10 is no number.
            return node.value
        try:
            return self._scalars.construct_object(node)
        except Exception as error:  # PyYAML's constructors raise whatever a bad value makes them
            raise ConfigError(f"{self._file}:{line}: {path}: is no valid value: {one_line(str(error))}") from error

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self._file}:{line}: {path}: a key is no plain word")
            key = str(key_node.value)
            below = f"{path}.{key}" if path else key
            if key in values:
                raise ConfigError(f"{self._file}:{line}: {below}: stands here twice")
            self.lines[below] = line
            values[key] = self.build(value_node, below)
        return values
