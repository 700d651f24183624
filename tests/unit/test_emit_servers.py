"""Text for nginx, Apache, vsftpd, cron and systemd: quoting, what cannot be written, times, users, addresses."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrorpy.cli import main
from mirrorpy.emit.apache import apache_conf
from mirrorpy.emit.cron import cron_file
from mirrorpy.emit.nginx import nginx_conf
from mirrorpy.emit.systemd import systemd_units
from mirrorpy.emit.times import DEFAULT, crontab_fields, parse_times
from mirrorpy.emit.vsftpd import vsftpd_conf
from mirrorpy.emit.words import plain, quoted, user_name
from mirrorpy.errors import ConfigError
from mirrorpy.rpmmd.freshness import ASK, FOREVER
from mirrorpy.rpmmd.media import MEDIA_TYPES

PUB = Path("/pub")
COMMAND = ["/usr/bin/mirrorpy", "sync", "--quiet", "--config", "/etc/mirrorpy.yaml"]


@pytest.fixture
def emit(tmp_path, capsys):
    """Run `emit`: the status, and both outputs."""
    file = tmp_path / "m.yaml"
    file.write_text("root: /pub\nrepos: [{id: a, baseurl: 'http://up.test/'}]\n")

    def emit(*args: str) -> tuple[int, str, str]:
        try:
            status = main(["-c", str(file), "emit", *args])
        except SystemExit as end:
            status = end.code
        return (status, *capsys.readouterr())

    return emit


def lines(text: str) -> list[str]:
    """The lines that say something."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def nginx(root: Path = PUB, bind: str | None = None, port: int = 80, server_name: str | None = None) -> list[str]:
    return lines(nginx_conf(root, bind, port, server_name))


def apache(root: Path = PUB, bind: str | None = None, port: int = 80, server_name: str | None = None) -> list[str]:
    return lines(apache_conf(root, bind, port, server_name))


def vsftpd(root: Path = PUB, bind: str | None = None, port: int = 21) -> list[str]:
    return lines(vsftpd_conf(root, bind, port))


def cron(command: list[str] = COMMAND, at: str = DEFAULT, user: str = "root", mailto: str = "root") -> list[str]:
    return lines(cron_file(command, at, user, mailto))


def service(command: list[str] = COMMAND, root: Path = PUB, user: str | None = None) -> list[str]:
    return lines(systemd_units(command, root, DEFAULT, user)["mirrorpy.service"])


def timer(at: str = DEFAULT) -> list[str]:
    return lines(systemd_units(COMMAND, PUB, at, None)["mirrorpy.timer"])


# Words


@pytest.mark.parametrize("word", ["", "a", "/a b/c", "50%", "é鏡", "'\"\\", Path("/x")])
def test_plain(word):
    assert plain(word, "root", "nginx") == str(word)


