"""Quality against the KV budget, with 95 % intervals and published points."""

import math

import numpy as np
from matplotlib.lines import Line2D

from . import looks

FAR = 6.0  # times the smallest value, in pictures with a row per strategy
MUD = 1.5  # other bands that cross a band, on average, from which bars are clearer
LINES = 10  # strategies that a picture with a line each can hold

X_LABELS = {"generation": "KV budget (fraction kept)", "prompt": "KV budget (fraction of the prompt kept)",
            "tokens": "KV budget (entries kept per layer)"}


def points_of(group, measure, growth):
    """[(strategy, [(place, value, low, high)])] of the strategies that have the measure."""
    lines = []
    for strategy in group.strategies:
        points = []
        for cell in group.of_strategy(strategy.name, growth):
            estimate = cell.estimate(measure)
            if estimate is not None:
                points.append((cell.budget.place, *estimate))
        if points:
            lines.append((strategy, points))
    return lines


def muddled(lines):
    """Whether bands would cover each other: how many others cross a band at a budget, on average."""
    crossings, bands = 0, 0
    for number, (_, points) in enumerate(lines):
        for place, _, low, high in points:
            others = [p for i, (_, all_points) in enumerate(lines) if i != number for p in all_points if p[0] == place]
            crossings += sum(1 for _, _, other_low, other_high in others if low <= other_high and other_low <= high)
            bands += 1
    return bands > 0 and crossings / bands > MUD


def full_line(axes, estimate):
    """The full cache as a dashed line with its interval."""
    axes.axhline(estimate[0], color="black", linestyle=looks.DASHED, linewidth=1.0, zorder=1)
    if estimate[2] > estimate[1]:
        axes.axhspan(estimate[1], estimate[2], color="black", alpha=0.09, linewidth=0, zorder=0)


def full_handle(label="full cache"):
    return Line2D([], [], color="black", linestyle=looks.DASHED, linewidth=1.0, label=label)


def strategy_handle(name, look):
    colour, marker, dashes = look
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, markersize=looks.marker_size(marker),
                  markeredgecolor="white", markeredgewidth=0.4, label=name)


def draw_line(axes, points, look, intervals, offset=0.0):
    """One strategy's line; `points` are (x, value, low, high)."""
    colour, marker, dashes = look
    x, value, low, high = np.array(points).T
    style = {"color": colour, "marker": marker, "linestyle": dashes, "markersize": looks.marker_size(marker),
             "markeredgecolor": "white", "markeredgewidth": 0.4}
    if intervals == "bars":
        # An interval that ends where values do need not hold the value itself.
        bars = np.vstack([np.maximum(value - low, 0), np.maximum(high - value, 0)])
        axes.errorbar(x + offset, value, yerr=bars, elinewidth=0.7, capsize=1.5, capthick=0.7, **style)
        return
    axes.plot(x, value, **style)
    if intervals == "bands" and len(x) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    elif intervals == "bands":
        axes.errorbar(x, value, yerr=np.vstack([np.maximum(value - low, 0), np.maximum(high - value, 0)]),
                      elinewidth=0.7, capsize=1.5, color=colour)


def draw_published(axes, points, look):
    """Published values as hollow markers."""
    colour, marker, _ = look
    x, y = np.array(points).T
    axes.plot(x, y, linestyle="none", marker=marker, markersize=looks.marker_size(marker) + 0.8, markerfacecolor="none",
              markeredgecolor=colour, markeredgewidth=0.9, zorder=3)


def finish_value_axis(axes, measure, values):
    low, high = min(values), max(values)
    if measure.log_from and low > 0 and high / low > measure.log_from:
        looks.logarithmic(axes.yaxis, low, high)
    elif measure.most is not None:
        looks.share_axis(axes, measure.most, low)
    looks.grid(axes)


