"""Values that papers printed (results/published/*.yaml), as hollow points."""

import dataclasses
import difflib
import pathlib
import re

from .base import PlotError

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "results" / "published"


def matches(patterns, *labels):
    """Whether one of the labels matches one of the patterns (`*`, `?`; capitals do not matter)."""
    for pattern in patterns:
        parts = re.split(r"([*?])", str(pattern))
        expression = re.compile("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts), re.I | re.S)
        if any(expression.fullmatch(label) for label in labels):
            return True
    return False


def read_document(name):
    """A file of results/published by its name, or any other by its path."""
    import yaml
    file = pathlib.Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = sorted(other.stem for other in FOLDER.glob("*.yaml"))
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else f"; known: {', '.join(known)}" if known else ""
        raise PlotError(f"--published {name}: {file} is missing{hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PlotError(f"--published {name}: {file}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else f"{file}"
        raise PlotError(f"{place}: {getattr(error, 'problem', None) or 'is no YAML'}") from error
    return file, document


@dataclasses.dataclass(frozen=True)
class Value:
    model: str
    data: str | None
    strategy: str
    budget: float  # a fraction, or entries per layer
    in_tokens: bool
    measure: str
    value: float  # on the measure's own scale
    batch: int | None = None
    lengths: str | None = None


def number_of(text, file):
    """A printed value; None for OOM."""
    if text == "OOM":
        return None
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise PlotError(f"{file}: {text!r} is neither a number nor OOM") from error


def read_values(document, file):
    values = []
    for grid in document.get("grids", []):
        for strategy, row in grid["rows"].items():
            if len(row) != len(grid["budgets"]):
                raise PlotError(f"{file}: {strategy} has {len(row)} values for {len(grid['budgets'])} budgets")
            values += [{**grid, "strategy": strategy, "budget": budget, "value": value}
                       for budget, value in zip(grid["budgets"], row)]
    values += document.get("values", [])
    read = []
    out_of = document.get("out_of", {})
    for entry in values:
        if (number := number_of(entry["value"], file)) is not None:
            budget = str(entry["budget"])
            read.append(Value(entry["model"], entry.get("data"), entry["strategy"], float(budget.removesuffix("t")),
                              budget.endswith("t"), entry["measure"], number / out_of.get(entry["measure"], 1), entry.get("batch"),
                              entry.get("lengths")))
    return read


class Published:
    """One file of results/published."""

    def __init__(self, name, runs):
        file, document = read_document(name)
        self.name = name
        try:
            if document["runs"] != runs:
                other = "scripts/plot_bench.py" if runs == "sweep" else "scripts/plot.py"
                raise PlotError(f"--published {name}: stands beside a {document['runs']}, not a {runs}; {other} draws it")
            self.models = {name: entry["labels"] for name, entry in document["models"].items()}
            self.data = {name: entry["labels"] for name, entry in document.get("data", {}).items()}
            self.strategies = {name: (entry.get("released", []), entry.get("paper", []))
                               for name, entry in document["strategies"].items()}
            self.protocol = document["protocol"]
            source = document["source"]
            self.citation = f"{source['citation'].split(';')[0]}, {source['where']}"
            self.values = read_values(document, file)
        except (KeyError, TypeError, AttributeError) as error:
            raise PlotError(f"{file}: does not say what a published table needs ({error})") from error
        if not self.values:
            raise PlotError(f"--published {name}: holds differences alone, no values to draw")

    def candidates(self, strategy):
        """Labels of our strategies that stand for a published row, those that compute what was measured first."""
        released, paper = self.strategies.get(strategy, ([], []))
        return [*released, *paper]


@dataclasses.dataclass(frozen=True)
class Row:
    name: str  # as published
    model: str
    strategy: str  # whose look the points have
    preset: str
    points: tuple  # (budget, value), ascending


class PublishedPoints(Published):
    """The published rows that belong into a sweep's pictures."""

    def __init__(self, name, groups, model=None, data=None):
        super().__init__(name, "sweep")
        for option, wanted, known in (("model", model, self.models), ("data", data, self.data)):
            if wanted is not None and wanted not in known:
                raise PlotError(f"--published-{option}: {name} has no {wanted!r}; known: {', '.join(known)}")
        self.model, self.data_name = model, data
        if not any(self.identify(group) for group in groups):
            raise PlotError(f"--published {name}: is about {' and '.join(self.models)} on {' and '.join(self.data)}, and no run "
                            f"here is ({'; '.join(group.name for group in groups)}); --published-model and --published-data "
                            "name what to draw all the same")

    def identify(self, group):
        """The published (model, data) that a group is compared with, or None."""
        def of(wanted, known, labels):
            return wanted or next((name for name, patterns in known.items() if matches(patterns, *labels)), None)
        model = of(self.model, self.models, (group.model, group.model.rsplit("-", 1)[0]))
        data = of(self.data_name, self.data, (group.data,))
        return (model, data) if model and data else None

    def rows_for(self, group, measure, growth):
        found = self.identify(group)
        in_tokens = growth == "tokens"
        if found is None or not in_tokens and growth != self.protocol.get("growth"):
            return []
        # Against another text it is another measure; accuracies know the data's answers alone.
        if measure.name != "ppl" and measure.reference != self.protocol.get("text_reference", "dataset"):
            return []
        points = {}
        for value in self.values:
            if (value.model, value.data, value.measure, value.in_tokens) == (*found, measure.name, in_tokens) and (
                    in_tokens or value.budget < 1):
                points.setdefault(value.strategy, []).append((value.budget, value.value))
        rows = []
        for name, of_row in points.items():
            candidates = self.candidates(name)
            ours = next((strategy for pattern in candidates for strategy in group.strategies
                         if matches([pattern], strategy.name)), None)
            if ours:
                rows.append(Row(name, found[0], ours.name, ours.preset, tuple(sorted(of_row))))
            else:
                rows.append(Row(name, found[0], f"published {name}", (candidates or [name])[0], tuple(sorted(of_row))))
        return rows

    def looks_wanted(self, groups, measures):
        """(name, preset) of published rows that no strategy of the runs stands for."""
        rows = [row for group in groups for measure in measures for row in self.rows_for(group, measure, "generation")
                + self.rows_for(group, measure, "prompt") + self.rows_for(group, measure, "tokens")]
        return list(dict.fromkeys((row.strategy, row.preset) for row in rows if row.strategy == f"published {row.name}"))
