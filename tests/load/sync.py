"""A sync within this process, with little patience."""

import os

from mirrorpy.config.load import load_config
from mirrorpy.mirror import RunReport, sync_all
from mirrorpy.sync.report import Options
from mirrorpy.upstream import Network
from tests.integration.installation import Mirror
from tests.sync.mirror import PATIENCE, Watcher


def sync(mirror: Mirror) -> RunReport:
    """Bring a mirror up to date as the command does, but wait milliseconds where a user would wait seconds."""
    config = load_config(mirror.config, os.environ)
    return sync_all(config, config.repos, Options(), Watcher(), Network(patience=PATIENCE))
