"""The long run: `python -m tests.fuzz [TARGET…]`, random, each target for $MIRRORPY_FUZZ_SECONDS.

Each target runs in a process of its own, with bounded memory, so that a crash or a hang of a library is a finding too.
What fails is kept as a file; the exit status is 1.
"""

import argparse
import os
import resource
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from .bounds import MIB, resident
from .judge import Judge
from .target import Target
from .targets import TARGETS

FOLDER = Path(".hypothesis/fuzz")
ADDRESS_SPACE = 2048 * MIB
BATCH = 250
"""Examples after which the clock is looked at, and hypothesis begins anew with another seed."""
PATIENCE = 120
"""Seconds beyond its time after which a process hangs: a shrinking takes some of them."""
LONG = settings(
    deadline=None,
    database=None,
    max_examples=BATCH,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def main() -> int:
    """Run the targets, several at a time, and say how it went."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"which (default: all): {', '.join(names)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core)")
    parser.add_argument("--again", metavar="FILE", help="judge the input that this file holds, once")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.targets) - set(names):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    chosen = [target for target in TARGETS if target.name in (args.targets or names)]
    seconds = float(os.environ.get("MIRRORPY_FUZZ_SECONDS", "600"))
    if args.again:
        return judge_again(chosen, Path(args.again))
    if args.child:
        return fuzz(chosen[0], seconds)
    program = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    with ThreadPoolExecutor(args.jobs) as pool:
        return max(pool.map(lambda target: watch(target, seconds, program), chosen))


def judge_again(targets: list[Target], file: Path) -> int:
    for target in targets:
        judge = Judge(target)
        judge.judge(file.read_bytes())
        print(target.name, *judge.causes or ["taken"])
    return 0


def watch(target: Target, seconds: float, program: list[str]) -> int:
    """Run a target in a process of its own, of this program; 1 where it found something, or died of it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [*program, "--child", target.name]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + PATIENCE,
            check=False,
        )
        said, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        said, status = f"{target.name}: hangs: {error}", -1
    again = f"python -m tests.fuzz {target.name} --again {current(target)}"
    kept = f"\n{target.name}: FAILED ({status}); judge it again with `{again}`\n" if status else ""
    print(f"{said.rstrip()}{kept}", flush=True)
    return int(status != 0)


def current(target: Target) -> Path:
    """Where the input under way is; of one that failed, the smallest that fails too."""
    return FOLDER / target.name


def fuzz(target: Target, seconds: float) -> int:
    """Fuzz until the time is over, and print a line on it; raises what is found."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    judge, before, began = Judge(target), resident(), time.monotonic()
    with current(target).open("wb", buffering=0) as file:
        while time.monotonic() - began < seconds:

            @seed(secrets.randbits(64))
            @settings(LONG)
            @given(target.inputs)
            def one(data: bytes) -> None:
                file.seek(0)
                file.truncate()
                file.write(data)
                judge.judge(data)

            one()
    took = time.monotonic() - began
    kinds = ", ".join(f"{kind} {count}" for kind, count in judge.kinds.most_common())
    peak, left = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, (resident() - before) // MIB
    print(
        f"{target.name:16} {judge.count:8,} examples, {judge.count / took:.0f}/s: {kinds}, {len(judge.causes)} causes; "
        f"slowest {1000 * judge.slowest.seconds:.0f} ms; {judge.largest.memory / MIB:.0f} MiB for one, "
        f"{left} MiB left after all, peak {peak} MiB"
    )
    current(target).unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
