"""Conversations that go on from turn to turn: each measure by turn, a line per strategy; from turns.csv."""

from . import budget, looks, needle
from .sweeps import TURNS, number_or_none, read_table

HEIGHT = 2.3


def rows_of(run):
    """The rows of the folder's table by turn with their numbers; none where no conversation goes on."""
    if not (run.folder / TURNS).is_file():
        return []
    found = []
    for row in read_table(run.folder, TURNS):
        numbers = {name: number_or_none(row[name], f"{run.folder / TURNS}: {name}") for name in ("value", "low", "high")}
        if numbers["value"] is not None:
            found.append({**row, **numbers, "turn": int(row["turn"])})
    return found


def line_of(rows, strategy, chosen):
    """[(turn, value, low, high)] of a strategy at a budget, or at any where that is None; an interval that is not there is empty."""
    return sorted((row["turn"], row["value"], *((row["value"],) * 2 if row["low"] is None else (row["low"], row["high"])))
                  for row in rows if row["strategy"] == strategy and chosen in (None, row["budget"]))


def figure_of(group, measure, rows, arguments, looks_by_name):
    """(name of the budget, picture): strategies at one budget by turn, the full cache dashed; None without any turns."""
    mine = [row for row in rows if (row["model"], row["data"], row["measure"]) == (group.model, group.data, measure.name)]
    shown = [strategy.name for strategy in group.strategies]
    budgets = list(dict.fromkeys(row["budget"] for row in mine if row["strategy"] in shown))
    if not budgets:
        return None, None
    chosen = needle.choose_budget(budgets, arguments.budget)
    lines = [(name, line_of(mine, name, chosen)) for name in shown]
    lines = [(name, points) for name, points in lines if points]
    full = group.full.strategy.name if group.full and not group.full.hidden else None
    intervals = arguments.intervals
    if intervals == "auto":
        intervals = "none" if budget.muddled(lines) else "bands"
    figure, panels = looks.panels(arguments.width, 1, 1, HEIGHT)
    axes = panels[0][0]
    for name, points in lines:
        budget.draw_line(axes, points, looks_by_name[name], intervals)
    of_full = line_of(mine, full, None) if full else []
    if of_full:
        axes.plot(*list(zip(*of_full))[:2], color="black", linestyle=looks.DASHED, linewidth=1.0)
    budget.finish_value_axis(axes, measure, [point[1] for _, points in lines + [(full, of_full)] for point in points])
    looks.listed_ticks(axes.xaxis, {row["turn"] for row in mine}, looks.WIDTHS[arguments.width])
    axes.set_xlabel("turn")
    axes.set_ylabel(looks.two_lines(measure.label))
    looks.heading(figure, f"{group.title}: by turn, budget {chosen}", arguments.width)
    handles = [budget.strategy_handle(name, looks_by_name[name]) for name, _ in lines]
    looks.legend(figure, arguments.width, handles + ([budget.full_handle()] if of_full else []))
    return chosen, figure
