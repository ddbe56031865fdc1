"""The tables that `elastikv report` made of one run or of several that it joined, as groups of cells: one per model and data set."""

import csv
import dataclasses
import functools
import json
import math

from .base import PlotError

FULL = "full"
MIB = 2.0**20
CELLS = "cells.csv"
MEASURES = "measures.csv"
TASKS = "tasks.csv"
CATEGORIES = "categories.csv"
TURNS = "turns.csv"
NEEDED = {CELLS: ("cell", "model", "data", "strategy", "preset", "budget", "samples", "planned_samples"),
          MEASURES: ("model", "data", "measure", "label", "reference", "summary", "most", "log_from", "value", "low", "high"),
          TASKS: ("model", "strategy", "budget", "task", "metric", "value", "low", "high"),
          CATEGORIES: ("model", "data", "category", "strategy", "budget", "measure", "value"),
          TURNS: ("model", "data", "turn", "strategy", "budget", "measure", "value", "low", "high")}


def json_lines(file):
    """Every complete line of a file with its place; what follows the last line end was torn by a killed process."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise PlotError(f"{file}: cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise PlotError(f"{file}:{number}: not valid JSON") from error
        if not isinstance(value, dict):
            raise PlotError(f"{file}:{number}: is not a JSON object")
        yield f"{file}:{number}", value


def read_table(folder, name):
    """The rows of one of a report's tables."""
    try:
        with open(folder / name, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except FileNotFoundError as error:
        raise PlotError(f"{folder}: holds no {name}; elastikv report {folder} makes it") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlotError(f"{folder / name}: cannot be read: {error}") from error
    if missing := [column for column in NEEDED[name] if column not in columns]:
        raise PlotError(f"{folder / name}: has no column '{missing[0]}'; elastikv report {folder} makes it anew")
    return rows


def number_or_none(text, place):
    """A field's number; None where it is empty."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise PlotError(f"{place}: {text!r} is no number") from error


@dataclasses.dataclass(frozen=True)
class Measure:
    """What was measured, as measures.csv says it."""
    name: str  # of the picture's file
    label: str  # of its axis
    reference: str  # what it compares with: the full cache's output (full-cache) or the answers (dataset)
    in_summary: bool
    most: float | None  # that a value can be
    log_from: float | None  # ratio of the largest to the smallest from which the axis is logarithmic
    columns: tuple  # of cells.csv: value, low, high

    @property
    def has_full(self):
        """Whether the full cache's own value says anything: beside itself it does not."""
        return self.reference != "full-cache"


@dataclasses.dataclass(frozen=True)
class Budget:
    text: str  # as in cell names: "0.2", "0.2p", "256t"
    place: float  # on the horizontal axis: a fraction, or tokens
    growth: str  # generation, prompt, or tokens


def budget_of(text):
    growth = {"p": "prompt", "t": "tokens"}.get(text[-1:], "generation")
    try:
        return Budget(text, float(text if growth == "generation" else text[:-1]), growth)
    except ValueError as error:
        raise PlotError(f"{CELLS}: {text!r} is no budget") from error


@dataclasses.dataclass(frozen=True)
class Strategy:
    name: str
    preset: str
    overrides: tuple = ()  # (dotted key, value as YAML text)


def strategy_of(row):
    try:
        settings = json.loads(row.get("settings") or "{}")
        return Strategy(row["strategy"], row["preset"], tuple(settings.items()))
    except (json.JSONDecodeError, AttributeError) as error:
        raise PlotError(f"{CELLS}: the settings of {row['strategy']} are no JSON object") from error


class Cell:
    """A strategy at a budget: a row of cells.csv."""

    def __init__(self, row):
        self.id, self.row, self.strategy = row["cell"], row, strategy_of(row)
        self.budget = None if self.strategy.preset == FULL else budget_of(row["budget"])
        self.hidden = row.get("hidden") == "yes"  # run as the others' reference alone

    def number(self, column):
        return number_or_none(self.row.get(column), f"{CELLS}: {self.id}: {column}")

    def estimate(self, measure):
        """(value, low, high); None where the cell has no value. Of a single cluster nothing is known about the spread: low and
        high are then the value."""
        value, low, high = map(self.number, measure.columns)
        if value is None or not math.isfinite(value):
            return None
        return value, value if low is None else low, value if high is None else high

    def held(self, when):
        """Mean size of K and V per sample in MiB; `when` is prefill or end."""
        size = self.number(f"cache_bytes_{when}")
        return None if size is None else size / MIB


class Group:
    """The cells of one model and data set."""

    def __init__(self, run, model, data):
        self.run, self.model, self.data = run, model, data
        self.name = f"{model} on {data}"
        self.cells = {}  # (strategy, budget text) to Cell, without the full cache
        self.full = None
        self.strategies, self.budgets = [], []
        self.samples = self.planned = 0

    def add(self, row):
        cell = Cell(row)
        # Every cell of a group is over the same samples.
        self.samples = int(cell.number("samples") or 0)
        self.planned = int(cell.number("planned_samples") or 0)
        if cell.budget is None:
            self.full = self.full or cell
            return
        self.cells[cell.strategy.name, cell.budget.text] = cell
        if cell.strategy not in self.strategies:
            self.strategies.append(cell.strategy)
        if cell.budget not in self.budgets:
            self.budgets.append(cell.budget)

    @property
    def title(self):
        count = f"{self.planned}" if self.samples == self.planned else f"{self.samples} of {self.planned}"
        return f"{self.name}, {count} sample{'' if self.planned == 1 else 's'}"

    def estimate(self, cell, measure):
        return None if cell is None else cell.estimate(measure)

    def of_strategy(self, name, growth):
        """The cells of a strategy with budgets of one kind, from the smallest."""
        cells = [cell for cell in self.cells.values() if cell.strategy.name == name and cell.budget.growth == growth]
        return sorted(cells, key=lambda cell: cell.budget.place)

    def keep_strategies(self, names):
        """Shows these strategies only."""
        self.strategies = [strategy for strategy in self.strategies if strategy.name in names]
        self.cells = {key: cell for key, cell in self.cells.items() if key[0] in names}
        self.budgets = [budget for budget in self.budgets if any(cell.budget == budget for cell in self.cells.values())]


class Run:
    """A folder of tables."""

    def __init__(self, folder):
        self.folder = folder
        self.groups = self.read_groups()
        self.measures = self.read_measures()

    def read_groups(self):
        groups = {}
        for row in read_table(self.folder, CELLS):
            place = row["model"], row["data"]
            if place not in groups:
                groups[place] = Group(self, *place)
            groups[place].add(row)
        return list(groups.values())

    def read_measures(self):
        """By name; those of all groups."""
        measures = {}
        for row in read_table(self.folder, MEASURES):
            most, log_from = (number_or_none(row[key], f"{MEASURES}: {row['measure']}: {key}") for key in ("most", "log_from"))
            measures.setdefault(row["measure"], Measure(row["measure"], row["label"], row["reference"], row["summary"] == "yes", most,
                                                        log_from, (row["value"], row["low"], row["high"])))
        return measures

    @functools.cached_property
    def details(self):
        """The samples to look at; one that was evaluated again replaces what was known of it."""
        needed = {"model", "data", "sample", "cells", "prompt_tokens", "image", "grid", "thumbnail", "importance", "kept"}
        found = {}  # by model, data set and sample: place and line
        for place, detail in json_lines(self.folder / "details.jsonl"):
            if missing := sorted(needed - detail.keys()):
                raise PlotError(f"{place}: damaged: {missing[0]} is missing")
            if len(detail["kept"]) != len(detail["cells"]):
                raise PlotError(f"{place}: damaged: {len(detail['kept'])} kept sets of {len(detail['cells'])} cells")
            key = detail["model"], detail["data"], detail["sample"]
            found.pop(key, None)
            found[key] = place, detail
        return list(found.values())
