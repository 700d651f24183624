"""The only speaker of HTTP: mirrors, retries, resuming, failover; file:// speaks it too."""

from mirrorpy.upstream.document import Document
from mirrorpy.upstream.network import Network
from mirrorpy.upstream.upstream import Upstream, is_small

__all__ = ["Document", "Network", "Upstream", "is_small"]
