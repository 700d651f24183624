"""vsftpd, nginx, Apache and `mirrorpy serve` on loopback, with what `mirrorpy emit` printed as their configuration."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest

from .installation import Mirror
from .programs import real_program
from .webserver import Nginx

START_SECONDS = 20.0
VSFTPD_EMPTY = Path("/var/run/vsftpd/empty")
"""What Debian's vsftpd locks its unprivileged half into."""
LOOPBACK = "127.0.0.1"

FOREGROUND = """
background=NO
seccomp_sandbox=NO
vsftpd_log_file={folder}/vsftpd.log
xferlog_file={folder}/xfer.log
"""

APACHE = """
ServerRoot "{folder}"
PidFile "{folder}/apache.pid"
Mutex file:{folder} default
ErrorLog "{folder}/error.log"
ServerName localhost
User www-data
Group www-data
IncludeOptional /etc/apache2/mods-enabled/*.load
<IfModule !headers_module>
    LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
</IfModule>
IncludeOptional /etc/apache2/mods-enabled/*.conf
<Directory />
    Options FollowSymLinks
    AllowOverride None
    Require all denied
</Directory>
AccessFileName .htaccess
LogFormat "%h %l %u %t \\"%r\\" %>s %O" combined
"""
"""As Debian's apache2.conf has it, beside the virtual host."""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""
"""As Debian's nginx.conf has it, beside the server block."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    url: str
    """Of root, with a slash at its end."""
    port: int


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user of this machine can enter, as servers do; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="mirrorpy-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def emitted(mirror: Mirror, *args: str) -> str:
    """What `mirrorpy emit` prints; it may warn."""
    done = mirror.run("emit", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port(address: str = LOOPBACK) -> int:
    """A port that nobody uses."""
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def run_vsftpd(folder: Path, configuration: str, port: int, address: str = LOOPBACK) -> Iterator[Server]:
    """Run vsftpd with a configuration that listens there."""
    if os.geteuid() != 0:
        pytest.skip("vsftpd needs to be root")
    VSFTPD_EMPTY.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "vsftpd.conf"
    file.write_text(configuration + FOREGROUND.format(folder=folder))
    with _running([real_program("vsftpd"), str(file)], folder, address, port):
        yield Server(f"ftp://{_host(address)}:{port}/", port)


@contextlib.contextmanager
def run_nginx(folder: Path, server: str, port: int, address: str = LOOPBACK) -> Iterator[Server]:
    """Run nginx with a server block that listens there; as root, so that only the block protects what is private."""
    with Nginx(real_program("nginx"), folder, Path(os.devnull), http=server):
        yield Server(f"http://{_host(address)}:{port}/", port)


@contextlib.contextmanager
def run_apache(folder: Path, virtual_host: str, port: int, address: str = LOOPBACK) -> Iterator[Server]:
    """Run Apache with a virtual host that listens there."""
    command = apache_command(folder, virtual_host)
    with _running([*command, "-DFOREGROUND"], folder, address, port):
        yield Server(f"http://{_host(address)}:{port}/", port)


def apache_command(folder: Path, virtual_host: str) -> list[str]:
    """Write a configuration around a virtual host, and return the command line of an Apache that has it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "apache2.conf"
    file.write_text(APACHE.format(folder=folder) + virtual_host)
    return [real_program("apache2"), "-f", str(file)]


def nginx_command(folder: Path, server: str) -> list[str]:
    """Write a configuration around a server block, and return the command line of an nginx that has it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, server=server))
    return [real_program("nginx"), "-p", str(folder), "-c", str(file)]


@contextlib.contextmanager
def run_serve(mirror: Mirror, *args: str) -> Iterator[Server]:
    """Run `mirrorpy serve` on a port of its choice, until it says where it serves."""
    log = mirror.folder / "serve.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            mirror.command("serve", "--port", "0", *args),
            cwd=mirror.folder,
            env=mirror.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )
    try:
        _await(lambda: b"/\n" in log.read_bytes(), process, log)
        (line,) = (line for line in log.read_text().splitlines() if "serving" in line)
        url = line.split()[-1]
        yield Server(url, int(url.rstrip("/").rpartition(":")[2]))
    finally:
        _end(process)


def http_request(
    server: Server, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Message, bytes]:
    """Ask for a path exactly as it is written; returns status, headers and body."""
    address = server.url.split("/")[2].rpartition(":")[0].strip("[]")
    connection = http.client.HTTPConnection(address, server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@contextlib.contextmanager
def _running(command: list[str], folder: Path, address: str, port: int) -> Iterator[None]:
    """A server in the foreground, from when it answers."""

    def answers() -> bool:
        try:
            socket.create_connection((address, port), 1).close()
        except OSError:
            return False
        return True

    output = folder / "output"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C.UTF-8",
                "APACHE_RUN_DIR": str(folder),
                "APACHE_LOG_DIR": str(folder),
            },
            start_new_session=True,
        )
    try:
        _await(answers, process, output)
        yield
    finally:
        _end(process, group=True)


def _await(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"{process.args!r} does not start ({process.returncode}): {log.read_text()}")
        time.sleep(0.02)


def _end(process: "subprocess.Popen[bytes]", *, group: bool = False) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if group:
        # vsftpd's sessions outlive their listener.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
