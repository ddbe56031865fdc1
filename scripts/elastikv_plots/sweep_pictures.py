"""The command of scripts/plot.py."""

import argparse
import pathlib
import sys

from . import budget, details, fixed_point, looks, needle, sizes, tasks, turns
from .base import Album, PlotError, comma_list, formats_of
from .published import PublishedPoints
from .sweeps import Run

PICTURES = ("budget", "tasks", "bytes", "fixed-point", "needle", "turns", "importance", "kept")


def parse(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=pathlib.Path, nargs="+", metavar="FOLDER", help="folder of elastikv sweep or elastikv report")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the pictures (default: FOLDER/plots)")
    parser.add_argument("--formats", default="png,svg", help="comma list of png, svg, pdf (default: %(default)s)")
    parser.add_argument("--pictures", default=",".join(PICTURES), help="comma list of what to draw (default: %(default)s)")
    parser.add_argument("--strategies", help="comma list of the strategies to draw (default: all)")
    parser.add_argument("--width", choices=sorted(looks.WIDTHS), default="full",
                        help="of the page (7 inches) or of one of two columns (3.4 inches)")
    parser.add_argument("--style", choices=["auto", "lines", "rows"], default="auto",
                        help=f"lines over the budget, or a row per strategy (default: rows for more than {budget.LINES} strategies)")
    parser.add_argument("--intervals", choices=["auto", "bands", "bars", "none"], default="auto",
                        help="95 %% intervals as bands, or as bars side by side (default: bands unless they would cover each other)")
    parser.add_argument("--published", metavar="NAME", help="also the points of results/published/NAME.yaml (or of a file)")
    parser.add_argument("--published-model", metavar="NAME", help="draw the points of this published model beside any model")
    parser.add_argument("--published-data", metavar="NAME", help="draw the points of this published data set beside any data")
    parser.add_argument("--samples", help="comma list of samples for importance and kept (default: the first of each group)")
    parser.add_argument("--budget", help="budget of the cells in needle, turns, importance and kept (default: the one nearest to 0.2)")
    parser.add_argument("--kept", metavar="STRATEGIES", help="comma list: also every layer of these strategies, a picture each")
    return parser.parse_args()


def choose_strategies(arguments, groups):
    if not arguments.strategies:
        return
    known = list(dict.fromkeys([strategy.name for group in groups for strategy in group.strategies]
                               + [group.full.strategy.name for group in groups if group.full and not group.full.hidden]))
    wanted = comma_list("strategies", arguments.strategies, known, "strategy in this sweep")
    for group in groups:
        group.keep_strategies(wanted)


def growths_of(groups):
    return list(dict.fromkeys(budget.growth for group in groups for budget in group.budgets))


def picture_name(name, group, several, growth):
    parts = [name]
    if several:
        parts.append(f"{group.model}-{group.data}")
    if growth != "generation":
        parts.append(growth)
    return "-".join(parts)


def draw_budget(album, groups, measures, arguments, looks_by_name):
    """A picture per group and, where there are several with lines, one of all."""
    for measure in measures:
        for growth in growths_of(groups):
            rows = budget.rows_wanted(groups, growth, arguments.style)
            if len(groups) > 1 and not rows:
                album.save(measure.name + ("" if growth == "generation" else f"-{growth}"),
                           budget.figure_of(groups, measure, growth, arguments, looks_by_name))
            for group in groups:
                figure = (budget.rows_figure(group, measure, growth, arguments) if rows
                          else budget.figure_of([group], measure, growth, arguments, looks_by_name))
                album.save(picture_name(measure.name, group, len(groups) > 1, growth), figure)


def draw_tasks(album, run, groups, arguments, looks_by_name):
    """Of each model with several tasks their average, and all of them beside each other."""
    models = tasks.tasks_of(run, groups)
    for model in models:
        for growth in model.growths:
            parts = ([model.model] if len(models) > 1 else []) + ([] if growth == "generation" else [growth])
            album.save("-".join([tasks.RELATIVE.name, *parts]), tasks.relative_figure(model, growth, arguments, looks_by_name))
            if len(model.average.strategies) > budget.LINES:
                print(f"{model.model}: more than {budget.LINES} strategies; tasks beside each other need --strategies", file=sys.stderr)
                continue
            album.save("-".join(["tasks", *parts]), tasks.figure_of(model, growth, arguments, looks_by_name))


def draw_sizes(album, groups, measures, arguments, looks_by_name):
    for group in groups:
        if len(group.strategies) > budget.LINES:
            print(f"{group.name}: more than {budget.LINES} strategies; quality against bytes needs --strategies", file=sys.stderr)
            continue
        for measure in measures:
            if not measure.in_summary:
                continue
            for growth in growths_of([group]):
                album.save(picture_name(f"{measure.name}-bytes", group, len(groups) > 1, growth),
                           sizes.figure_of(group, measure, growth, arguments, looks_by_name))