def draw_panel(axes, group, measure, growth, looks_by_name, intervals, published, inches):
    """One model and data set; returns the names of the strategies drawn, whether the full cache was, and the published rows;
    None when no cell has the measure."""
    lines = points_of(group, measure, growth)
    if not lines:
        return None
    if intervals == "auto":
        intervals = "bars" if muddled(lines) else "bands"
    places = sorted({budget.place for budget in group.budgets if budget.growth == growth})
    gap = min((b - a for a, b in zip(places, places[1:])), default=0.1)
    # Side by side around their budget, so that bars do not cover each other.
    shift = gap * min(0.045, 0.4 / len(lines)) if intervals == "bars" and growth != "tokens" else 0.0
    values = []
    for position, (strategy, points) in enumerate(lines):
        draw_line(axes, points, looks_by_name[strategy.name], intervals, (position - (len(lines) - 1) / 2) * shift)
        values += [x for point in points for x in point[1:]]
    full = group.estimate(group.full, measure) if measure.has_full else None
    if full is not None:
        full_line(axes, full)
        values.append(full[0])
    shown = []
    for row in published.rows_for(group, measure, growth) if published else []:
        draw_published(axes, row.points, looks_by_name[row.strategy])
        values += [y for _, y in row.points]
        places += [x for x, _ in row.points]
        shown.append(row)
    finish_value_axis(axes, measure, values)
    if growth == "tokens":
        axes.set_xscale("log", base=2)
    looks.listed_ticks(axes.xaxis, places, inches)
    return [strategy.name for strategy, _ in lines], full is not None, shown


def figure_of(groups, measure, growth, options, looks_by_name):
    """Panels of all groups: data sets below each other, models side by side; None when no cell has the measure."""
    models = list(dict.fromkeys(group.model for group in groups))
    sets = list(dict.fromkeys(group.data for group in groups))
    by_place = {(group.data, group.model): group for group in groups}
    alone = len(groups) == 1
    beside = options.width == "full" and len(models) == 1
    height = (2.9 if options.width == "full" else 2.3) if alone else 2.1
    figure, panels = looks.panels(options.width, len(sets), len(models), height)
    inches = looks.WIDTHS[options.width] * (0.62 if beside else 0.85) / len(models)
    names, any_full, published_rows = {}, False, []
    for row, data in enumerate(sets):
        for column, model in enumerate(models):
            axes, group = panels[row][column], by_place.get((data, model))
            drawn = None if group is None or not group.samples else draw_panel(
                axes, group, measure, growth, looks_by_name, options.intervals, options.published, inches)
            if drawn is None:
                axes.set_axis_off()
                if group is not None:
                    axes.text(0.5, 0.5, f"{group.name}:\nnothing complete", ha="center", va="center", transform=axes.transAxes)
                continue
            names.update(dict.fromkeys(drawn[0]))
            any_full = any_full or drawn[1]
            published_rows += drawn[2]
            if not alone:
                axes.set_title(looks.wrapped(group.title, inches), loc="left", fontsize=looks.SMALL)
            if row == len(sets) - 1 or by_place.get((sets[row + 1], model)) is None:
                axes.set_xlabel(looks.wrapped(X_LABELS[growth], inches))
            if column == 0:
                axes.set_ylabel(looks.two_lines(measure.label))
    if not names:
        looks.plt.close(figure)
        return None
    if alone:
        looks.heading(figure, groups[0].title, options.width)
    panels_legend(figure, names, any_full, published_rows, options, looks_by_name, beside)
    return figure


def panels_legend(figure, names, any_full, published_rows, options, looks_by_name, beside=False):
    """The legend of what draw_panel drew into a figure's panels."""
    handles = [strategy_handle(name, look) for name, look in looks_by_name.items() if name in names]
    if any_full:
        handles.append(full_handle())
    note = ""
    if published_rows:
        handles += published_handles({row.name: row for row in published_rows}.values(), looks_by_name)
        note = published_note(options.published, published_rows)
    looks.legend(figure, options.width, handles, beside, note)


def published_handles(rows, looks_by_name):
    """Hollow markers, one entry per published row."""
    handles = []
    for row in rows:
        colour, marker, _ = looks_by_name[row.strategy]
        handles.append(Line2D([], [], linestyle="none", marker=marker, markerfacecolor="none", markeredgecolor=colour,
                              markeredgewidth=0.9, markersize=looks.marker_size(marker) + 0.8, label=f"{row.name}, published"))
    return handles


def published_note(published, rows):
    models = ", ".join(dict.fromkeys(row.model for row in rows))
    return f"Hollow: published for {models} ({published.citation})"


def rows_wanted(groups, growth, style):
    """Whether a row per strategy reads better than lines: with many strategies, or where a single budget makes no line."""
    if style != "auto":
        return style == "rows"
    strategies = max(len(group.strategies) for group in groups)
    places = {budget.place for group in groups for budget in group.budgets if budget.growth == growth}
    return strategies > LINES or (len(places) == 1 and strategies > 4)


