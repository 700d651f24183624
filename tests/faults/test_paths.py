"""Faults 73 to 85: names that leave the repository, or that a filesystem cannot hold."""

from .catalogue import fault
from .world import World


@fault(74, "`../` in a package's location (CVE-2018-10897; Kubernetes' `../../pool`)", "4; it is never asked for")
def test_fault_074_dotdot_in_primary(world: World) -> None:
    world.base.compose({"../other/Packages/kept.rpm": b"evil"})
    world.refused(4, "../other/Packages/kept.rpm", "leaves the repository")
    assert not [path for path in world.server.taken() if path.startswith("base/..")]
