"""A web server on a real socket that serves a folder honestly, and breaks what it is told to break.

    with FaultServer(folder) as server:
        server.fault("base/repodata/repomd.xml", "status", code=503, retry_after="2", times=3)
        mirror(server.url + "base/")
        assert server.taken() == ["base/repodata/repomd.xml", ...]

From a shell: `python -m tests.faultserver --list`, and docs/how-to/test-a-mirror-client.md.
"""

from . import faults_body, faults_connection, faults_content, faults_head, faults_range  # noqa: F401 - they register
from .registry import REGISTRY, Fault, FaultError
from .request import Request
from .server import FaultServer, refused_url

__all__ = ["REGISTRY", "Fault", "FaultError", "FaultServer", "Request", "refused_url"]