def draw_fixed_points(album, groups, arguments):
    for group in groups:
        for growth in growths_of([group]):
            album.save(picture_name("fixed-point", group, len(groups) > 1, growth),
                       fixed_point.figure_of(group, growth, arguments))


def draw_needles(album, run, groups, arguments):
    rows = needle.rows_of(run)
    for group in groups:
        chosen, figure = needle.figure_of(group, rows, arguments)
        name = f"needle-{group.model}-{group.data}" if len(groups) > 1 else "needle"
        album.save(f"{name}-{chosen}" if chosen else name, figure)


def draw_turns(album, run, groups, measures, arguments, looks_by_name):
    rows = turns.rows_of(run)
    for group in groups:
        for measure in [measure for measure in measures if measure.in_summary]:
            chosen, figure = turns.figure_of(group, measure, rows, arguments, looks_by_name)
            name = f"turns-{measure.name}-{group.model}-{group.data}" if len(groups) > 1 else f"turns-{measure.name}"
            album.save(f"{name}-{chosen}" if chosen else name, figure)


def draw_details(album, groups, arguments, pictures):
    wanted = arguments.samples.split(",") if arguments.samples else None
    stored = {group.name: details.details_of(group) for group in groups}
    known = list(dict.fromkeys(detail.sample for found in stored.values() for detail in found))
    if wanted and not known:
        raise PlotError("--samples: these folders hold no details of samples (details.jsonl)")
    if wanted:
        comma_list("samples", arguments.samples, known, "sample in details.jsonl")
    strategies = list(dict.fromkeys(strategy.name for group in groups for strategy in group.strategies))
    kept = comma_list("kept", arguments.kept, strategies, "strategy in this sweep") if arguments.kept else []
    if kept and not known:
        raise PlotError("--kept: these folders hold no details of samples (details.jsonl)")
    for group in groups:
        chosen_budget = details.choose_budget(group, arguments.budget)
        found = stored[group.name]
        for detail in found[:1] if wanted is None else [d for d in found if d.sample in wanted]:
            name = f"{group.model}-{group.data}-{detail.sample}" if len(groups) > 1 else detail.sample
            if "importance" in pictures:
                album.save(f"importance-{name}", details.importance_figure(detail, chosen_budget, arguments.width))
            if "kept" in pictures:
                album.save(f"kept-{name}-{chosen_budget}", details.overview_figure(detail, chosen_budget, arguments.width))
            for strategy in kept:
                album.save(f"kept-{name}-{strategy}-{chosen_budget}",
                           details.layers_figure(detail, strategy, chosen_budget, arguments.width))


def main(description):
    arguments = parse(description)
    formats = formats_of(arguments.formats)
    pictures = comma_list("pictures", arguments.pictures, PICTURES, "picture")
    if len(arguments.folders) > 1:
        folders = " ".join(map(str, arguments.folders))
        raise PlotError(f"plot.py draws one folder; elastikv report {folders} --output DIR joins runs, and plot.py DIR draws them together")
    if not arguments.published and (arguments.published_model or arguments.published_data):
        raise PlotError("--published-model and --published-data choose among the values of --published NAME, which is missing")
    run = Run(arguments.folders[0])
    groups, measures = run.groups, list(run.measures.values())
    choose_strategies(arguments, groups)
    for group in [group for group in groups if not group.samples]:
        print(f"{group.name}: no sample is complete yet", file=sys.stderr)
        groups.remove(group)
    if not groups:
        raise PlotError(f"{run.folder}: nothing to draw")
    strategies = list(dict.fromkeys((s.name, s.preset) for group in groups for s in group.strategies))
    if arguments.published:
        arguments.published = PublishedPoints(arguments.published, groups, arguments.published_model, arguments.published_data)
        strategies += arguments.published.looks_wanted(groups, measures)
    looks_by_name = looks.looks_of(strategies)
    album = Album(arguments.output or run.folder / "plots", formats)
    if "budget" in pictures:
        draw_budget(album, groups, measures, arguments, looks_by_name)
    if "tasks" in pictures:
        draw_tasks(album, run, groups, arguments, looks_by_name)
    if "bytes" in pictures:
        draw_sizes(album, groups, measures, arguments, looks_by_name)
    if "fixed-point" in pictures:
        draw_fixed_points(album, groups, arguments)
    if "needle" in pictures:
        draw_needles(album, run, groups, arguments)
    if "turns" in pictures:
        draw_turns(album, run, groups, measures, arguments, looks_by_name)
    if {"importance", "kept"} & set(pictures):
        draw_details(album, groups, arguments, pictures)
    if not album.names:
        raise PlotError(f"{run.folder}: nothing to draw")
