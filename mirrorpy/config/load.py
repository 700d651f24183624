"""Reading the configuration file: finding it, and collecting every problem before complaining once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mirrorpy.config.document import Document, read_document
from mirrorpy.config.model import Config, FileOptions
from mirrorpy.config.quantity import Duration, Share, Size
from mirrorpy.config.resolve import resolve_repositories
from mirrorpy.errors import ConfigError, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FILES = (Path("mirrorpy.yaml"), Path("/etc/mirrorpy.yaml"))
MAX_FILE = 4 * 1024**2
_AT = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def find_config(option: str | None, environ: Mapping[str, str]) -> Path:
    """Return the configuration's file: --config, $MIRRORPY_CONFIG, ./mirrorpy.yaml, /etc/mirrorpy.yaml.

    Raises:
        ConfigError: None of them is there.
    """
    named = option or environ.get("MIRRORPY_CONFIG")
    if named:
        return Path(named)
    for file in DEFAULT_FILES:
        if file.exists():
            return file
    raise ConfigError(
        "no configuration found at ./mirrorpy.yaml or /etc/mirrorpy.yaml", hint="name one with --config FILE"
    )


def load_config(file: Path, environ: Mapping[str, str] | None) -> Config:
    """Read and check a configuration; without an environment, for who asks no upstream, secrets are left out.

    Raises:
        ConfigError: It cannot be read or is wrong; the message has one line for each problem, with file, line and
            the key's path.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text") from error
    if len(data) > MAX_FILE:
        raise ConfigError(f"{file}: is larger than {MAX_FILE} bytes")
    return parse_config(file, text, environ)


def parse_config(file: Path, text: str, environ: Mapping[str, str] | None) -> Config:
    """Check a configuration's text; file is only its name.

    Raises:
        ConfigError: As of load_config.
    """
    document = read_document(file, text)
    options, problems = _convert(document)
    if options is None:
        raise _complaint(problems)
    repos = resolve_repositories(options, document, environ, problems)
    if problems:
        raise _complaint(problems)
    root = Path(os.path.abspath(file.parent / Path(options.root).expanduser()))
    return Config(
        file=file,
        root=root,
        repos=tuple(repos),
        max_parallel_repos=options.max_parallel_repos,
        max_parallel_downloads=options.max_parallel_downloads,
        throttle=options.throttle or 0,
    )


def _complaint(problems: list[str]) -> ConfigError:
    more = f" (and {len(problems) - 1} more: {' | '.join(problems[1:])})" if len(problems) > 1 else ""
    return ConfigError(f"{problems[0]}{more}")


def _convert(document: Document) -> tuple[FileOptions | None, list[str]]:
    """Type the values; msgspec names one problem at a time, so each is noted, taken out, and the rest tried again."""
    problems: list[str] = []
    values: Any = document.values
    while True:
        try:
            return msgspec.convert(values, FileOptions, dec_hook=_quantity), problems
        except msgspec.ValidationError as error:
            path, problem = _explain(str(error))
            problems.append(f"{document.place(path)}: {problem}")
            if not _take_out(values, path):
                return None, problems


def _quantity(kind: type, value: object) -> object:
    if kind in (Size, Duration, Share):
        return kind.parse(value)
    raise TypeError(kind)


def _explain(message: str) -> tuple[str, str]:
    match = _AT.fullmatch(message)
    text, path = (match[1], match[2]) if match else (message, "")
    path = path.replace("[...]", "")
    if unknown := _UNKNOWN.fullmatch(text):
        return f"{path}.{unknown[1]}".lstrip("."), "is no option"
    return path, one_line(text[:1].lower() + text[1:]).replace(" | null`", "`")


def _take_out(values: Any, path: str) -> bool:
    """Drop one value; False where there is none to drop, as for an option that is missing."""
    keys = [int(key[1:-1]) if key.startswith("[") else key for key in re.findall(r"\[\d+\]|[^.\[]+", path)]
    for key in keys[:-1]:
        try:
            values = values[key]
        except (LookupError, TypeError):
            return False
    if not keys or not isinstance(values, dict) or keys[-1] not in values:
        return False
    del values[keys[-1]]
    return True
