"""Output folders of `elastikv sweep`, alone or several joined, as groups of cells: one per model and data set."""

import csv
import dataclasses
import functools
import json
import re

from .base import PlotError
from .bootstrap import Bootstrap

FULL = "full"
HEADER_FORMAT = "elastikv-sweep-"


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


def read_header(file):
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PlotError(f"{file.parent}: holds no sweep ({file.name} is missing)") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PlotError(f"{file}: cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise PlotError(f"{file}:{error.lineno}: not valid JSON: {error.msg}") from error
    if not isinstance(header, dict) or not str(header.get("format", "")).startswith(HEADER_FORMAT):
        raise PlotError(f"{file}: is not the description of a sweep's records")
    if missing := [key for key in ("config", "data") if not isinstance(header.get(key), dict)]:
        raise PlotError(f"{file}: damaged: {missing[0]} is missing")
    return header


class Sweep:
    """One output folder. Of several records of a (cell, sample) the last counts. Where records.jsonl was not kept, cells.csv,
    the table that `elastikv report` makes of it, stands for it."""

    def __init__(self, folder):
        self.folder = folder
        self.header = read_header(folder / "sweep.json")
        self.config = self.header["config"]
        self.name = self.header.get("name", folder.name)
        self.records, self.table = None, None
        if (folder / "records.jsonl").exists():
            self.records = {}
            for place, record in json_lines(folder / "records.jsonl"):
                if not {"cell", "sample", "status"} <= record.keys():
                    raise PlotError(f"{place}: is no record (cell, sample or status is missing)")
                self.records[record["cell"], record["sample"]] = record
        elif (folder / "cells.csv").exists():
            with open(folder / "cells.csv", encoding="utf-8", newline="") as file:
                self.table = {row["cell"]: row for row in csv.DictReader(file)}
        else:
            raise PlotError(f"{folder}: holds no results (neither records.jsonl nor cells.csv, the table made of it)")

    def samples_of(self, data):
        if data not in self.header["data"]:
            raise PlotError(f"{self.folder}/sweep.json: says nothing of its data set '{data}'")
        return self.header["data"][data]["samples"]

    def items_of(self, model, data):
        """The content hash of every sample that has records. (The data set's own changes with the number of samples.)"""
        return {sample: record["item"] for (cell, sample), record in self.records.items()
                if cell.startswith(f"{model}/{data}/") and "item" in record}

    def clusters_of(self, model, data):
        """What samples share with others (pictures, documents), by the sample's id; a folder without samples.jsonl has none."""
        found, own = {}, {}
        if (self.folder / "samples.jsonl").exists():
            for _, sample in json_lines(self.folder / "samples.jsonl"):
                if sample.get("data") == data and sample.get("model", model) == model:
                    # A model that reads other samples than the first has lines of its own.
                    (own if "model" in sample else found)[sample["id"]] = sample.get("cluster")
        return own or found

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


@dataclasses.dataclass(frozen=True)
class Budget:
    text: str  # as in cell names: "0.2", "0.2p", "256t"
    place: float  # on the horizontal axis: a fraction, or tokens
    growth: str  # generation, prompt, or tokens


def listed_or_one(value):
    return value if isinstance(value, list) else [value]


def budgets_of(config):
    budgets = config.get("budgets", {})
    listed = []
    for growth in listed_or_one(budgets.get("growth", "generation")):
        for keep in listed_or_one(budgets.get("keep", [])):
            text = str(int(keep)) if float(keep) == int(keep) else json.dumps(keep)
            listed.append(Budget(text + ("p" if growth == "prompt" else ""), float(keep), growth))
    for tokens in listed_or_one(budgets.get("keep_tokens", [])):
        listed.append(Budget(f"{tokens}t", float(tokens), "tokens"))
    return listed


@dataclasses.dataclass(frozen=True)
class Strategy:
    name: str
    preset: str
    overrides: tuple = ()  # (dotted key, value as YAML text)


def strategies_of(config):
    return [Strategy(s["name"], s["preset"], tuple(s.get("set", {}).items())) for s in config["strategies"]]


def fits(patterns, *names):
    """Whether a name fits one of the patterns, in which `*` stands for any characters."""
    for pattern in listed_or_one(patterns):
        pattern = f"{pattern:g}" if isinstance(pattern, float) else str(pattern)
        expression = re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
        if any(expression.fullmatch(name) for name in names):
            return True
    return False


def excluded(config, model, data, strategy, budget):
    """Whether matrix.exclude leaves a cell out; a part that a rule does not name fits everything. A model is named with its
    dtype or without."""
    names = {"model": (model, model.rsplit("-", 1)[0]), "data": (data,), "strategy": (strategy,), "budget": (budget,)}
    return any(all(fits(rule[part], *names[part]) for part in names if part in rule)
               for rule in listed_or_one((config.get("matrix") or {}).get("exclude", [])))


class Cell:
    """One strategy at one budget, with the sweep that holds it."""

    def __init__(self, sweep, identity, strategy, budget):
        self.sweep, self.id, self.strategy, self.budget = sweep, identity, strategy, budget


class Group:
    """The cells of one model and data set."""

    def __init__(self, model, data):
        self.model, self.data = model, data
        self.name = f"{model} on {data}"
        self.cells = {}  # (strategy, budget text) to Cell, without the full cache
        self.full = None
        self.expected = []  # every cell that a sample needs to have been given, hidden ones included
        self.strategies, self.budgets = [], []
        self.parts = []  # sweeps

    def add(self, sweep, renamed):
        config = sweep.config
        self.parts.append(sweep)
        full_listed = False
        for strategy in strategies_of(config):
            label = renamed.get(strategy.name, strategy.name)
            shown = dataclasses.replace(strategy, name=label)
            if strategy.preset == FULL:
                if not excluded(config, self.model, self.data, strategy.name, "1"):
                    full_listed = True
                    self.add_full(sweep, strategy.name)
                continue
            for budget in budgets_of(config):
                if excluded(config, self.model, self.data, strategy.name, budget.text):
                    continue
                if (label, budget.text) in self.cells:
                    continue  # both runs have it; the first counts
                cell = Cell(sweep, f"{self.model}/{self.data}/{strategy.name}/{budget.text}", shown, budget)
                self.cells[label, budget.text] = cell
                self.expected.append(cell)
                if shown not in self.strategies:
                    self.strategies.append(shown)
                if budget not in self.budgets:
                    self.budgets.append(budget)
        if not full_listed and sweep.records is not None and any(cell.sweep is sweep for cell in self.expected):
            self.add_full(sweep, "(full)")  # run as the others' reference alone

    def add_full(self, sweep, name):
        cell = Cell(sweep, f"{self.model}/{self.data}/{name}", Strategy(name, FULL), None)
        self.expected.append(cell)
        if self.full is None:
            self.full = cell

    @functools.cached_property
    def planned(self):
        """Samples that all parts were to evaluate, in the first part's order."""
        lists = [part.samples_of(self.data) for part in self.parts]
        return [sample for sample in lists[0] if all(sample in other for other in lists[1:])]

    @functools.cached_property
    def samples(self):
        """Samples that every cell has been given, as in the tables; one that failed in all cells is left out for all alike."""
        if self.parts[0].records is None:
            counts = [int(row["samples"]) for cell in self.expected if (row := cell.sweep.table.get(cell.id))]
            return self.planned[:max(counts, default=0)]
        common = []
        for sample in self.planned:
            records = [cell.sweep.records.get((cell.id, sample)) for cell in self.expected]
            if all(record is not None for record in records) and any(record["status"] == "ok" for record in records):
                common.append(sample)
        return common

    @property
    def title(self):
        every = len(self.planned)
        count = f"{every}" if len(self.samples) == every else f"{len(self.samples)} of {every}"
        return f"{self.name}, {count} sample{'' if every == 1 else 's'}"

    @functools.cached_property
    def clusters(self):
        """The name of each sample's cluster, None for none: those are resampled as one."""
        names = self.parts[0].clusters_of(self.model, self.data)
        return [names.get(sample) for sample in self.samples]

    @functools.cached_property
    def bootstrap(self):
        settings = self.parts[0].config["bootstrap"]
        return Bootstrap(settings["iterations"], settings["seed"])

    def estimate(self, cell, measure):
        """(value, low, high); None when a sample failed or lacks the value: no mean over survivors."""
        if cell is None:
            return None
        if cell.sweep.records is None:
            return measure.from_table(cell.sweep.table.get(cell.id))
        rows = []
        for sample in self.samples:
            record = cell.sweep.records.get((cell.id, sample))
            value = measure.read(record) if record is not None and record["status"] == "ok" else None
            if value is None:
                return None
            rows.append(value)
        return measure.combine(self.bootstrap, rows, self.clusters)

    def of_strategy(self, name, growth):
        """The cells of a strategy with budgets of one kind, from the smallest."""
        cells = [cell for cell in self.cells.values() if cell.strategy.name == name and cell.budget.growth == growth]
        return sorted(cells, key=lambda cell: cell.budget.place)

    def keep_strategies(self, names):
        """Shows these strategies only; samples still are those that all cells have."""
        self.strategies = [strategy for strategy in self.strategies if strategy.name in names]
        self.cells = {key: cell for key, cell in self.cells.items() if key[0] in names}
        self.budgets = [budget for budget in self.budgets if any(cell.budget == budget for cell in self.cells.values())]


def group_names(sweep):
    """(model, data) of all groups of a sweep."""
    return [(f"{model['label']}-{model['dtype']}", data["name"])
            for model in sweep.config["models"] for data in sweep.config["data"]]


def require_comparable(first, other, model, data):
    """Runs are joined only where their numbers mean the same."""
    def refuse(what):
        raise PlotError(f"{other.folder}: differs from {first.folder} in {what}; draw the two apart")
    for sweep in (first, other):
        if sweep.records is None:
            raise PlotError(f"{sweep.folder}: records.jsonl is missing; runs are joined by their samples' records")
    ours, theirs = (sweep.header.get("engines", {}).get(model, {}) for sweep in (first, other))
    for key in ours.keys() & theirs.keys():
        if ours[key] != theirs[key]:
            refuse(f"the {key.replace('_', ' ')} of model '{model}'")
    ours, theirs = (sweep.items_of(model, data) for sweep in (first, other))
    for sample in ours:
        if theirs.get(sample, ours[sample]) != ours[sample]:
            refuse(f"the content of sample '{sample}' of '{data}'")
    for key, what in (("perplexity", "metrics.perplexity"), ("reference", "metrics.reference")):
        mine, its = ({k: v for k, v in s.config["metrics"][key].items() if k != "one_pass"} if key == "perplexity"
                     else s.config["metrics"][key] for s in (first, other))
        if mine != its:
            refuse(what)
    if first.config.get("generation") != other.config.get("generation"):
        refuse("generation.max_new_tokens")
    if not set(first.samples_of(data)) & set(other.samples_of(data)):
        raise PlotError(f"{other.folder}: shares no sample of '{data}' with {first.folder}")


def join(sweeps):
    """The groups of all sweeps; those of the same model and data set become one."""
    groups, known = {}, {}
    for sweep in sweeps:
        # Another run's strategy of the same name but with other settings is another strategy.
        renamed = {}
        for strategy in strategies_of(sweep.config):
            settings = strategy.preset, strategy.overrides
            if known.setdefault(strategy.name, settings) != settings:
                renamed[strategy.name] = f"{strategy.name} ({sweep.name})"
                if known.setdefault(renamed[strategy.name], settings) != settings:
                    raise PlotError(f"{sweep.folder}: strategy '{renamed[strategy.name]}' stands for two settings; "
                                    "give the sweeps different names")
        for model, data in group_names(sweep):
            group = groups.get((model, data))
            if group is None:
                group = groups[model, data] = Group(model, data)
            else:
                require_comparable(group.parts[0], sweep, model, data)
            group.add(sweep, renamed)
    return [group for group in groups.values() if group.expected]
