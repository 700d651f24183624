"""The configuration: YAML in, one valid value for each repository out; every problem with its place."""

from mirrorpy.config.load import find_config, load_config
from mirrorpy.config.model import Config, Connection, Repository
from mirrorpy.config.selection import select_repositories

__all__ = ["Config", "Connection", "Repository", "find_config", "load_config", "select_repositories"]
