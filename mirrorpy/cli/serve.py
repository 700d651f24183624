"""`mirrorpy serve`: an embedded, read-only web server of root."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.cli.arguments import free_port_number
from mirrorpy.cli.lines import Lines
from mirrorpy.errors import ConfigError
from mirrorpy.store.layout import Layout

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mirrorpy.config.model import Config
    from mirrorpy.serve import Access

logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("serve", help="serve root over HTTP, for a LAN or a trial")
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="listen there (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=free_port_number, default=8080, help="listen there; 0 takes a free one (default: 8080)"
    )
    parser.set_defaults(run=run)


def run(config: Config, args: argparse.Namespace) -> int:
    """Serve until a signal."""
    try:
        from mirrorpy.serve import serve  # noqa: PLC0415  # an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ConfigError(f"serve needs {error.name}", hint="run `pip install 'mirrorpy[serve]'`") from error

    as_json = args.log_format == "json"
    with Lines() as lines:

        def ready(url: str) -> None:
            text = f"serving {config.root} at {url}"
            line = msgspec.json.encode({"level": "info", "message": text}).decode() if as_json else f"mirrorpy: {text}"
            if not args.quiet:
                lines.say(line)

        def access(line: Access) -> None:
            lines.say(msgspec.json.encode(line).decode() if as_json else str(line))

        if os.path.isdir(state := Layout.of(config.root).state) and not os.access(state, os.R_OK | os.X_OK):
            logger.warning("%s: the repositories' state is not readable for this user", config.root)
        serve(config, args.bind, args.port, ready, None if args.quiet else access)
    return 0
