"""Single samples to look at, from details.jsonl: the attention that positions receive, and which of them the cells keep."""

import base64
import binascii
import io

import numpy as np
from matplotlib import colors, image

from . import looks
from .base import PlotError

STRIPS = 10  # strategies below an importance picture
FEW_LAYERS = {"full": 5, "column": 4}
IMAGE = looks.SKY


class Detail:
    """A sample of a group, with what its cells kept: arrays [layers][groups][kept positions]."""

    def __init__(self, group, place, stored):
        self.group, self.place, self.sample = group, place, stored["sample"]
        self.tokens = stored["prompt_tokens"]
        self.begin, self.end = stored["image"]
        self.rows, self.columns = stored["grid"]
        self.importance = np.array(stored["importance"], dtype=float)
        if self.importance.size and self.importance.shape[1:] != (self.tokens,):
            raise PlotError(f"{place}: damaged: {self.importance.shape[-1]} importances of {self.tokens} tokens")
        if self.has_grid and self.rows * self.columns != self.end - self.begin:
            raise PlotError(f"{place}: damaged: a grid of {self.rows} x {self.columns} for "
                            f"{self.end - self.begin} image tokens")
        self.thumbnail = self.decode(stored["thumbnail"])
        self.kept = dict(zip(stored["cells"], stored["kept"]))

    @property
    def has_grid(self):
        return self.rows > 0 and self.columns > 0

    def decode(self, text):
        """[height, width, 3] in 0..1, or None without an image."""
        if not text:
            return None
        try:
            pixels = image.imread(io.BytesIO(base64.b64decode(text, validate=True)), format="png")
        except (binascii.Error, OSError, SyntaxError, ValueError) as error:
            raise PlotError(f"{self.place}: damaged: the thumbnail is no PNG: {error}") from error
        if pixels.ndim == 2:
            pixels = np.stack([pixels] * 3, axis=-1)
        return pixels[..., :3].astype(float)

    def shares(self, cell):
        """[layers, tokens]: the share of the heads' groups that keep a position; None where nothing is known of the cell."""
        kept = self.kept.get(cell.id)
        if not kept:
            return None
        shares = np.zeros((len(kept), self.tokens))
        for layer, groups in enumerate(kept):
            for positions in groups:
                if positions and max(positions) >= self.tokens:
                    raise PlotError(f"{self.place}: damaged: {cell.id} keeps position {max(positions)} of "
                                    f"{self.tokens}")
                shares[layer, positions] += 1.0 / len(groups)
        return shares


def is_finite(importance):
    """Whether something can be drawn of a sample: what is not finite stands there as a word, in older folders as null."""
    return bool(np.isfinite(np.array(importance, dtype=float)).all())


def details_of(group):
    """The stored samples of a group that can be drawn."""
    return [Detail(group, place, stored) for place, stored in group.run.details
            if (stored["model"], stored["data"]) == (group.model, group.data) and is_finite(stored["importance"])]


def choose_budget(group, wanted):
    """The budget whose cells are shown: the wanted one, or the one nearest to 0.2 of the prompt."""
    texts = [budget.text for budget in group.budgets]
    if wanted is not None:
        if wanted not in texts:
            raise PlotError(f"--budget: no budget {wanted!r}; known: {', '.join(texts)}")
        return wanted
    return min(group.budgets, key=lambda b: (b.growth == "tokens", abs(b.place - 0.2))).text if group.budgets else None


def shown_cells(detail, budget):
    """(strategy name, shares) of the strategies with this budget of which something is known."""
    found = []
    for strategy in detail.group.strategies:
        cell = detail.group.cells.get((strategy.name, budget))
        shares = None if cell is None else detail.shares(cell)
        if shares is not None:
            found.append((strategy.name, shares))
    return found


def mark_image(axes, detail, named=False):
    if detail.end <= detail.begin:
        return
    for edge in (detail.begin - 0.5, detail.end - 0.5):
        axes.axvline(edge, color=IMAGE, linewidth=0.8)
    if named:
        axes.axvspan(detail.begin - 0.5, detail.end - 0.5, color=IMAGE, alpha=0.15, linewidth=0)
        axes.text((detail.begin + detail.end) / 2, 0.97, "image's tokens", transform=axes.get_xaxis_transform(), ha="center",
                  va="top", fontsize=looks.SMALL)


