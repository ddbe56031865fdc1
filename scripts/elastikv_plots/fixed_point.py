"""The paper's Fig. 3: perplexity against the place of the fixed point, as a share of the compressed prompt and, beside it, as a
distance from its end."""

import dataclasses

from matplotlib.lines import Line2D

from . import looks
from .budget import draw_line, finish_value_axis, full_handle, full_line, muddled

PARTS = (("share", "Place of the fixed point\n(0: after the sinks, 1: end of the prompt)"),
         ("distance", "Entries from the fixed point\nto the prompt's end"))


@dataclasses.dataclass(frozen=True)
class Place:
    base: str  # the preset with all that is set besides
    kind: str  # share or distance
    value: float


def yaml_value(text):
    import yaml
    try:
        return yaml.safe_load(text) if isinstance(text, str) else text
    except yaml.YAMLError:
        return text


def place_of(strategy):
    """Where a strategy's overrides put the fixed point; None when they say nothing of it."""
    found, others = {}, []
    for key, text in strategy.overrides:
        if key == "generation":
            value = yaml_value(text)
            if not isinstance(value, dict) or value.get("kind") != "fixed_point":
                return None
            found.update(value)
        elif key in ("generation.share", "generation.distance"):
            found[key.partition(".")[2]] = yaml_value(text)
        elif key == "generation.kind":
            if text != "fixed_point":
                return None
        else:
            others.append(f"{key}: {text}")
    base = ", ".join([strategy.preset, *others])
    for kind in ("share", "distance"):  # a share takes the distance's place
        if isinstance(found.get(kind), (int, float)):
            return Place(base, kind, float(found[kind]))
    return None


def lines_of(group, measure, growth, kind):
    """{(base, budget): [(place, value, low, high)]} of lines with two places or more."""
    lines = {}
    for strategy in group.strategies:
        place = place_of(strategy)
        if place is None or place.kind != kind:
            continue
        for cell in group.of_strategy(strategy.name, growth):
            estimate = cell.estimate(measure)
            if estimate is not None:
                lines.setdefault((place.base, cell.budget), []).append((place.value, *estimate))
    return {key: sorted(points) for key, points in lines.items() if len({p[0] for p in points}) > 1}


def figure_of(group, growth, options):
    """None when no strategies differ in where their fixed point lies."""
    measure = group.run.measures.get("ppl")
    if measure is None:
        return None
    parts = [(kind, label, lines_of(group, measure, growth, kind)) for kind, label in PARTS]
    parts = [part for part in parts if part[2]]
    if not parts:
        return None
    keys = list(dict.fromkeys(key for _, _, lines in parts for key in lines))
    bases = list(dict.fromkeys(base for base, _ in keys))
    budgets = sorted({budget for _, budget in keys}, key=lambda b: b.place)
    # A colour and dashes per preset; a marker per budget.
    look = {(base, budget): (looks.COLOURS[bases.index(base) % len(looks.COLOURS)],
                             looks.MARKERS[budgets.index(budget) % len(looks.MARKERS)],
                             looks.DASHES[(bases.index(base) + 2 * (budgets.index(budget) % 2)) % len(looks.DASHES)])
            for base, budget in keys}
    below = options.width == "column" and len(parts) > 1
    rows, columns = (len(parts), 1) if below else (1, len(parts))
    widths = {} if below or len(parts) == 1 else {"width_ratios": [1.5, 1]}
    figure, panels = looks.panels(options.width, rows, columns, 2.2 if below else 2.7, sharey=True, **widths)
    full = group.estimate(group.full, measure)
    values = [full[0]] if full else []
    for axes, (kind, label, lines) in zip(panels.flat, parts):
        intervals = options.intervals
        if intervals == "auto":
            intervals = "bars" if muddled(list(lines.items())) else "bands"
        for key, points in lines.items():
            draw_line(axes, points, look[key], intervals)
            values += [x for point in points for x in point[1:]]
        if full is not None:
            full_line(axes, full)
        axes.set_xlabel(label)
        inches = looks.WIDTHS[options.width] * 0.8 / columns
        looks.listed_ticks(axes.xaxis, [point[0] for points in lines.values() for point in points], inches)
        if kind == "distance":
            axes.invert_xaxis()  # the prompt's end on the right, as on the left
    for axes in panels.flat:
        finish_value_axis(axes, measure, values)
    for axes in panels[:, 0]:
        axes.set_ylabel(looks.two_lines(measure.label))
    looks.heading(figure, group.title, options.width)
    handles = [Line2D([], [], color=look[key][0], marker=look[key][1], linestyle=look[key][2],
                      markersize=looks.marker_size(look[key][1]), label=f"{key[0]}, budget {key[1].text}") for key in keys]
    if full is not None:
        handles.append(full_handle())
    looks.legend(figure, options.width, handles)
    return figure
