"""Plots of growth: time in proportion to the number of objects, memory beside it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

MIB = 1024 * 1024
INK, OURS, GUIDE = "#333333", "#0b6e8a", "#9aa5ad"


def plot(
    path: Path,
    title: str,
    counts: Sequence[int],
    seconds: Sequence[float],
    peaks: Sequence[int],
) -> None:
    """Write a PNG of two panels; memory in bytes."""
    figure = Figure(figsize=(9, 3.6), dpi=150, layout="constrained")
    time, memory = figure.subplots(1, 2)
    figure.suptitle(title, color=INK, fontsize=11)
    _time(time, counts, seconds)
    _memory(memory, counts, [peak / MIB for peak in peaks])
    for axes in (time, memory):
        axes.set_xscale("log")
        axes.set_xlabel("objects", color=INK)
        axes.set_xticks(list(counts))
        axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(color="#e6e9eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK, labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(GUIDE)
    figure.savefig(path, metadata={"Software": None})


def _time(axes: Axes, counts: Sequence[int], seconds: Sequence[float]) -> None:
    each = seconds[-1] / counts[-1]
    ends = (counts[0], counts[-1])
    axes.plot(ends, [each * end for end in ends], color=GUIDE, linestyle="--", linewidth=1.2)
    axes.plot(counts, seconds, color=OURS, marker="o", linewidth=1.2, markersize=5)
    axes.set_yscale("log")
    lowest, highest = floor(log10(min(seconds))), ceil(log10(max(seconds) * 1.5))
    axes.set_ylim(10**lowest, 10**highest)
    axes.set_yticks([10**power for power in range(lowest, highest + 1)])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("time; dashed: in proportion to the largest", color=INK, fontsize=9)
    for count, value in zip(counts, seconds, strict=True):
        _label(axes, count, value, f"{value:.2f}" if value < 10 else f"{value:.1f}")


def _memory(axes: Axes, counts: Sequence[int], mebibytes: Sequence[float]) -> None:
    axes.plot(counts, mebibytes, color=OURS, marker="o", linewidth=1.2, markersize=5)
    axes.set_ylim(0, max(mebibytes) * 1.25)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} MiB"))
    axes.set_title("peak memory", color=INK, fontsize=9)
    for count, value in zip(counts, mebibytes, strict=True):
        _label(axes, count, value, f"{value:.0f}")


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(
        text, (x, y), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8, color=INK
    )


def _thousands(value: float, _: object) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
