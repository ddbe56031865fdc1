"""A model's benchmarks beside each other (tasks.csv): each in its own metric, and the mean share of the full cache's scores."""

import dataclasses
import math

from . import budget, looks
from .sweeps import FULL, TASKS, Group, Measure, number_or_none, read_table

ALL = "(all)"
RELATIVE = Measure("tasks-relative", "Relative average (% of the full cache's score)", "dataset", True, None, None, ("value", "low", "high"))
PANEL_HEIGHT = {"full": 1.75, "column": 1.6}
ACROSS = {"full": 3, "column": 2}


class Average(Group):
    """What a model's strategies keep of the full cache's scores over its tasks, as a group of cells."""

    def __init__(self, run, model, tasks):
        super().__init__(run, model, "tasks")
        self.tasks = tasks
        self.add({"cell": f"{model}/{FULL}", "strategy": FULL, "preset": FULL, "budget": "1", "samples": tasks,
                  "planned_samples": tasks, "value": "100"})

    def add_relative(self, row, preset):
        place = f"{TASKS}: {row['model']}/{row['strategy']}/{row['budget']}"
        percent = {}
        for column in RELATIVE.columns:
            share = number_or_none(row[column], f"{place}: {column}")
            percent[column] = "" if share is None else repr(100 * share)
        self.add({"cell": place, "strategy": row["strategy"], "preset": preset, "budget": row["budget"], "samples": self.tasks,
                  "planned_samples": self.tasks, **percent})

    @property
    def title(self):
        return f"{self.model}, mean over {self.tasks} tasks"


class ModelTasks:
    """A model's tasks, [(group, measure)], and the average of them; only the strategies that the groups show."""

    def __init__(self, run, model, rows, groups):
        own = {row["task"]: row["metric"] for row in rows if row["task"] != ALL}
        self.model = model
        self.panels = [(group, run.measures[own[group.data]]) for group in groups
                       if group.model == model and own.get(group.data) in run.measures]
        self.average = Average(run, model, len(self.panels))
        presets = {strategy.name: strategy.preset for group, _ in self.panels for strategy in group.strategies}
        for row in rows:
            if row["task"] == ALL and row["metric"] == "relative-average" and row["strategy"] in presets:
                self.average.add_relative(row, presets[row["strategy"]])

    @property
    def growths(self):
        return list(dict.fromkeys(budget.growth for group, _ in self.panels for budget in group.budgets))


def tasks_of(run, groups):
    """By model; those of which two tasks and more are shown."""
    if not (run.folder / TASKS).is_file():
        return []
    rows_by_model = {}
    for row in read_table(run.folder, TASKS):
        rows_by_model.setdefault(row["model"], []).append(row)
    models = [ModelTasks(run, model, rows, groups) for model, rows in rows_by_model.items()]
    return [tasks for tasks in models if len(tasks.panels) > 1]


def relative_figure(tasks, growth, options, looks_by_name):
    """The relative average against the budget; None when no cell has all tasks."""
    rows = budget.rows_wanted([tasks.average], growth, options.style)
    if rows:
        return budget.rows_figure(tasks.average, RELATIVE, growth, options)
    return budget.figure_of([tasks.average], RELATIVE, growth, options, looks_by_name)


def figure_of(tasks, growth, options, looks_by_name):
    """A panel per task, each in its own metric with the full cache as a line; None when no cell has a value."""
    down = math.ceil(len(tasks.panels) / ACROSS[options.width])
    across = math.ceil(len(tasks.panels) / down)
    figure, panels = looks.panels(options.width, down, across, PANEL_HEIGHT[options.width])
    inches = looks.WIDTHS[options.width] * 0.85 / across
    names, any_full, published_rows = {}, False, []
    for number, (group, measure) in enumerate(tasks.panels):
        axes = panels.flat[number]
        # Scores of strategies often lie close together, far from what could be reached at most.
        fitted = dataclasses.replace(measure, most=None)
        drawn = budget.draw_panel(axes, group, fitted, growth, looks_by_name, options.intervals, options.published, inches)
        axes.set_title(looks.wrapped(f"{group.data}: {measure.name}", inches), loc="left", fontsize=looks.SMALL)
        if drawn is None:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "nothing complete", ha="center", va="center", transform=axes.transAxes)
            continue
        names.update(dict.fromkeys(drawn[0]))
        any_full = any_full or drawn[1]
        published_rows += drawn[2]
        if number + across >= len(tasks.panels):
            axes.set_xlabel(looks.wrapped(budget.X_LABELS[growth], 0.85 * inches))
    if not names:
        looks.plt.close(figure)
        return None
    for axes in panels.flat[len(tasks.panels):]:
        axes.set_axis_off()
    looks.heading(figure, f"{tasks.model}, {len(tasks.panels)} tasks, each in its own metric", options.width)
    budget.panels_legend(figure, names, any_full, published_rows, options, looks_by_name)
    return figure
