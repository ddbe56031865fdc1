"""A needle in a haystack: how often it is found, by depth and length, a map per strategy; from categories.csv."""

import re

import numpy as np

from . import looks
from .base import PlotError
from .sweeps import CATEGORIES, number_or_none, read_table

CELL = re.compile(r"length (\d+) at depth ([\d.]+)")  # as `elastikv make-task needle` names them
COLUMNS = {"full": 4, "column": 2}
MAP = 1.15  # inches that a map is high


def rows_of(run):
    """The rows whose category is a length and a depth, with both as numbers; none where the data are no needles."""
    if not (run.folder / CATEGORIES).is_file():
        return []
    found = []
    for row in read_table(run.folder, CATEGORIES):
        cell = CELL.fullmatch(row["category"])
        value = number_or_none(row["value"], run.folder / CATEGORIES) if cell else None
        if value is not None:
            found.append({**row, "length": int(cell[1]), "depth": float(cell[2]), "value": value})
    return found


def measure_of(group, rows):
    """What is drawn: the data set's own metric, the first share that compares with its answers."""
    measured = [row["measure"] for row in rows if (row["model"], row["data"]) == (group.model, group.data)]
    known = {measure.name: measure for measure in group.run.measures.values()
             if measure.reference == "dataset" and measure.most == 1}
    return next((known[name] for name in measured if name in known), None)


def choose_budget(budgets, wanted):
    """The wanted budget, or the one nearest to 0.2."""
    if wanted is not None:
        if wanted not in budgets:
            raise PlotError(f"--budget: no budget {wanted!r}; known: {', '.join(budgets)}")
        return wanted
    fractions = [budget for budget in budgets if budget[-1:].isdigit()]
    return min(fractions or budgets, key=lambda budget: abs(float(budget.rstrip("pt")) - 0.2))


def grid_of(rows, lengths, depths):
    """[depths, lengths], not a number where nothing was measured."""
    grid = np.full((len(depths), len(lengths)), np.nan)
    for row in rows:
        grid[depths.index(row["depth"]), lengths.index(row["length"])] = row["value"]
    return grid


def figure_of(group, rows, arguments):
    """(name of its budget, picture): maps of all strategies at one budget, the full cache first; None without any."""
    measure = measure_of(group, rows)
    if measure is None:
        return None, None
    mine = [row for row in rows if (row["model"], row["data"], row["measure"]) == (group.model, group.data, measure.name)]
    full = group.full.strategy.name if group.full and not group.full.hidden else None
    shown = [strategy.name for strategy in group.strategies]
    budgets = list(dict.fromkeys(row["budget"] for row in mine if row["strategy"] in shown))
    budget = choose_budget(budgets, arguments.budget) if budgets else None
    maps = [(name, [row for row in mine if row["strategy"] == name and (name == full or row["budget"] == budget)])
            for name in ([full] if full else []) + shown]
    maps = [(name, found) for name, found in maps if found]
    if not maps:
        return None, None
    lengths = sorted({row["length"] for row in mine})
    depths = sorted({row["depth"] for row in mine})
    columns = min(COLUMNS[arguments.width], len(maps))
    lines = -(-len(maps) // columns)
    figure, axes = looks.panels(arguments.width, lines, columns, MAP, sharex=True, sharey=True)
    image = None
    for place, axis in enumerate(axes.flat):
        if place >= len(maps):
            axis.set_visible(False)
            continue
        name, found = maps[place]
        image = axis.imshow(grid_of(found, lengths, depths), vmin=0, vmax=1, cmap="viridis", aspect="auto")
        axis.set_title(name)
        axis.set_xticks(range(len(lengths)), [str(length) for length in lengths])
        axis.set_yticks(range(len(depths)), [f"{depth:g}" for depth in depths])
        for spine in axis.spines.values():
            spine.set_visible(False)
        if place >= len(maps) - columns:
            axis.tick_params(labelbottom=True)
            axis.set_xlabel("tokens")
        if place % columns == 0:
            axis.set_ylabel("depth in %")
    figure.colorbar(image, ax=axes, label=looks.two_lines(measure.label), aspect=30)
    title = f"{group.name}: a needle by depth and length" + (f", budget {budget}" if budget else "")
    looks.heading(figure, title, arguments.width)
    return budget, figure
