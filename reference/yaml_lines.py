"""YAML that remembers the line of every key and item, so that errors can say where to look."""

from pathlib import Path
from typing import Any

import yaml

from reference.errors import ConfigurationError

Place = tuple[str | int, ...]
"""Keys and indexes from the root of the document to a value."""


class Document:
    """A parsed file: `data`, and the line of each place in it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines: dict[Place, int] = {}
        try:
            node = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
            self.data: Any = None if node is None else self._read(node, ())
        except FileNotFoundError as error:
            raise ConfigurationError(f"there is no {file}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file}: {error}") from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigurationError(f"{file}:{line}: not valid YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{file}: not valid YAML: {error}") from error

    def line(self, place: Place) -> int:
        """Return the line of a value, or of the innermost place around it that is in the file."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def error(self, place: Place, message: str) -> ConfigurationError:
        """Return an error that starts with file, line and field."""
        field = ".".join(str(part) for part in place if not isinstance(part, int))
        return ConfigurationError(f"{self.file}:{self.line(place)}: {field + ': ' if field else ''}{message}")

    def _read(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(item, (*place, index)) for index, item in enumerate(node.value)]
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node, deep=True)
        finally:
            loader.dispose()

    def _read_mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                raise ConfigurationError(f"{self.file}:{key_node.start_mark.line + 1}: '{key}' is given twice")
            self._lines[(*place, key)] = key_node.start_mark.line + 1
            found[key] = self._read(value_node, (*place, key))
        return found
