"""Finding repositories below a URL: the walk, and what it found as entries of a configuration."""

from mirrorpy.discover.crawl import DEPTH, Bounds, Found, Survey, explore
from mirrorpy.discover.families import Family, find_families

__all__ = ["DEPTH", "Bounds", "Family", "Found", "Survey", "explore", "find_families"]
