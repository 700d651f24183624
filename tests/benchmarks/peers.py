"""mirrorpy beside dnf reposync, rsync, lftp and curl: the same work, from the same servers, in one run.

python -m tests.benchmarks.peers                                          all that the page shows; hours
python -m tests.benchmarks.peers --shape small --work first --runs 3      one cell
python -m tests.benchmarks.peers --shape centos:300 --relay 50            the same through a slow network
python -m tests.benchmarks.peers --load FILE --write-docs                 the page again, out of what --save kept

Before each run everything is written that waits for the disk, and after it the mirror is compared with the upstream.
Needs nginx, rsync, dnf with its plugins, lftp, curl, rpmkeys and openssl.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import machine, parsing, verifying
from tests.benchmarks.cells import STATES, WORKS, Cell, chosen
from tests.benchmarks.goals import goals_table
from tests.benchmarks.mirrorers import every, install
from tests.benchmarks.origin import Origin
from tests.benchmarks.page import machine_lines, write_page
from tests.benchmarks.results import Extent, Results
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.tables import connections_table, detail_table, parsed, verified
from tests.benchmarks.upstreams import Upstream

if TYPE_CHECKING:
    from collections.abc import Sequence


class Bench:
    """One run, in a folder of its own; the upstreams may be in one that is kept."""

    def __init__(self, folder: Path, kept: Path, results: Results, peers: Sequence[str]) -> None:
        self.results = results
        self._folder, self._kept, self._peers = folder, kept, peers
        self._python = install(folder / "venv")
        self.origin = Origin(folder / "origin")

    def measure(self, cell: Cell) -> None:
        """Measure all works of one cell."""
        upstream = Upstream(self._kept, cell.shape, max(4, round(cell.packages * self.results.scale)))
        packages = [size for href, size in upstream.files("first").items() if href.endswith(".rpm")]
        self.results.extents[cell.key] = Extent(len(packages), sum(packages))
        if STATES.keys() & set(cell.works):
            crew = [peer for peer in every(self._python, far=cell.rtt > 0) if self._takes_part(peer.name)]
            with self.origin.far(cell.rtt) if cell.rtt else self.origin.near() as addresses:
                Rounds(cell, upstream, crew, self.results).run(self.origin, addresses, self._folder / "targets")
        runs, repo = self.results.runs, upstream["first"]
        if "verify" in cell.works:
            self.results.samples += verifying.measure_all(self._folder, repo, cell.key, runs, self._python)
        if "parse" in cell.works:
            self.results.samples += parsing.measure_all(self._folder, repo, cell.key, runs)

    def _takes_part(self, name: str) -> bool:
        return not self._peers or any(name.startswith(asked) for asked in self._peers)


def report(results: Results) -> None:
    """Print all that was measured."""
    tables = [
        machine_lines(results),
        detail_table(results, far=True),
        connections_table(results),
        detail_table(results, far=False),
        verified(results),
        parsed(results),
        goals_table(results),
    ]
    for lines in filter(None, tables):
        print("", *lines, sep="\n")


def arguments() -> argparse.Namespace:
    """Read the command line."""

    def words(text: str) -> list[str]:
        return [word.strip() for word in text.split(",")]

    def works(text: str) -> list[str]:
        if unknown := set(words(text)) - set(WORKS):
            raise argparse.ArgumentTypeError(f"no work {', '.join(unknown)}; there are {', '.join(WORKS)}")
        return words(text)

    def milliseconds(text: str) -> list[int]:
        return [int(word) for word in words(text)]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=words, default=[], help="small, centos, large, many; also small:500")
    parser.add_argument("--work", type=works, default=[], help=", ".join(WORKS).replace("%", "%%"))
    parser.add_argument("--relay", type=milliseconds, default=[], help="round trips in milliseconds; 0 is loopback")
    parser.add_argument("--peers", type=words, default=[], help="mirrorpy,rsync: these alone, by how their names begin")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5); slow programs take part in fewer")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of packages")
    parser.add_argument("--folder", type=Path, help="where to keep the upstreams for the next run")
    parser.add_argument("--save", type=Path, help="a file for the figures, written after each cell")
    parser.add_argument("--load", type=Path, help="measure nothing: take the figures of an earlier run")
    parser.add_argument("--write-docs", action="store_true", help="write the page and its picture")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = arguments()
    if args.load:
        results = Results.load(args.load)
    else:
        cells = chosen(args.shape, args.relay, args.work)
        if args.folder:
            args.folder.mkdir(parents=True, exist_ok=True)
            args.folder = args.folder.resolve()
        with tempfile.TemporaryDirectory(prefix="mirrorpy-bench-", dir=args.folder) as place:
            folder = Path(place)
            folder.chmod(0o755)
            results = Results(machine=machine.describe(folder), runs=args.runs, scale=args.scale)
            results.sha256 = machine.sha256_speed()
            bench = Bench(folder, args.folder or folder, results, args.peers)
            try:
                for cell in cells:
                    print(f"{cell.key}: load {os.getloadavg()[0]:.1f}", flush=True)
                    bench.measure(cell)
                    if args.save:
                        results.save(args.save)
            finally:
                bench.origin.stop()
    report(results)
    if args.write_docs:
        write_page(results)


if __name__ == "__main__":
    main()
