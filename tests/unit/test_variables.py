"""What yum's variables stand for: on the command line, and on this machine."""

import platform
import textwrap

import pytest

from mirrorpy.config import variables
from mirrorpy.config.variables import given_variables, known_variables
from mirrorpy.errors import ConfigError

GIVEN = [
    ([], {}),
    (["releasever=9"], {"releasever": ["9"]}),
    (["releasever=8,9"], {"releasever": ["8", "9"]}),
    (["releasever=9-stream", "basearch=x86_64"], {"releasever": ["9-stream"], "basearch": ["x86_64"]}),
    (["contentdir=pub/rocky"], {"contentdir": ["pub/rocky"]}),
    (["rltype="], {"rltype": [""]}),
    (["a=b=c"], {"a": ["b=c"]}),
    (["A_1=é"], {"A_1": ["é"]}),
    (["v=5.0"], {"v": ["5.0"]}),
]


@pytest.mark.parametrize(("options", "expected"), GIVEN)
def test_given(options, expected):
    assert given_variables(options) == expected


@pytest.mark.parametrize(
    "option",
    [
        "",
        "releasever",
        "=9",
        "a=b c",
        "a=8,,9",
        "a=8,",
        "a=,8",
        "a b=c",
        "a-b=c",
        "$a=b",
        "é=1",
        "a=b\n",
        "a= b",
        "a=\t",
    ],
)
def test_not_given(option):
    with pytest.raises(ConfigError, match="--var") as raised:
        given_variables([option])
    assert raised.value.message.isprintable()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Be another machine: its os-release, its variables' files, its hardware."""
    monkeypatch.setattr(variables, "OS_RELEASE", str(tmp_path / "os-release"))
    monkeypatch.setattr(variables, "FOLDERS", (str(tmp_path / "yum"), str(tmp_path / "dnf")))

    def machine(os_release: str | None = None, hardware: str = "x86_64", **files: str) -> dict[str, list[str]]:
        monkeypatch.setattr(platform, "machine", lambda: hardware)
        if os_release is not None:
            (tmp_path / "os-release").write_text(textwrap.dedent(os_release))
        for name, text in files.items():
            folder, _, variable = name.partition("_")
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / variable).write_text(text)
        return known_variables()

    return machine


ROCKY = """\
    NAME="Rocky Linux"
    VERSION="9.3 (Blue Onyx)"
    ID="rocky"
    ID_LIKE="rhel centos fedora"
    VERSION_ID="9.3"
    PLATFORM_ID="platform:el9"
    SUPPORT_END="2032-05-31"
    ROCKY_SUPPORT_PRODUCT_VERSION="9.3"
"""
ALMA = 'NAME="AlmaLinux"\nID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.9"\n'
RHEL = 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.2"\nREDHAT_X_VERSION=9\n'
ORACLE = 'ID="ol"\nID_LIKE="fedora"\nVARIANT_ID="server"\nVERSION_ID="8.9"\n'
STREAM = 'NAME="CentOS Stream"\nVERSION="9"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n'
CENTOS7 = 'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n'
FEDORA = 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=40\nVERSION_CODENAME=""\nPLATFORM_ID="platform:f40"\n'
LEAP = 'NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.5"\n'
TUMBLEWEED = 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nVERSION_ID="20240101"\n'
SLES = 'NAME="SLES"\nVERSION="15-SP5"\nID="sles"\nID_LIKE="suse"\nVERSION_ID="15.5"\n'
DEBIAN = 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\nVERSION="12 (bookworm)"\n'
UBUNTU = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'

RELEASES = {
    "Rocky": (ROCKY, "9"),
    "Alma": (ALMA, "8"),
    "RHEL": (RHEL, "9"),
    "Oracle": (ORACLE, "8"),
    "CentOS Stream": (STREAM, "9"),
    "CentOS 7": (CENTOS7, "7"),
    "Fedora": (FEDORA, "40"),
    "openSUSE Leap": (LEAP, "15.5"),
    "openSUSE Tumbleweed": (TUMBLEWEED, "20240101"),
    "SLES": (SLES, "15.5"),
    "single quotes": ("ID='rocky'\nVERSION_ID='9.3'\n", "9"),
    "other order": ("VERSION_ID=9.3\nID=rocky\n", "9"),
    "Debian": (DEBIAN, None),
    "Ubuntu": (UBUNTU, None),
    "Arch": ("ID=arch\nBUILD_ID=rolling\n", None),
    "no version": ("ID=fedora\n", None),
    "no version of RHEL's": ("ID=rhel\n", None),
    "empty": ("", None),
    "garbage": ("\0\xff=\nID\n=\n", None),
    "absent": (None, None),
}


@pytest.mark.parametrize(("os_release", "expected"), RELEASES.values(), ids=RELEASES)
def test_releasever(machine, os_release, expected):
    assert machine(os_release).get("releasever", [None]) == [expected]


@pytest.mark.parametrize(
    ("hardware", "basearch"),
    [
        ("x86_64", "x86_64"),
        ("i386", "i386"),
        ("i486", "i386"),
        ("i586", "i386"),
        ("i686", "i386"),
        ("aarch64", "aarch64"),
        ("armv7l", "armhfp"),
        ("ppc64le", "ppc64le"),
        ("s390x", "s390x"),
        ("riscv64", "riscv64"),
    ],
)
def test_basearch(machine, hardware, basearch):
    known = machine(hardware=hardware)
    assert (known["basearch"], known["arch"]) == ([basearch], [hardware])


def test_files(machine):
    known = machine(
        ROCKY, dnf_contentdir="pub/rocky\n", dnf_stream="9-stream\nmore\n", dnf_rltype="", yum_infra=" stock "
    )
    assert (known["contentdir"], known["stream"], known["rltype"], known["infra"]) == (
        ["pub/rocky"],
        ["9-stream"],
        [""],
        ["stock"],
    )


def test_dnfs_folder_goes_before_yums(machine):
    assert machine(yum_a="old", dnf_a="new")["a"] == ["new"]


def test_a_file_goes_before_the_system(machine):
    assert machine(ROCKY, dnf_releasever="9.2\n")["releasever"] == ["9.2"]


def test_a_folder_is_no_variable(machine, tmp_path):
    (tmp_path / "dnf/below").mkdir(parents=True)
    assert "below" not in machine()


def test_bytes_that_are_no_text(machine, tmp_path):
    (tmp_path / "dnf").mkdir()
    (tmp_path / "dnf/a").write_bytes(b"\xff\n")
    assert machine()["a"] == ["\ufffd"]
