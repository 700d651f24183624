"""The same as a picture: first syncs far and near, and how a sync without change grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.cells import NAMES
from tests.benchmarks.mirrorers import NAMED
from tests.benchmarks.results import OURS, Results
from tests.benchmarks.tables import place, seconds, syncs, wall

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]

COLOURS = dict(zip(NAMED, ("#c1440e", "#4477aa", "#999933", "#888888", "#66aabb", "#225566"), strict=True))
BAR = 0.8
GROWING = {"first": "-", "1%": "--", "none": ":"}


def draw(results: Results, file: Path) -> bool:
    """Write it as SVG; False where nothing was measured that it could show."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    far, near = ([cell for cell, work in syncs(results, far=far) if work == "first"] for far in (True, False))
    grown = [cell for cell in near if cell.startswith("many:")]
    near = [cell for cell in near if cell not in grown[:-1]]
    parts = [part for part in (far, near) if part]
    if not parts:
        return False
    # The same figures are the same bytes: no date, no random ids, and no outlines of a font.
    mpl.rcParams.update({"svg.hashsalt": "mirrorpy", "svg.fonttype": "none", "font.size": 9})
    count = len(parts) + bool(grown)
    heights = [max(2.0, 0.3 + sum(0.2 * len(shown(results, cell)) + 0.25 for cell in part)) for part in parts]
    figure, axes = plt.subplots(
        count, 1, figsize=(8, sum(heights) + 3.2 * bool(grown)), height_ratios=[*heights, 3.0][:count], squeeze=False
    )
    for axis, part in zip(axes[:, 0], parts, strict=False):
        _bars(axis, results, part)
        axis.set_title("first sync through a slow network" if part is far else "first sync on loopback", loc="left")
    if grown:
        _growth(axes[-1, 0], results, grown)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    file.write_text("".join(f"{line.rstrip()}\n" for line in file.read_text().splitlines()))
    return True


def shown(results: Results, cell: str) -> list[str]:
    """Return who has a bar."""
    there = results.programs(cell, "first")
    return [name for name in NAMED if name in there]


def _bars(axis: Axes, results: Results, cells: list[str]) -> None:
    """Draw a group of bars for each upstream, the range as a thin line."""
    at = 0.0
    for cell in cells:
        began = at
        for name in shown(results, cell):
            found = results.range(cell, "first", name, wall)
            assert found is not None
            error = [[found.median - found.least], [found.greatest - found.median]]
            axis.barh(at, found.median, BAR, xerr=error, color=COLOURS[name], ecolor="#444444")
            axis.annotate(
                f"{name}  {seconds(found.median)} s",
                (found.greatest, at),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontweight="bold" if name == OURS else "normal",
            )
            at += 1
        axis.annotate(
            place(results, cell).replace(", ", "\n"),
            (0, (began + at - 1) / 2),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )
        at += BAR
    axis.invert_yaxis()
    axis.set_yticks([])
    axis.set_xlabel("seconds, median; the line is from the least to the greatest")
    axis.set_xlim(0, axis.get_xlim()[1] * 1.25)
    axis.spines[["top", "right"]].set_visible(False)


def _growth(axis: Axes, results: Results, cells: list[str]) -> None:
    """Draw seconds over packages, both logarithmic."""
    for name in (OURS, "rsync"):
        for work, style in GROWING.items():
            points = [
                (results.extents[cell].packages, found.median)
                for cell in cells
                if (found := results.range(cell, work, name, wall))
            ]
            if points:
                label = f"{name}, {NAMES[work]}"
                axis.plot(*zip(*points, strict=True), style, marker="o", markersize=3, color=COLOURS[name], label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks([results.extents[cell].packages for cell in cells], minor=False)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("packages")
    axis.set_ylabel("seconds")
    axis.set_title("how it grows, packages of 3 kB on loopback", loc="left")
    axis.legend(fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
