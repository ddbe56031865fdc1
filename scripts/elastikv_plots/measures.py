"""What a picture can show of a cell."""

import dataclasses
import math
import typing

MIB = 2.0**20
UNMEASURED = object()  # of a sample that a measure does not speak of


@dataclasses.dataclass(frozen=True)
class Measure:
    name: str  # of the picture's file
    label: str  # of its axis
    read: typing.Callable  # a record's value, UNMEASURED, or None
    column: str  # of cells.csv
    bounds: tuple = ()  # columns of the interval's ends
    has_full: bool = True  # whether the full cache has it, too
    log_from: float | None = None  # ratio of the largest to the smallest from which the axis is logarithmic
    top: float | None = None  # of a share
    scale: float = 1.0
    ratio: bool = False  # a perplexity: the ratio of sums rather than a mean
    least: float = -math.inf  # that a value can be; intervals end there
    most: float = math.inf

    def combine(self, bootstrap, rows, clusters=None):
        """Over the rows of samples, with the name of each one's cluster. Samples to leave out are UNMEASURED."""
        if any(row is UNMEASURED for row in rows):
            kept = [place for place, row in enumerate(rows) if row is not UNMEASURED]
            rows = [rows[place] for place in kept]
            clusters = clusters and [clusters[place] for place in kept]
        if self.ratio:
            return bootstrap.perplexity(rows, clusters)
        found = bootstrap.mean(rows, clusters, self.least, self.most)
        return None if found is None else tuple(x * self.scale for x in found)

    def from_table(self, row):
        """The same from a row of cells.csv."""
        if row is None or not row.get(self.column):
            return None
        value = float(row[self.column]) * self.scale
        ends = [row.get(bound) for bound in self.bounds]
        return (value, *(float(end) * self.scale if end else value for end in ends or ("", "")))


def metric_title(name):
    """"ROUGE-L (pltrdy)" for rouge-l-pltrdy, "ROUGE-Lsum (Google, stemmed)" for rougeLsum-stem."""
    if name.startswith("rouge-"):
        return f"ROUGE-{name.split('-')[1].upper()} (pltrdy)"
    base, *forms = name.removeprefix("rouge").split("-")
    words = {"stem": "stemmed", "characters": "characters", "unicode": "Unicode words", "sentences": "sentences"}
    return f"ROUGE-{base} ({', '.join(['Google', *(words.get(form, form) for form in forms)])})"


def divergence(record):
    """Where one token or none is scored, no distribution is compared; earlier records hold 0 there."""
    return UNMEASURED if record.get("scored_tokens", 0) < 2 else record.get("mean_kl")


def perplexity():
    return Measure("ppl", "Perplexity of the answers",
                   lambda r: None if r.get("nll_sum") is None else (r["nll_sum"], r.get("scored_tokens", 0)), "ppl",
                   ("ppl_low", "ppl_high"), log_from=4.0, ratio=True)


def text_measure(name, reference):
    to_full = reference == "full-cache"
    return Measure(name, f"{metric_title(name)} F,\nagainst {'the full cache' if to_full else 'the answers'}",
                   lambda r: r.get("scores", {}).get(name, {}).get("f"), name, (f"{name}_low", f"{name}_high"),
                   has_full=not to_full, top=1.0, least=0.0, most=1.0)


def measures_of(config):
    """What a sweep measured of quality."""
    metrics, measures = config["metrics"], []
    if metrics["perplexity"]["enabled"]:
        measures.append(perplexity())
    measures += [text_measure(name, metrics["reference"]) for name in metrics["text"]]
    if metrics["agreement"]:
        measures.append(Measure("match_rate", "Tokens equal to the full cache's\n(share)",
                                lambda r: r.get("agreement", {}).get("match_rate"), "match_rate",
                                ("match_low", "match_high"), has_full=False, top=1.0, least=0.0, most=1.0))
        measures.append(Measure("mean_kl", "KL from the full cache\n(nats per token)", divergence, "kl", ("kl_low", "kl_high"),
                                has_full=False, log_from=10.0, least=0.0))
    return measures


def cache_bytes(when):
    """Mean size of K and V per sample in MiB; `when` is prefill or end."""
    field = f"cache_bytes_{when}"
    return Measure(field, field, lambda r: r.get(field), field, scale=1 / MIB)
