"""What one sync brings, and the next has no use for."""

from pathlib import Path

import pytest

from tests.faultserver import FaultServer
from tests.integration.installation import Mirror
from tests.integration.upstream import Upstream

from .debris import leftovers
from .sync import sync


@pytest.mark.usefixtures("no_waiting_for_disks")
@pytest.mark.parametrize("then", ["the state before", "another state"])
def test_what_a_failed_sync_brought_goes_with_the_next_good_one(tmp_path: Path, mirror: Mirror, then: str) -> None:
    """Upstream publishes, and one of its packages cannot be had; then it has that state no more."""
    before, after = Upstream(tmp_path / "before"), Upstream(tmp_path / "after")
    for upstream in (before, after):
        upstream.add("kept")
        upstream.publish()
    after.add("brought")
    lost = after.add("lost")
    after.publish()
    with FaultServer(before.folder) as server:
        mirror.configure({"id": "base", "baseurl": server.url}, retries=0)
        assert sync(mirror).exit == 0
        server.folder = after.folder
        server.fault(lost, "status", code=404)
        assert sync(mirror).exit == 3
        if then == "another state":
            after.remove("Packages/brought-1.0-1.noarch.rpm")
            after.remove(lost)
            after.publish()
        else:
            server.folder = before.folder
        assert sync(mirror).exit == 0
    assert leftovers(mirror, "base") == []
