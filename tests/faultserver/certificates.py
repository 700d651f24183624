"""Certificates of a server on loopback, good and bad, by the program openssl."""

import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

KINDS = ("good", "expired", "wrong-host", "self-signed")
HERE = "IP:127.0.0.1,DNS:localhost"
ELSEWHERE = "DNS:elsewhere.test"
PRESENT = ("20000101000000Z", "20991231235959Z")
PAST = ("20000101000000Z", "20010101000000Z")

CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = the server of a test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
[ca]
default_ca = issuing
[issuing]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = anything
[anything]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server needs to speak TLS, and a client to trust it."""

    context: ssl.SSLContext
    authority: Path
    folder: "tempfile.TemporaryDirectory[str]"


def make_certificate(kind: str) -> Certificate:
    """Make an authority, and a server's certificate of one of the kinds.

    Raises:
        ValueError: There is no such kind.
        RuntimeError: openssl is not installed, or does not do it.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no certificate {kind!r}: there are {', '.join(KINDS)}")
    if not shutil.which("openssl"):
        raise RuntimeError("certificates are made with the program openssl, which is not installed")
    temporary = tempfile.TemporaryDirectory(prefix="faultserver-")
    try:
        folder = Path(temporary.name)
        _prepare(folder, ELSEWHERE if kind == "wrong-host" else HERE)
        _issue(folder, "authority", PRESENT, signed_by="authority")
        own = kind == "self-signed"
        _issue(folder, "server", PAST if kind == "expired" else PRESENT, signed_by="server" if own else "authority")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        context.set_alpn_protocols(["http/1.1"])
    except BaseException:
        temporary.cleanup()
        raise
    return Certificate(context, folder / "authority.pem", temporary)


def _prepare(folder: Path, names: str) -> None:
    (folder / "openssl.cnf").write_text(CONFIGURATION.format(folder=folder, names=names), encoding="utf-8")
    (folder / "index").touch()
    (folder / "index.attr").write_text("unique_subject = no\n", encoding="utf-8")
    (folder / "serial").write_text("01\n", encoding="utf-8")


def _issue(folder: Path, name: str, dates: tuple[str, str], signed_by: str) -> None:
    """Make a key and a certificate; `openssl x509` of version 3.0 cannot date one back, `openssl ca` can."""
    subject = f"/CN=the {name} of a test"
    _openssl(
        folder,
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
    )
    signer = ["-selfsign"] if signed_by == name else ["-cert", f"{signed_by}.pem"]
    _openssl(
        folder,
        *("ca", "-batch", "-notext", "-keyfile", f"{signed_by}.key", *signer, "-extensions", name),
        *("-startdate", dates[0], "-enddate", dates[1], "-in", f"{name}.csr", "-out", f"{name}.pem"),
    )


def _openssl(folder: Path, command: str, *arguments: str) -> None:
    done = subprocess.run(
        ["openssl", command, "-config", "openssl.cnf", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"openssl {command} failed: {done.stderr.strip()}")
