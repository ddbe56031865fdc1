"""Reads descriptions and answers about detail scenes, and scores them against the ground truth."""

import json
import re

from detail_scenes import DATA, NUMBERS, without_article

_VOCABULARY = json.loads((DATA / "vocabulary.json").read_text())
PLACES = {
    words: tuple(map(int, cell.split(",")))
    for cell, words in _VOCABULARY["grid_positions"].items()
}
_PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
SENTENCE = re.compile(
    rf"({_PLACE}) there is a (large|small) (.+?) with (?:the number (\d)|no number)\.",
    re.IGNORECASE,
)
_COUNT = "|".join(NUMBERS)
# What decides whether an answer is right: the groups of its kind's expression.
_DECISIVE = {
    "what": r"There is (?:(nothing)|a (?:large|small) (.+?)) (?:at|in|on) the ",
    "where": rf" is ({_PLACE})\.",
    "number": r" has (?:(no) number|the number (\d))",
    "bearer": r", on the (.+)\.",
    "read": r" there is (?:(no) number|the number (\d))",
    "size": r" is (large|small)\.",
    "present": r"^(Yes|No)\b",
    "count": rf"There are ({_COUNT}) objects",
    "row": rf" row has ({_COUNT}) objects?\.",
    "color": rf" is ({'|'.join(_VOCABULARY['backgrounds'])})\.$",
}


def decisive(kind, answer):
    """The part of an answer that its kind of question asks for, None where there is none."""
    found = re.search(_DECISIVE[kind], answer)
    return next(filter(None, found.groups())) if found else None


def described_objects(description):
    """[{name, size, row, column, number}], names without articles."""
    objects = []
    for place, size, name, number in SENTENCE.findall(description):
        row, column = PLACES[place.lower()]
        thing = {"name": name, "size": size, "row": row, "column": column}
        objects.append(thing | {"number": int(number) if number else None})
    return objects


def score_description(description, scene):
    """Counts over the objects of a scene: {objects, named, ...}."""
    described = {}
    for thing in described_objects(description):
        described.setdefault(thing["name"], thing)
    counts = dict.fromkeys(
        ("objects", "named", "placed", "sized", "numbered", "labels", "labels_read", "invented"), 0
    )
    true_names = {without_article(thing["name"]) for thing in scene["objects"]}
    counts["invented"] = sum(name not in true_names for name in described)
    for thing in scene["objects"]:
        counts["objects"] += 1
        counts["labels"] += thing["number"] is not None
        said = described.get(without_article(thing["name"]))
        if said is None:
            continue
        counts["named"] += 1
        counts["placed"] += (said["row"], said["column"]) == (thing["row"], thing["column"])
        counts["sized"] += said["size"] == thing["size"]
        counts["numbered"] += said["number"] == thing["number"]
        if thing["number"] is not None:
            counts["labels_read"] += said["number"] == thing["number"]
    return counts