def published_by_row(group, measure, growth, published):
    """{(strategy, budget): values} of published rows; one that no strategy stands for gets a row of its own."""
    found = {}
    for row in published.rows_for(group, measure, growth) if published else []:
        for place, value in row.points:
            found.setdefault((row.strategy, place), []).append(value)
    return found


def rows_figure(group, measure, growth, options):
    """One row per strategy and one panel per budget; None when no cell has the measure."""
    budgets = sorted((b for b in group.budgets if b.growth == growth), key=lambda b: b.place)
    estimates = {(s.name, b.place): group.estimate(group.cells.get((s.name, b.text)), measure)
                 for s in group.strategies for b in budgets}
    names = [s.name for s in group.strategies if any(estimates[s.name, b.place] for b in budgets)]
    if not names:
        return None
    hollow = {key: values for key, values in published_by_row(group, measure, growth, options.published).items()
              if key[1] in {budget.place for budget in budgets}}
    names += dict.fromkeys(name for name, _ in hollow if name not in names)
    full = group.estimate(group.full, measure) if measure.has_full else None
    # A column of print holds two panels beside the names; further budgets go below.
    across = min(len(budgets), 5 if options.width == "full" else 2)
    down = math.ceil(len(budgets) / across)
    figure, panels = looks.panels(options.width, down, across, 0.7 + 0.14 * len(names), sharey=True)
    for number, budget in enumerate(budgets):
        axes = panels[number // across][number % across]
        rows = [(estimates.get((name, budget.place)), hollow.get((name, budget.place), [])) for name in names]
        rows_panel(axes, rows, full, measure)
        unit = "entries per layer" if growth == "tokens" else "of the prompt kept" if growth == "prompt" else "kept"
        axes.set_title(f"{budget.place:g} {unit}")
    for axes in panels.flat[len(budgets):]:
        axes.set_axis_off()
    panels[0][0].set_yticks(range(len(names)), names)
    panels[0][0].set_ylim(len(names) - 0.4, -0.6)
    label = measure.label + ("; dashed: full cache" if full else "")
    if hollow:
        label += "\n" + looks.wrapped(published_note(options.published, options.published.rows_for(group, measure, growth)),
                                      looks.WIDTHS[options.width])
    figure.supxlabel(label, fontsize=looks.SMALL)
    looks.heading(figure, group.title, options.width)
    return figure


def rows_panel(axes, rows, full, measure):
    """`rows` are (estimate or None, published values), from the top."""
    everything = [x for estimate, published in rows for x in [*(estimate or ()), *published]] + ([full[0]] if full else [])
    # What lies far outside would press all others together: an arrow with its number stands for it.
    edge = math.inf
    if measure.log_from and everything and min(everything) > 0:
        edge = min(everything) * FAR
    for row, (estimate, published) in enumerate(rows):
        for value in published:
            axes.plot(min(value, edge), row, linestyle="none", marker="D" if value <= edge else ">", markersize=5, zorder=3,
                      markerfacecolor="none", markeredgecolor="black", markeredgewidth=0.8)
        if estimate is None:
            continue
        value, low, high = estimate
        if value > edge:
            axes.plot(edge, row, color=looks.VERMILION, marker=">", markersize=4, clip_on=False)
            axes.annotate(f"{value:.3g}", (edge, row), xytext=(-4, 0), textcoords="offset points", ha="right", va="center",
                          fontsize=looks.SMALL)
            continue
        axes.errorbar(value, row, xerr=looks.interval_bars(value, low, min(high, edge)), color=looks.BLUE, marker="o",
                      markersize=3, elinewidth=0.9, capsize=1.5, capthick=0.7)
    if full is not None:
        axes.axvline(full[0], color="black", linestyle=looks.DASHED, linewidth=1.0, zorder=1)
    shown = [min(x, edge) for x in everything]
    if shown and measure.log_from and min(shown) > 0 and max(shown) / min(shown) > measure.log_from:
        axes.set_xscale("log")
        axes.set_xlim(min(shown) * 0.95, max(shown) * 1.05)
        axes.xaxis.set_major_locator(looks.ticker.FixedLocator([x * 10.0**e for e in range(-4, 4) for x in (1, 1.5, 2, 3, 5)]))
        axes.xaxis.set_major_formatter(looks.ticker.FuncFormatter(looks.plain))
        axes.xaxis.set_minor_locator(looks.ticker.NullLocator())
    else:
        axes.xaxis.set_major_locator(looks.ticker.MaxNLocator(4))
    looks.grid(axes, "both")
