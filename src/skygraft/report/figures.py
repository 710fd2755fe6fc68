"""The figures of the report: vector drawings as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from skygraft.report.scores import KShotTable

Floats = npt.NDArray[np.float64]

# Okabe and Ito's colours, which colour-blind readers tell apart; markers tell them apart in print.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A6D00")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
_SPLITS: Final = {"train": "#0072B2", "val": "#E69F00", "test": "#009E73", "buffer": "#999999"}
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "skygraft",
    "svg.fonttype": "path",
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "axes.edgecolor": "#59636e",
    "text.color": "#1f2328",
    "axes.labelcolor": "#1f2328",
    "xtick.color": "#59636e",
    "ytick.color": "#59636e",
}


def kshot_figure(table: KShotTable) -> str:
    """Accuracy by shots with intervals, a line a model."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(table.shots), dtype=np.float64)
        spread = np.linspace(-0.16, 0.16, len(table.lines)) if len(table.lines) > 1 else np.zeros(1)
        for i, line in enumerate(table.lines):
            at = [j for j, k in enumerate(table.shots) if k in line.cells]
            cells = [line.cells[table.shots[j]] for j in at]
            value = np.array([cell.value for cell in cells])
            bars = np.array([[c.value - c.low for c in cells], [c.high - c.value for c in cells]])
            dashed = line.facts["system"] in ("floor",) or line.facts["start"] == "random"
            axes.errorbar(
                places[at] + spread[i], value, yerr=bars, color=_COLOURS[i % len(_COLOURS)], marker=_MARKERS[i % len(_MARKERS)],
                markersize=5, linewidth=1.6, linestyle="--" if dashed else "-", elinewidth=1.2, capsize=2.5, label=line.model,
            )  # fmt: skip
        axes.xaxis.set_major_locator(FixedLocator([float(place) for place in places]))
        axes.set_xticklabels([str(k) for k in table.shots])
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="labelled images a class (k)", ylabel="accuracy, %")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return _uri(figure)


def curves_figure(history: Mapping[str, Floats]) -> str:
    """Losses, learning rate and temperature by epoch, side by side.

    Args:
        history: Columns of ``history.csv``: epoch, train_loss, val_loss, learning_rate, temperature; nan where there is no value.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.7), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
        epoch = history["epoch"]
        for column, label, colour, style in (("train_loss", "training", _COLOURS[0], "-"), ("val_loss", "validation", _COLOURS[1], "--")):
            left.plot(epoch, history[column], color=colour, linestyle=style, marker="o", markersize=3, label=label)
        left.legend(frameon=False)
        _axis(left, "loss")
        for axes, column, label in ((middle, "learning_rate", "learning rate"), (right, "temperature", "temperature")):
            if np.isfinite(history[column]).any():
                _axis(axes, label)
                axes.plot(epoch, history[column], color=_COLOURS[2], marker="o", markersize=3)
            else:
                axes.set_axis_off()
                axes.text(0.5, 0.5, f"no {label}", ha="center", va="center", transform=axes.transAxes)
        return _uri(figure)


def histogram_figure(scores: Floats, threshold: float) -> str:
    """How probabilities of an outdoor picture (n,) lie, and the threshold between what is left out and what is kept."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        # The threshold parts the bars too.
        edges = sorted({*(i / 50 for i in range(51)), round(threshold, 4)})
        for chosen, label, colour in (
            (scores[scores < threshold], "left out", _COLOURS[1]),
            (scores[scores >= threshold], "kept", _COLOURS[0]),
        ):
            axes.hist(chosen, bins=edges, color=colour, label=f"{label} ({len(chosen):,})", linewidth=0)
        axes.axvline(threshold, color="#1f2328", linewidth=1.4, linestyle="--", label=f"threshold {threshold:g}")
        # Most photos lie at the two ends; the few about the threshold are what one looks for, and would be a flat line beside them.
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        axes.set(xlabel="probability of an outdoor picture", ylabel="photos (by their square root)", xlim=(0, 1), ylim=(0, None))
        axes.grid(visible=False, axis="x")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return _uri(figure)


def map_figure(longitude: Floats, latitude: Floats, splits: Sequence[str]) -> str:
    """Where the tiles are, by split.

    Args:
        longitude: Tile centres, degrees east, shape (n,).
        latitude: Degrees north, shape (n,).
        splits: Split of each tile.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        names = np.asarray(splits)
        size = float(np.clip(20_000 / max(1, len(names)), 0.8, 16))
        for split, colour in _SPLITS.items():
            chosen = names == split
            if chosen.any():
                # Points in their tens of thousands would make a page of tens of megabytes: they are drawn as pixels.
                axes.scatter(
                    longitude[chosen], latitude[chosen], s=size, color=colour, linewidths=0, rasterized=True,
                    label=f"{split} ({int(chosen.sum()):,})",
                )  # fmt: skip
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, markerscale=max(1.0, 4 / size**0.5))
        _map_axes(axes, latitude)
        return _uri(figure)


def density_figure(longitude: Floats, latitude: Floats) -> str:
    """How many pairs of tile and photo there are by place (degrees), in hexagons."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        # About six places a hexagon: fewer would draw the places themselves.
        places = len(np.unique(np.stack([longitude, latitude]), axis=1).T)
        cells = axes.hexbin(
            longitude, latitude, gridsize=int(np.clip((places / 6) ** 0.5, 4, 60)), mincnt=1, cmap="viridis", linewidths=0.2
        )
        figure.colorbar(cells, ax=axes, label="pairs in a hexagon", orientation="horizontal", shrink=0.7, pad=0.03, aspect=30)
        _map_axes(axes, latitude)
        return _uri(figure)


def _map_axes(axes: Axes, latitude: Floats) -> None:
    # A degree of longitude is as long as cos(latitude) degrees of latitude.
    axes.set_aspect(1 / max(0.05, float(np.cos(np.deg2rad(np.mean(latitude))))))
    axes.margins(0.04)
    axes.set(xlabel="longitude, °E", ylabel="latitude, °N")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_minor_locator(NullLocator())


def _axis(axes: Axes, label: str) -> None:
    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _uri(figure: Figure) -> str:
    stream = io.BytesIO()
    # No date: the same run gives the same page.
    figure.savefig(stream, format="svg", metadata={"Date": None}, dpi=150)
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()
