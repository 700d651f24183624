"""Peak memory and time of a first sync, of a sync without change, and of one after 1 % changed.

python -m tests.benchmarks.memory [--packages 70000]

Real RPMs are built with rpm-rs, described by createrepo_c and served by nginx on loopback. What is printed is the
operating system's account of each whole process; run it on a quiet machine, and beside a peer if it is to be compared.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import rpm_rs

NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
server {{ listen 127.0.0.1:{port}; root {folder}/upstream; }} }}
"""


def build(job: tuple[str, int, int]) -> None:
    """Build one package of about 3 kB."""
    folder, number, release = job
    rng = random.Random(number)
    name = f"pkg{number:05d}"
    builder = rpm_rs.PackageBuilder(name, f"1.{number % 20}", "MIT", rng.choice(("x86_64", "noarch")))
    builder.using_config(
        rpm_rs.BuildConfig(
            format=rpm_rs.RpmFormat.V4,
            compression=rpm_rs.CompressionType.NONE,
            reserved_space=0,
            source_date=1_700_000_000,
        )
    )
    builder.release(f"{release}.el9")
    for k in range(rng.randint(2, 12)):
        builder.requires(f"lib{rng.randint(0, 9999)}.so.{k}()(64bit)")
    content = rng.randbytes(rng.randint(200, 2000)) + release.to_bytes(4, "big")
    builder.with_file_contents(content, rpm_rs.FileOptions.new(f"/usr/lib/{name}.bin"))
    target = pathlib.Path(folder, "Packages", f"{number % 26:02d}")
    target.mkdir(parents=True, exist_ok=True)
    builder.build().write_file(str(target / f"{name}-{release}.rpm"))


def build_all(folder: str, numbers: range, release: int) -> None:
    """Build packages on every core, and describe the repository."""
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as crew:
        list(crew.map(build, [(folder, number, release) for number in numbers], chunksize=64))
    subprocess.run(["createrepo_c", "-q", "--update", folder], check=True, stderr=subprocess.DEVNULL)


def measure(config: pathlib.Path, label: str) -> None:
    """Run one sync and print what it took."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "mirrorpy", "sync", "--config", str(config)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    cpu = usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss / 1024
    print(f"{label:12} exit {process.returncode}  wall {wall:6.2f} s  CPU {cpu:6.2f} s  peak {peak:6.1f} MB")


def main() -> None:
    """Build, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=70_000)
    count = parser.parse_args().packages
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mirrorpy-bench-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "upstream").mkdir()
    folder.chmod(0o755)
    build_all(str(folder / "upstream"), range(count), 1)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    config = folder / "mirrorpy.yaml"
    config.write_text(f"root: {folder}/pub\nrepos:\n  - id: many\n    baseurl: http://127.0.0.1:{port}/\n")
    search = f"{os.environ['PATH']}:/usr/sbin"
    nginx = subprocess.Popen([shutil.which("nginx", path=search) or "nginx", "-c", str(folder / "nginx.conf")])
    try:
        time.sleep(1)
        measure(config, "first")
        measure(config, "no change")
        for number in range(count // 100):
            (folder / "upstream/Packages" / f"{number % 26:02d}" / f"pkg{number:05d}-1.rpm").unlink()
        build_all(str(folder / "upstream"), range(count // 100), 2)
        measure(config, "1 % changed")
    finally:
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
