"""Finding repositories below a URL: the walk, and what it found as entries of a configuration."""

from mirrorpy.discover.crawl import explore
from mirrorpy.discover.families import Family, find_families, nested
from mirrorpy.discover.survey import DEPTH, Bounds, Found, Survey

__all__ = ["DEPTH", "Bounds", "Family", "Found", "Survey", "explore", "find_families", "nested"]
