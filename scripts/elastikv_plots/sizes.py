"""Quality against the bytes that a cache holds: strategies that compress the prompt alone beside those that keep to their
budget while they answer."""

from matplotlib.lines import Line2D

from . import looks
from .budget import draw_line, finish_value_axis, full_line, muddled, strategy_handle

PLACES = (("prefill", "K and V after the prompt (MiB)"), ("end", "K and V at the end (MiB)"))


def points_of(group, measure, when, growth):
    """[(strategy, [(MiB, value, low, high)])], each line in the order of its budgets."""
    lines = []
    for strategy in group.strategies:
        points = []
        for cell in group.of_strategy(strategy.name, growth):
            held, estimate = cell.held(when), cell.estimate(measure)
            if held is not None and estimate is not None:
                points.append((held, *estimate))
        if points:
            lines.append((strategy, points))
    return lines


def figure_of(group, measure, growth, options, looks_by_name):
    """After the prompt on the left, at the end on the right; None when no cell has the measure and its size."""
    lines = {when: points_of(group, measure, when, growth) for when, _ in PLACES}
    if not any(lines.values()):
        return None
    below = options.width == "column"
    rows, columns = (2, 1) if below else (1, 2)
    figure, panels = looks.panels(options.width, rows, columns, 2.2 if below else 2.8, sharey=True, sharex=True)
    full = group.estimate(group.full, measure) if measure.has_full else None
    values, names, largest = [full[0]] if full else [], {}, 0.0
    for axes, (when, label) in zip(panels.flat, PLACES):
        intervals = options.intervals
        if intervals == "auto":
            # Along the bytes lines seldom stand at the same place, so that it is their number that makes mud.
            intervals = "bands" if len(lines[when]) <= 4 and not muddled(lines[when]) else "bars"
        for strategy, points in lines[when]:
            draw_line(axes, points, looks_by_name[strategy.name], intervals)
            values += [x for point in points for x in point[1:]]
            largest = max(largest, *(point[0] for point in points))
            names[strategy.name] = None
        held = group.full.held(when) if group.full else None
        if full is not None:
            full_line(axes, full)
            if held is not None:
                axes.plot(held, full[0], marker="*", color="black", markersize=8, linestyle="none", zorder=4)
                largest = max(largest, held)
        elif held is not None:
            axes.axvline(held, color="black", linestyle=looks.DASHED, linewidth=1.0, zorder=1)
            largest = max(largest, held)
        axes.set_xlabel(label)
    for axes in panels.flat:
        finish_value_axis(axes, measure, values)
        axes.set_xlim(0, largest * 1.05)
        axes.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel(looks.two_lines(measure.label))
    budgets = sorted((budget for budget in group.budgets if budget.growth == growth), key=lambda budget: budget.place)
    along = ", ".join(budget.text for budget in budgets)
    where = f"along each line budgets {along}" if len(budgets) > 1 else f"budget {along}"
    looks.heading(figure, f"{group.title}; {where}", options.width)
    handles = [strategy_handle(name, look) for name, look in looks_by_name.items() if name in names]
    if full is not None:
        handles.append(Line2D([], [], color="black", linestyle=looks.DASHED, linewidth=1.0, marker="*", markersize=7,
                              label="full cache"))
    elif group.full is not None:
        handles.append(Line2D([], [], color="black", linestyle=looks.DASHED, linewidth=1.0, label="the full cache's bytes"))
    looks.legend(figure, options.width, handles)
    return figure
