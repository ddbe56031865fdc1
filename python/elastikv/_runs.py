"""What a sweep left in its folder, as DataFrames."""

from __future__ import annotations

import difflib
import functools
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import Error
from ._program import native

if TYPE_CHECKING:
    import pandas

    Folder = str | os.PathLike[str]

FULL = "full"


def pandas_module() -> Any:
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise Error("Python's pandas is missing, in whose DataFrames runs are given; pip install 'elastikv[pandas]'") from error
    return pandas


def load(*folders: Folder) -> Run:
    """Opens the output folder of a sweep, or several that are joined as `elastikv report` joins them.

    Shards of one sweep are one run. The tables are computed by the program when they are first asked for, from the records alone;
    nothing is written. Error for what is no such folder, and for folders that do not fit together.
    """
    if not folders:
        raise Error("load() needs the output folder of a sweep")
    return Run([Path(folder) for folder in folders])


class Run:
    """A sweep's records and its report.

    Attributes that are DataFrames of pandas:

    records   one row per sample of a cell, as records.jsonl has them (docs/sweeps.md); one that was evaluated again has its last row
    samples   the samples: `data`, `id`, `question`, `answer`, `images`, `cluster`
    details   attention and kept entries of the first samples of each data set
    cells     every number of every cell, one row per cell (cells.csv of the report)
    measures  what was measured: label, direction, reference, bounds, signature
    """

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self._files: dict[str, str] = native().report([os.fspath(folder) for folder in folders], "csv,md")

    def __repr__(self) -> str:
        return f"elastikv.load({', '.join(repr(os.fspath(folder)) for folder in self.folders)})"

    def _repr_markdown_(self) -> str:
        return self.report

    @property
    def report(self) -> str:
        """The report's page, in Markdown: tables with intervals, differences, what is missing."""
        return self._files["report.md"]

    @functools.cached_property
    def records(self) -> pandas.DataFrame:
        return self._rows("records.jsonl", ("cell", "sample"))

    @functools.cached_property
    def samples(self) -> pandas.DataFrame:
        return self._rows("samples.jsonl", ("data", "id"))

    @functools.cached_property
    def details(self) -> pandas.DataFrame:
        return self._rows("details.jsonl", ("model", "data", "sample"))

    @functools.cached_property
    def cells(self) -> pandas.DataFrame:
        return self._table("cells")

    @functools.cached_property
    def measures(self) -> pandas.DataFrame:
        return self._table("measures")

    @property
    def strategies(self) -> list[str]:
        """The strategies in the report's order, the full cache too where it is shown."""
        cells = self.cells
        return list(dict.fromkeys(cells.loc[cells["hidden"] != "yes", "strategy"]))

    def table(self, measure: str, intervals: bool = False) -> pandas.DataFrame:
        """A measure as the report's table: strategies by budgets.

        `measure` is a name of `measures`, such as "ppl". The rows are by model and data set as well where the run has several.
        With `intervals` the columns are pairs of a budget and "value", "low" or "high": the 95 % interval. Where there is no value
        (a cell that failed, a measure that compares with the full cache itself) it is NaN. Error for a measure that is not there.
        """
        names = list(dict.fromkeys(self.measures["measure"]))
        table = self._table(known(measure, names, "measure"))
        places = ["strategy"] if len(table[["model", "data"]].drop_duplicates()) == 1 else ["model", "data", "strategy"]
        table = table.set_index(places)
        budgets = [name for name in table.columns if not name.endswith(("_low", "_high")) and name not in ("model", "data", "fixture")]
        if not intervals:
            return table[budgets].rename_axis(columns="budget").astype(float)
        ends = {"value": "", "low": "_low", "high": "_high"}
        table = table[[budget + end for budget in budgets for end in ends.values()]].astype(float)
        table.columns = pandas_module().MultiIndex.from_product([budgets, list(ends)], names=["budget", None])
        return table

    def difference(self, a: str, b: str, measure: str | None = None) -> pandas.DataFrame:
        """Strategy `a` minus strategy `b`, paired over samples, at every budget that both have.

        One row per model, data set, budget and measure: `difference`, its 95 % interval `low` to `high`, `p_value`, and `p_holm`,
        which is adjusted as in the report (docs/reports.md): beside the full cache for all differences from it, beside another
        strategy for all pairs at that budget. Perplexity is compared by its logarithm, `log_ppl`; "ppl" names it as well. Without
        `measure`, all of them. Error for a name that is not there.
        """
        if a == b:
            raise Error(f"difference() needs two strategies, not '{a}' twice")
        for name in (a, b):
            known(name, self.strategies, "strategy")
        if FULL in (a, b):
            table = self._table("differences") if "differences.csv" in self._files else self._no_pairs()
            table = table.rename(columns={"strategy": "a", "baseline": "b"})
        else:
            table = self._table("pairs") if "pairs.csv" in self._files else self._no_pairs()
        if measure is not None:
            measure = "log_ppl" if measure == "ppl" else measure
            table = table[table["measure"] == known(measure, list(dict.fromkeys(table["measure"])), "measure")]
        # The report has each pair once.
        as_asked = table[(table["a"] == a) & (table["b"] == b)]
        turned = table[(table["a"] == b) & (table["b"] == a)]
        turned = turned.assign(a=a, b=b, difference=-turned["difference"], low=-turned["high"], high=-turned["low"])
        rows = as_asked if turned.empty else turned if as_asked.empty else pandas_module().concat([as_asked, turned]).sort_index()
        return rows.dropna(axis="columns", how="all").reset_index(drop=True)

    def _no_pairs(self) -> pandas.DataFrame:
        raise Error(f"{self.folders[0]}: nothing was measured of which there could be a difference")

    def _table(self, name: str) -> pandas.DataFrame:
        """A table of the report. An empty field is missing, whatever else may look so to pandas (a strategy called "NA")."""
        texts = {name: str for name in ("cell", "model", "data", "strategy", "preset", "budget", "a", "b", "baseline", "settings")}
        return pandas_module().read_csv(io.StringIO(self._files[name + ".csv"]), keep_default_na=False, na_values=[""], dtype=texts)

    def _rows(self, name: str, key: tuple[str, ...]) -> pandas.DataFrame:
        """The lines of a file of all folders; a later one of the same key replaces an earlier one."""
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for folder in self.folders:
            for line in (line for file in files_of(folder, name) for line in json_lines(file)):
                place = (folder, *(line.get(part) for part in key))
                rows.pop(place, None)
                rows[place] = line
        return pandas_module().DataFrame(list(rows.values()))


def files_of(folder: Path, name: str) -> list[Path]:
    """A file, and those of further ranks (STEM.RANK.jsonl, of a run that went on STEM.RANK.RUN.jsonl), by the order of their runs."""
    stem, _, extension = name.partition(".")
    found = []
    for file in folder.glob(f"{stem}.*.{extension}"):
        numbers = file.name.split(".")[1:-1]
        if len(numbers) <= 2 and all(number.isdigit() for number in numbers):
            rank, run = map(int, [*numbers, "1"][:2])
            found.append((run, rank, file))
    return [folder / name, *(file for _, _, file in sorted(found))]


def json_lines(file: Path) -> Iterator[dict[str, Any]]:
    """Every complete line; what follows the last line end was torn by a killed process. A file that is not there has none."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise Error(f"{file}: cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise Error(f"{file}:{number}: not valid JSON") from error
        if not isinstance(value, dict):
            raise Error(f"{file}:{number}: is not a JSON object")
        yield value


def known(name: str, names: Iterable[str], what: str) -> str:
    """`name`, if it is one of `names`; else Error with the nearest."""
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    raise Error(f"no {what} '{name}' in this run" + (f", did you mean '{near[0]}'?" if near else f"; known: {', '.join(names)}"))