def importance_figure(detail, budget, width):
    """Attention by position: the mean over layers, each layer below it, then what the strategies keep; None when the engine
    gave none."""
    importance = detail.importance
    if importance.size == 0 or not (importance > 0).any():
        return None
    cells = shown_cells(detail, budget)[:STRIPS]
    heights = [1.5, 1.1] + ([0.13 * len(cells) + 0.06] if cells else [])
    figure, axes = looks.plt.subplots(len(heights), 1, figsize=(looks.WIDTHS[width], sum(heights) + 0.7), sharex=True,
                                      layout="constrained", height_ratios=heights)
    figure.get_layout_engine().set(h_pad=0.02, w_pad=0.03)
    positions = np.arange(detail.tokens)
    smallest = importance[importance > 0].min()
    line, heat = axes[0], axes[1]
    mean = np.maximum(importance.mean(axis=0), smallest)
    line.plot(positions, mean, color="black", linewidth=0.8, drawstyle="steps-mid")
    looks.logarithmic(line.yaxis, mean.min(), mean.max())
    line.set_ylabel("Attention received,\nmean over layers")
    looks.grid(line)
    mark_image(line, detail, named=True)
    # Half of a per cent of very small values would take the colours from all others.
    low = max(smallest, np.quantile(importance[importance > 0], 0.005))
    norm = colors.LogNorm(low, max(importance.max(), low * 1.001))
    shown = heat.imshow(np.maximum(importance, low), aspect="auto", interpolation="nearest", cmap="cividis", norm=norm,
                        extent=(-0.5, detail.tokens - 0.5, len(importance) - 0.5, -0.5))
    heat.set_ylabel("Layer")
    heat.yaxis.set_major_locator(looks.ticker.MaxNLocator(4, integer=True))
    mark_image(heat, detail)
    bar = figure.colorbar(shown, ax=heat, pad=0.01, aspect=9, fraction=0.05)
    bar.ax.tick_params(labelsize=looks.SMALL)
    bar.ax.yaxis.set_minor_locator(looks.ticker.NullLocator())
    bar.ax.yaxis.set_major_formatter(looks.ticker.FuncFormatter(looks.plain))
    if cells:
        strips = axes[2]
        rows = np.stack([shares.mean(axis=0) for _, shares in cells])
        strips.imshow(rows, aspect="auto", interpolation="nearest", cmap="Greys", vmin=0, vmax=1,
                      extent=(-0.5, detail.tokens - 0.5, len(cells) - 0.5, -0.5))
        strips.set_yticks(range(len(cells)), [name for name, _ in cells])
        for edge in np.arange(0.5, len(cells) - 1):
            strips.axhline(edge, color="white", linewidth=1.0)
        strips.tick_params(axis="y", length=0)
        mark_image(strips, detail)
    note = f"\n(rows: kept at budget {budget}; black: in all layers)" if cells else ""
    axes[-1].set_xlabel(f"Position in the prompt{note}")
    line.set_xlim(-0.5, detail.tokens - 0.5)
    looks.heading(figure, f"{detail.group.name}, sample {detail.sample}", width)
    return figure


def faded(thumbnail, shares):
    """The image where patches are kept, faint where they are not; `shares` is [grid rows, grid columns]."""
    height, width = thumbnail.shape[:2]
    rows, columns = shares.shape
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    share = shares[np.ix_(down, across)][..., None]
    grey = thumbnail.mean(axis=-1, keepdims=True)
    return share * thumbnail + (1 - share) * (0.82 + 0.15 * grey)


def show_image(axes, pixels):
    axes.imshow(np.clip(pixels, 0, 1), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.4, color="#888888")


def draw_layer(axes, detail, shares, layer):
    grid = shares[layer, detail.begin:detail.end].reshape(detail.rows, detail.columns)
    show_image(axes, faded(detail.thumbnail, grid))
    return f"{grid.sum():.0f}/{shares[layer].sum():.0f}"


def few_layers(count, wanted):
    """Layers from the first to the last, about equally far apart."""
    return sorted({round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})


def overview_figure(detail, budget, width):
    """Rows of strategies, columns of a few layers; None without an image or without cells."""
    cells = shown_cells(detail, budget)[:STRIPS]
    if not detail.has_grid or detail.thumbnail is None or not cells:
        return None
    layers = few_layers(len(cells[0][1]), FEW_LAYERS[width])
    names = max(len(name) for name, _ in cells) * 0.058 + 0.1
    side = (looks.WIDTHS[width] - names) / (len(layers) + 1)
    ratio = detail.thumbnail.shape[0] / detail.thumbnail.shape[1]
    figure, panels = looks.panels(width, len(cells), len(layers) + 1, side * ratio + 0.2)
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.02)
    for row, (name, shares) in enumerate(cells):
        whole = panels[row][0]
        show_image(whole, detail.thumbnail)
        whole.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=looks.SMALL)
        for column, layer in enumerate(layers):
            axes = panels[row][column + 1]
            axes.set_xlabel(draw_layer(axes, detail, shares, layer), fontsize=looks.SMALL, labelpad=1)
            if row == 0:
                axes.set_title(f"layer {layer}", fontsize=looks.SMALL, pad=3)
    panels[0][0].set_title("image", fontsize=looks.SMALL, pad=3)
    looks.heading(figure, f"{detail.group.name}, sample {detail.sample}: kept image tokens / all kept, budget {budget}", width)
    return figure


def layers_figure(detail, strategy, budget, width):
    """Every layer of one strategy; None without an image or when nothing is known of the cell."""
    cell = detail.group.cells.get((strategy, budget))
    shares = None if cell is None else detail.shares(cell)
    if shares is None or not detail.has_grid or detail.thumbnail is None:
        return None
    count = len(shares)
    across = min(count, 10 if width == "full" else 5)
    down = -(-count // across)
    ratio = detail.thumbnail.shape[0] / detail.thumbnail.shape[1]
    figure, panels = looks.panels(width, down, across, min(1.2, (looks.WIDTHS[width] - 0.2) / across * ratio) + 0.27)
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.02)
    for layer in range(count):
        axes = panels[layer // across][layer % across]
        axes.set_xlabel(draw_layer(axes, detail, shares, layer), fontsize=looks.SMALL, labelpad=1)
        axes.set_title(f"layer {layer}", fontsize=looks.SMALL, pad=2)
    for axes in panels.flat[count:]:
        axes.set_axis_off()
    looks.heading(figure, f"{strategy} at budget {budget}, sample {detail.sample}: kept image tokens / all kept", width)
    return figure