@pytest.mark.parametrize(
    "word", ["a\n", "a\nb", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", " a", "a ", "a;", "a{"]
)
def test_not_plain(word):
    with pytest.raises(ConfigError) as raised:
        plain(word, "root", "nginx", ";{")
    assert raised.value.message.startswith("root ")
    assert "nginx" in raised.value.message
    assert raised.value.message.isprintable()


@pytest.mark.parametrize(
    ("word", "expected"),
    [("a", '"a"'), ("", '""'), ("a b", '"a b"'), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("\\", '"\\\\"')],
)
def test_quoted(word, expected):
    assert quoted(word) == expected


# Servers

ROOTS = [
    # root, as nginx and Apache write it, as vsftpd does
    ("/pub", '"/pub"', "/pub"),
    ("/my pub", '"/my pub"', "/my pub"),
    ("/it's", '"/it\'s"', "/it's"),
    ('/a"b', '"/a\\"b"', '/a"b'),
    ("/a\\b", '"/a\\\\b"', "/a\\b"),
    ("/50%/#1/a;b", '"/50%/#1/a;b"', "/50%/#1/a;b"),
    ("/{root}", '"/{root}"', "/{root}"),
    ("/Köln/鏡", '"/Köln/鏡"', "/Köln/鏡"),
]


@pytest.mark.parametrize(("root", "expected", "bare"), ROOTS)
def test_root(root, expected, bare):
    assert f"root {expected};" in nginx(Path(root))
    assert f"DocumentRoot {expected}" in apache(Path(root))
    assert f"<Directory {expected}>" in apache(Path(root))
    assert f"anon_root={bare}" in vsftpd(Path(root))


REFUSED = [
    (nginx, "/US$"),
    (apache, "/US$"),
    (apache, "/a*"),
    (apache, "/a?"),
    (apache, "/[a]"),
    (apache, "/${HOME}"),
    *((make, f"/a{char}b") for make in (nginx, apache, vsftpd) for char in "\n\r\0\x1b\x7f\x85\u2028"),
    *((make, "/pub ") for make in (nginx, apache, vsftpd)),
]


@pytest.mark.parametrize(("make", "root"), REFUSED)
def test_roots_that_a_program_cannot_write(make: Callable[[Path], list[str]], root):
    with pytest.raises(ConfigError, match="root"):
        make(Path(root))


@pytest.mark.parametrize(
    ("bind", "port", "expected"),
    [
        (None, 80, "listen 80;"),
        (None, 8080, "listen 8080;"),
        ("127.0.0.1", 80, "listen 127.0.0.1:80;"),
        ("::1", 8080, "listen [::1]:8080;"),
        ("::", 80, "listen [::]:80 ipv6only=off;"),
    ],
)
def test_nginx_listens(bind, port, expected):
    assert [line for line in nginx(bind=bind, port=port) if line.startswith("listen")] == [expected]


@pytest.mark.parametrize(
    ("bind", "port", "listen", "host"),
    [
        (None, 80, [], "*:80"),
        (None, 8080, ["Listen 8080"], "*:8080"),
        ("127.0.0.1", 80, [], "127.0.0.1:80"),
        ("::1", 8080, ["Listen [::1]:8080"], "[::1]:8080"),
    ],
)
def test_apache_listens(bind, port, listen, host):
    got = apache(bind=bind, port=port)
    assert [line for line in got if line.startswith("Listen")] == listen
    assert f"<VirtualHost {host}>" in got


@pytest.mark.parametrize(
    ("bind", "port", "expected"),
    [
        (None, 21, ["listen=YES", "listen_ipv6=NO", "listen_port=21"]),
        ("127.0.0.1", 2121, ["listen=YES", "listen_ipv6=NO", "listen_address=127.0.0.1", "listen_port=2121"]),
        ("::1", 21, ["listen=NO", "listen_ipv6=YES", "listen_address6=::1", "listen_port=21"]),
        ("::", 21, ["listen=NO", "listen_ipv6=YES", "listen_address6=::", "listen_port=21"]),
    ],
)
def test_vsftpd_listens(bind, port, expected):
    assert [line for line in vsftpd(bind=bind, port=port) if line.startswith("listen")] == expected


@pytest.mark.parametrize("make", [nginx, apache, vsftpd])
@pytest.mark.parametrize("bind", ["a b", " ::1", "::1\n", "127.0.0.1\nx", "\x1b", "127.0.0.1 80"])
def test_bad_bind(make, bind):
    with pytest.raises(ConfigError, match="--bind"):
        make(bind=bind)


def test_no_address_is_no_address_of_vsftpds():
    try:
        got = vsftpd(bind="")
    except ConfigError:
        return
    assert not [line for line in got if line.startswith("listen_address")]


@pytest.mark.parametrize(("bind", "expected"), [("::1;", nginx), ("{", nginx), ("a>", apache), ('a"', apache)])
def test_bind_that_would_end_the_directive(bind, expected):
    with pytest.raises(ConfigError, match="--bind"):
        expected(bind=bind)


def test_server_name():
    assert "server_name mirror.test;" in nginx(server_name="mirror.test")
    assert "server_name _;" in nginx()
    assert "ServerName mirror.test" in apache(server_name="mirror.test")
    assert not [line for line in apache() if line.startswith("ServerName")]


@pytest.mark.parametrize("name", ["a b", "a\n", "a\nb", " a", "\x1b", '"a'])
@pytest.mark.parametrize("make", [nginx, apache])
def test_bad_server_name(make, name):
    with pytest.raises(ConfigError, match="--server-name"):
        make(server_name=name)


@pytest.mark.parametrize("name", ["'a", "#a", "a;", "a{", "a}"])
def test_server_name_that_would_end_nginxs_directive(name):
    with pytest.raises(ConfigError, match="--server-name"):
        nginx(server_name=name)


@pytest.mark.parametrize("kind", ["nginx", "apache", "vsftpd"])
@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", ""])
def test_bad_port(emit, kind, port):
    status, out, err = emit(kind, f"--port={port}")
    assert (status, out) == (2, "")
    assert "port" in err


@pytest.mark.parametrize("make", [nginx, apache])
def test_web_servers_know_freshness_and_types(make):
    text = "\n".join(make())
    assert ASK in text
    assert FOREVER in text
    for kind in MEDIA_TYPES:
        assert kind in text
    assert "/\\.mirrorpy(/|$)" in text.replace("(^|/)", "/")


@pytest.mark.parametrize("make", [nginx, apache])
def test_braces_and_tags_are_balanced(make):
    text = re.sub(r'"[^"]*"', '""', "\n".join(make()))
    assert text.count("{") == text.count("}")
    assert sorted(re.findall(r"<(\w+)", text)) == sorted(re.findall(r"</(\w+)", text))


@pytest.mark.parametrize(
    "line",
    [
        "anonymous_enable=YES",
        "local_enable=NO",
        "write_enable=NO",
        "anon_upload_enable=NO",
        "anon_mkdir_write_enable=NO",
        "anon_other_write_enable=NO",
        "deny_file=.mirrorpy",
    ],
)
def test_vsftpd_is_read_only(line):
    assert line in vsftpd()


@pytest.mark.parametrize(
    "command", ["STOR", "STOU", "APPE", "MKD", "RMD", "DELE", "RNFR", "RNTO", "SITE", "XMKD", "XRMD"]
)
def test_vsftpd_knows_no_command_that_writes(command):
    (allowed,) = [line.partition("=")[2] for line in vsftpd() if line.startswith("cmds_allowed=")]
    assert command not in allowed.split(",")


def test_vsftpd_takes_no_spaces_around_its_equals_signs():
    assert all(re.fullmatch(r"[a-z0-9_]+=\S.*", line) for line in vsftpd())


# Times

TIMES = [
    ("1:17,13:17", [(1, 17), (13, 17)]),
    ("0:00", [(0, 0)]),
    ("23:59", [(23, 59)]),
    ("01:07", [(1, 7)]),
    (" 1:17 , 2:18 ", [(1, 17), (2, 18)]),
    ("13:17,1:17", [(1, 17), (13, 17)]),
    ("1:17,01:17", [(1, 17)]),
]


@pytest.mark.parametrize(("text", "expected"), TIMES)
def test_times(text, expected):
    assert parse_times(text) == expected


BAD_TIMES = ["", ",", "1", "1:7", "24:00", "1:60", "1:17,", "1:17;2:17", "1.17", "1:17:00", "-1:00", "1:17 2:17",
             "noon", "\uff11:17", "001:17"]  # fmt: skip


@pytest.mark.parametrize("text", BAD_TIMES)
def test_bad_times(text):
    for make in (parse_times, crontab_fields):
        with pytest.raises(ConfigError, match="--at") as raised:
            make(text)
        assert raised.value.message.isprintable()


FIELDS = [
    ("1:17,13:17", ["17 1,13 * * *"]),
    ("1:17", ["17 1 * * *"]),
    ("1:17,13:47", ["17 1 * * *", "47 13 * * *"]),
    ("0:00,6:30,12:00", ["0 0,12 * * *", "30 6 * * *"]),
    ("17 */4 * * *", ["17 */4 * * *"]),
    ("0,30 1-5 * * mon-fri", ["0,30 1-5 * * mon-fri"]),
    ("5 4 1,15 Jan-Jun/2 *", ["5 4 1,15 Jan-Jun/2 *"]),
    ("59 23 31 12 7", ["59 23 31 12 7"]),
    ("0 0 1 1 0", ["0 0 1 1 0"]),
    ("*/5 * * * *", ["*/5 * * * *"]),
    ("17  1 * * *", ["17 1 * * *"]),
]


@pytest.mark.parametrize(("text", "expected"), FIELDS)
def test_fields(text, expected):
    assert crontab_fields(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "17 1 * *",
        "17 1 * * * *",
        "17 1 * * *\n* * * * *",
        "17 1 * * ;",
        "17 1 * * %",
        "@daily",
        # crond throws away the whole file for one of these.
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "a b c d e",
        "* * * mon *",
        "*/0 * * * *",
        "5- * * * *",
        "5/2 * * * *",
        "1-5/ * * * *",
        # Never for one crond, a reason to throw the file away for another.
        "9-5 * * * *",
        ", * * * *",
        "1,,2 * * * *",
        "- - - - -",
        "/5 * * * *",
    ],
)
def test_bad_fields(text):
    with pytest.raises(ConfigError, match="--at"):
        crontab_fields(text)


# cron


def test_cron_defaults(emit):
    status, out, err = emit("cron")
    assert (status, err) == (0, "")
    mailto, path, job = lines(out)
    assert mailto == "MAILTO=root"
    assert path.startswith("PATH=/")
    assert job.startswith("17 1,13 * * * root /")
    assert " sync --quiet --config /" in job
    assert out.endswith("\n")


def test_cron_line():
    assert cron()[2:] == ["17 1,13 * * * root /usr/bin/mirrorpy sync --quiet --config /etc/mirrorpy.yaml"]


def test_cron_has_a_line_for_each_minute():
    assert [line.split(" root ")[0] for line in cron(at="1:17,2:18")[2:]] == ["17 1 * * *", "18 2 * * *"]


def unescaped(job: str) -> str:
    """What cron gives to the shell."""
    return re.sub(r"\\([\\%])", r"\1", job)


@pytest.mark.parametrize(
    "word", ["/a b", "/it's", '/a"b', "/a;b&c", "/$HOME", "/`x`", "/é", "/#x", "/a\\b", "/*", "~", ""]
)
def test_cron_words_are_quoted_for_the_shell(word):
    assert shlex.split(unescaped(cron([*COMMAND, word])[2]))[-1] == word


@pytest.mark.parametrize("word", ["/50%", "/%d", "/a b%%", "/a\\%b"])
def test_cron_takes_no_percent_sign_for_the_end(word):
    job = cron([*COMMAND, word])[2]
    assert not re.search(r"(?<!\\)%", job)
    assert shlex.split(unescaped(job))[-1] == word


@pytest.mark.parametrize("word", ["a\nb", "a\0", "\x1b", "\x85"])
def test_cron_has_no_word_of_two_lines(word):
    with pytest.raises(ConfigError, match="cron"):
        cron([*COMMAND, word])


@pytest.mark.parametrize(
    ("mailto", "expected"),
    [
        ("ops@example.org", "MAILTO=ops@example.org"),
        ("a@b.test,c@d.test", "MAILTO=a@b.test,c@d.test"),
        ("50%@x", "MAILTO=50%@x"),
        # Debian's cron throws the file away where nothing follows the sign.
        ("", 'MAILTO=""'),
    ],
)
def test_mailto(mailto, expected):
    assert cron(mailto=mailto)[0] == expected


@pytest.mark.parametrize("mailto", ["a\nb", "a\n* * * * * root rm", "a b", " a", "\x1b", '"a'])
def test_bad_mailto(mailto):
    with pytest.raises(ConfigError, match="--mailto"):
        cron(mailto=mailto)


# Users


@pytest.mark.parametrize("user", ["root", "mirror", "_apt", "a.b", "a-b_c", "A1", "machine$", "x" * 32])
def test_users(user):
    assert user_name(user) == user
    assert f" {user} /usr/bin/mirrorpy " in cron(user=user)[2]
    assert f"User={user}" in service(user=user)


@pytest.mark.parametrize(
    "user", ["", "a b", "a\n", "root\nUser=x", "-a", "1a", "é", "a:b", "a/b", "$", "a$b", "%i", "*"]
)
def test_bad_users(emit, user):
    for make in (user_name, lambda user: cron(user=user)):
        with pytest.raises(ConfigError, match="--user"):
            make(user)
    for kind in ("cron", "systemd"):
        status, out, err = emit(kind, f"--user={user}")
        assert (status, out, err.count("\n")) == (2, "", 1), kind


def test_without_a_user_it_is_the_systems():
    assert not [line for line in service() if line.startswith("User=")]


# systemd


def test_units_one_after_the_other(emit):
    status, out, err = emit("systemd")
    assert (status, err) == (0, "")
    assert out.startswith("# /etc/systemd/system/mirrorpy.service\n")
    before, _, after = out.partition("\n# /etc/systemd/system/mirrorpy.timer\n")
    assert "ExecStart=" in before
    assert "[Timer]" in after


@pytest.mark.parametrize("name", ["mirrorpy.service", "mirrorpy.timer"])
def test_one_unit_alone(emit, name):
    status, out, _ = emit("systemd", name)
    assert status == 0
    assert "# /etc/systemd" not in out
    assert ("[Timer]" in out) == name.endswith("timer")


def test_no_other_unit(emit):
    assert emit("systemd", "cups.service")[0] == 2


def test_timer():
    assert [line for line in timer() if line.startswith("OnCalendar")] == [
        "OnCalendar=*-*-* 01:17:00",
        "OnCalendar=*-*-* 13:17:00",
    ]
    assert [line.partition("=")[0] for line in timer("4:05") if "=" in line and "Calendar" in line] == ["OnCalendar"]
    assert "RandomizedDelaySec=30min" in timer()


@pytest.mark.parametrize("at", ["17 */4 * * *", "24:00", "", "daily"])
def test_bad_times_of_a_timer(emit, at):
    status, out, err = emit("systemd", f"--at={at}")
    assert (status, out, err.count("\n")) == (2, "", 1)


PATHS = [
    ("/pub", "/pub", "/pub"),
    ("/a-b_c.d", "/a-b_c.d", "/a-b_c.d"),
    ("/a b", '"/a b"', '"/a b"'),
    ("/50%", '"/50%%"', '"/50%%"'),
    ("/%h", '"/%%h"', '"/%%h"'),
    ("/$HOME", '"/$$HOME"', '"/$HOME"'),
    ('/a"b', '"/a\\"b"', '"/a\\"b"'),
    ("/a\\x41", '"/a\\\\x41"', '"/a\\\\x41"'),
    ("/it's", '"/it\'s"', '"/it\'s"'),
    ("/#;", '"/#;"', '"/#;"'),
    ("/é", "/é", "/é"),
]


@pytest.mark.parametrize(("path", "argument", "folder"), PATHS)
def test_paths_of_units(path, argument, folder):
    got = service([*COMMAND[:-1], path], Path(path))
    assert f"ExecStart=/usr/bin/mirrorpy sync --quiet --config {argument}" in got
    assert f"ReadWritePaths={folder}" in got


@pytest.mark.parametrize("path", ["/a\nb", "/a\nExecStart=/bin/x", "/\0", "/\x1b", "/a "])
def test_bad_paths_of_units(path):
    with pytest.raises(ConfigError, match="systemd"):
        service(root=Path(path))


@pytest.mark.parametrize(
    "line",
    [
        "Type=oneshot",
        "SuccessExitStatus=7",
        "ProtectSystem=strict",
        "ReadWritePaths=/pub",
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        "UMask=0022",
    ],
)
def test_service(line):
    assert line in service()


# All of them


@pytest.mark.parametrize("kind", ["nginx", "apache", "vsftpd", "cron", "systemd"])
def test_every_kind_has_defaults(emit, kind):
    status, out, err = emit(kind)
    assert (status, err) == (0, "")
    assert f"# Made by `mirrorpy emit {kind}`." in out
    assert all(line.isprintable() for line in out.splitlines())
    assert out.endswith("\n")


@pytest.mark.parametrize(
    "args", [[], ["frob"], ["nginx", "x"], ["cron", "--bind", "::"], ["vsftpd", "--server-name=x"]]
)
def test_usage(emit, args):
    status, out, err = emit(*args)
    assert (status, out) == (2, "")
    assert "usage: mirrorpy" in err
