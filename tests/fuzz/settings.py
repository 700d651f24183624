"""How the readers of configurations are called: our own, yum's, and what stands on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

from mirrorpy.config.load import load_config
from mirrorpy.config.quantity import Duration, Share, Size
from mirrorpy.config.repo_files import read_sections
from mirrorpy.config.resolve import check_url
from mirrorpy.config.variables import expand_conditions, given_variables, with_parts
from mirrorpy.emit.cron import cron_file
from mirrorpy.emit.repofile import check_base, check_key, fold, repo_file
from mirrorpy.emit.words import address, host_name
from mirrorpy.errors import MAX_MESSAGE, ConfigError
from mirrorpy.rpmmd.mirrors import expand, variables_in
from tests.property.strategies import one_line
from tests.property.test_yum_files import load, taken

from .files import named

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS = {"SECRET": "s3cret", "X": "$releasever"}
VARIABLES = {"releasever": ["9"], "basearch": ["x86_64", "i386"], "x": [""], "empty": []}


def configuration(data: bytes) -> None:
    with named(data) as name:
        config = load_config(Path(name), SECRETS)
        assert load_config(Path(name), None).root == config.root
    assert config.repos
    assert config.root.is_absolute()
    assert len({repo.id for repo in config.repos}) == len({repo.path for repo in config.repos}) == len(config.repos)
    for repo in config.repos:
        assert repo.fingerprint
        assert not {"", ".", ".."} & set(repo.path.split("/"))
    sections = fold(config.repos)
    assert list(read_sections("x.repo", repo_file(sections, "http://h"))) == [section.id for section in sections]


def yum_file(data: bytes) -> None:
    """What is taken loads; complaints of long names of certificates lose their end, which tells them from others."""
    conversion = taken(data.decode("utf-8", "replace"))
    if conversion is not None and conversion.entries and max(map(len, data.splitlines())) < MAX_MESSAGE // 4:
        load(conversion)


def quantity(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for kind in (Size, Duration, Share):
        try:
            found = kind.parse(text)
        except ValueError:
            continue
        assert 0 <= found < 1e28


def given(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    expanded = expand(expand_conditions(text, with_parts(VARIABLES)), {"releasever": "9"})
    assert "releasever" not in variables_in(expanded) or "releasever" in text.replace("$releasever", "")
    given_variables(text.split("\n"))


def source(data: bytes) -> None:
    """One that is taken can be shown in a message."""
    for key in ("baseurl", "mirrorlist"):
        assert check_url(data.decode("utf-8", "surrogateescape"), key).isprintable()


def emit(data: bytes) -> None:
    """What is taken of a command line's words stands on one line."""
    text = data.decode("utf-8", "surrogateescape")
    tries: list[Callable[[], str]] = [
        lambda: cron_file(["sync"], text, "root", "root"),
        lambda: cron_file(["sync"], "1:17", text, "root"),
        lambda: cron_file(["sync"], "1:17", "root", text),
        lambda: check_base(text),
        lambda: check_key(text),
        lambda: address(text),
        lambda: host_name(text),
    ]
    refused = []
    for one in tries:
        try:
            assert one().replace("\n", "").isprintable()
        except ConfigError as error:
            one_line(error.message)
            refused.append(error)
    if len(refused) == len(tries):
        raise refused[0]
