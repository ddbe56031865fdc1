#!/usr/bin/env python3
"""Makes detail scenes: many stamps of Tux Paint with printed numbers, and questions about one detail.

Like stamp scenes (scenes.py, which loads the stamps), but with up to nine objects, small ones among
them, a background in three bands, and a number on a small printed label beside most objects. What a
scene is and in which form it is written, datasets/detail-scenes/README.md tells.

Scene i of a seed is the same however many are made. Needs numpy and pillow.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scenes import (  # noqa: E402
    ROOT,
    SceneError,
    Stamps,
    resized,
    sentence_start,
    without_article,
    write_scenes,
)

DATA = ROOT / "datasets" / "detail-scenes"
GRID = 3
OBJECTS = (3, 9)
LONGEST_SIDE = {"large": (42, 50), "small": (26, 32)}
CENTRE_JITTER = {"large": 4, "small": 5}
COLOUR_JITTER = 8
BANDS = ("at the top", "in the middle", "at the bottom")  # of the background, one per row
ROWS = ("top", "middle", "bottom")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# The digits 1 to 9 in 5 x 7 dots, so that no font library decides what a label looks like.
GLYPHS = {
    1: "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    2: ".###. #...# ....# ...#. ..#.. .#... #####",
    3: "####. ....# ....# .###. ....# ....# ####.",
    4: "...#. ..##. .#.#. #..#. ##### ...#. ...#.",
    5: "##### #.... ####. ....# ....# #...# .###.",
    6: "..##. .#... #.... ####. #...# #...# .###.",
    7: "##### ....# ...#. ..#.. ..#.. .#... .#...",
    8: ".###. #...# #...# .###. #...# #...# .###.",
    9: ".###. #...# #...# .#### ....# ...#. .##..",
}
DOT = 2  # pixels per dot
MARGIN = 1  # of white around the digit
LABEL_SHARE = 0.6  # of the objects that bear a number
LABEL_OFFSET = (22, 20)  # of the label's centre from the cell's, across and down
LABEL_JITTER = 2
INK, PAPER = (20, 20, 30), (255, 255, 255)

REQUESTS = (
    "Describe this image in detail.",
    "Write a detailed description of the image.",
)
OPENINGS = (
    "The image shows {count} objects.",
    "There are {count} objects in this picture.",
)
# How often each kind of question is asked in training; the splits ask QUESTIONS different kinds.
QUESTION_KINDS = {
    "what": 3,
    "where": 3,
    "number": 3,
    "bearer": 3,
    "read": 3,
    "size": 1,
    "present": 2,
    "count": 1,
    "row": 1,
    "color": 1,
}
QUESTIONS = 8
EMPTY_SHARE = 0.25  # of the questions for what is at a place, where a place is empty
UNNUMBERED_SHARE = 0.2  # of the questions for a number, where an object has none


def label_picture(digit):
    """A digit printed on a white label, RGB, 12 x 16 pixels."""
    rows = GLYPHS[digit].split()
    dots = np.array([[dot == "#" for dot in row] for row in rows])
    dots = dots.repeat(DOT, axis=0).repeat(DOT, axis=1)
    dots = np.pad(dots, MARGIN)
    return Image.fromarray(np.where(dots[..., None], INK, PAPER).astype(np.uint8))


class DetailSceneMaker:
    """Makes scenes by seed and index."""

    def __init__(self, stamps, vocabulary):
        self._stamps = stamps
        self._names = vocabulary["names"]
        self._backgrounds = vocabulary["backgrounds"]
        self._places = {
            tuple(map(int, cell.split(","))): words
            for cell, words in vocabulary["grid_positions"].items()
        }
        self._size = vocabulary["size"]
        self._labels = {digit: label_picture(digit) for digit in GLYPHS}
        self._resized = {}  # every stamp in every size that a scene asked for

    def make(self, seed, index):
        """Returns (picture, owners, labels, scene).

        picture: RGB, `size` x `size`. owners, labels: int arrays [size, size], which of
        scene["objects"] covers a pixel and whose label does, -1 for none; a label hides what is
        behind it. scene: the ground truth as in annotations.json.
        """
        random = np.random.default_rng([seed, index])
        count = OBJECTS[0] + index % (OBJECTS[1] - OBJECTS[0] + 1)
        names = random.choice(self._names, count, replace=False)
        cells = np.sort(random.choice(GRID * GRID, count, replace=False))
        digits = random.permutation(list(GLYPHS))[:count]
        numbered = random.random(count) < LABEL_SHARE
        if not numbered.any():
            numbered[random.integers(count)] = True
        objects = [
            {
                "name": str(name),
                "size": str(random.choice(("large", "small"))),
                "row": int(cell) // GRID,
                "column": int(cell) % GRID,
                "number": int(digit) if has_number else None,
            }
            for name, cell, digit, has_number in zip(names, cells, digits, numbered)
        ]
        colours = random.choice(list(self._backgrounds), GRID, replace=False)
        scene = {"backgrounds": [str(colour) for colour in colours], "objects": objects}
        picture, owners, labels = self._paint(random, scene)
        return picture, owners, labels, scene

    def _stamp(self, name, number, longest, mirrored):
        key = (name, number, longest, mirrored)
        if key not in self._resized:
            stamp = self._stamps.pictures(name)[number]
            stamp = resized(stamp, longest / max(stamp.size))
            if mirrored:
                stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            alpha = stamp.getchannel("A")
            solid = alpha.point(lambda value: 255 if value > 127 else 0)
            self._resized[key] = (stamp.convert("RGB"), alpha, solid)
        return self._resized[key]

    def _paint(self, random, scene):
        size, cell = self._size, self._size // GRID
        picture = Image.new("RGB", (size, size))
        for row, name in enumerate(scene["backgrounds"]):
            colour = np.array(self._backgrounds[name])
            colour = colour + random.integers(-COLOUR_JITTER, COLOUR_JITTER, 3, endpoint=True)
            colour = tuple(int(value) for value in np.clip(colour, 0, 255))
            picture.paste(colour, (0, row * cell, size, (row + 1) * cell))
        owners, labels = Image.new("L", (size, size), 0), Image.new("L", (size, size), 0)
        for number, thing in enumerate(scene["objects"], start=1):
            which = int(random.integers(len(self._stamps.pictures(thing["name"]))))
            longest = int(random.integers(*LONGEST_SIDE[thing["size"]], endpoint=True))
            stamp, alpha, solid = self._stamp(
                thing["name"], which, longest, bool(random.random() < 0.5)
            )
            furthest = CENTRE_JITTER[thing["size"]]
            jitter = random.integers(-furthest, furthest, 2, endpoint=True)
            middle = (cell * thing["column"] + cell // 2, cell * thing["row"] + cell // 2)
            corner = (
                middle[0] + int(jitter[0]) - stamp.width // 2,
                middle[1] + int(jitter[1]) - stamp.height // 2,
            )
            picture.paste(stamp, corner, alpha)
            owners.paste(number, corner, solid)
            side = random.choice((-1, 1), 2)
            jitter = random.integers(-LABEL_JITTER, LABEL_JITTER, 2, endpoint=True)
            if thing["number"] is None:
                continue
            label = self._labels[thing["number"]]
            corner = tuple(
                middle[axis] + int(side[axis]) * LABEL_OFFSET[axis] + int(jitter[axis]) - half
                for axis, half in ((0, label.width // 2), (1, label.height // 2))
            )
            box = (*corner, corner[0] + label.width, corner[1] + label.height)
            picture.paste(label, corner)
            owners.paste(0, box)
            labels.paste(number, box)
        return (
            picture,
            np.asarray(owners).astype(np.int64) - 1,
            np.asarray(labels).astype(np.int64) - 1,
        )

    def place(self, thing):
        return self._places[thing["row"], thing["column"]]

    @staticmethod
    def _sized(thing):
        """`a large owl`"""
        return f"a {thing['size']} {without_article(thing['name'])}"

    def describe(self, random, scene):
        """A request for a description, and the description."""
        objects, bands = scene["objects"], zip(scene["backgrounds"], BANDS)
        request = REQUESTS[random.integers(len(REQUESTS))]
        opening = OPENINGS[random.integers(len(OPENINGS))]
        first, second, third = (f"{colour} {band}" for colour, band in bands)
        sentences = [
            opening.format(count=NUMBERS[len(objects)]),
            f"The background is {first}, {second} and {third}.",
        ]
        for thing in objects:
            number = thing["number"]
            bears = f"the number {number}" if number else "no number"
            place = sentence_start(self.place(thing))
            sentences.append(f"{place} there is {self._sized(thing)} with {bears}.")
        large = sum(thing["size"] == "large" for thing in objects)
        numbered = sum(thing["number"] is not None for thing in objects)
        sentences.append(
            f"In total, {NUMBERS[large]} large and {NUMBERS[len(objects) - large]} small, "
            f"and {NUMBERS[numbered]} with a number."
        )
        return request, " ".join(sentences)

    def ask(self, random, scene, kind):
        """A question of a kind, and its answer, which ends in what was asked for."""
        objects = scene["objects"]
        if kind == "number" and random.random() >= UNNUMBERED_SHARE:
            objects = [thing for thing in objects if thing["number"]]
        if kind == "bearer":
            objects = [thing for thing in objects if thing["number"]]
        thing = objects[random.integers(len(objects))]
        name, place, number = without_article(thing["name"]), self.place(thing), thing["number"]
        match kind:
            case "what":
                return self._ask_what(random, scene)
            case "where":
                return f"Where is the {name}?", f"The {name} is {place}."
            case "number":
                has = f"has the number {number}" if number else "has no number"
                return f"Which number is on the {name}?", f"The {name} {place} {has}."
            case "bearer":
                answer = f"The number {number} is {place}, on the {name}."
                return f"Which object has the number {number}?", answer
            case "read":
                return self._ask_read(random, scene)
            case "size":
                answer = f"The {name} {place} is {thing['size']}."
                return f"Is the {name} large or small?", answer
            case "present":
                return self._ask_present(random, scene)
            case "count":
                answer = f"There are {NUMBERS[len(scene['objects'])]} objects."
                return "How many objects are there?", answer
            case "row":
                row = int(random.integers(GRID))
                count = sum(thing["row"] == row for thing in scene["objects"])
                objects = "object" if count == 1 else "objects"
                question = f"How many objects are in the {ROWS[row]} row?"
                return question, f"The {ROWS[row]} row has {NUMBERS[count]} {objects}."
            case "color":
                row = int(random.integers(GRID))
                answer = f"The background {BANDS[row]} is {scene['backgrounds'][row]}."
                return f"What color is the background {BANDS[row]}?", answer
        raise ValueError(f"unknown kind of question '{kind}'")

    def _ask_what(self, random, scene):
        taken = {(thing["row"], thing["column"]): thing for thing in scene["objects"]}
        empty = [cell for cell in self._places if cell not in taken]
        cells = empty if empty and random.random() < EMPTY_SHARE else list(taken)
        cell = cells[random.integers(len(cells))]
        what = self._sized(taken[cell]) if cell in taken else "nothing"
        place = self._places[cell]
        return f"What is {place}?", f"There is {what} {place}."

    def _ask_read(self, random, scene):
        objects = scene["objects"]
        numbered = [thing for thing in objects if thing["number"]]
        without = [thing for thing in objects if not thing["number"]]
        choice = without if without and random.random() < UNNUMBERED_SHARE else numbered
        thing = choice[random.integers(len(choice))]
        place, number = self.place(thing), thing["number"]
        what = f"the number {number}" if number else "no number"
        return f"Which number is {place}?", f"{sentence_start(place)} there is {what}."

    def _ask_present(self, random, scene):
        objects = scene["objects"]
        if random.random() < 0.5:
            thing = objects[random.integers(len(objects))]
            question = f"Is there {thing['name']}?"
            return question, f"Yes, there is {thing['name']} {self.place(thing)}."
        there = {thing["name"] for thing in objects}
        missing = [name for name in self._names if name not in there]
        name = missing[random.integers(len(missing))]
        return f"Is there {name}?", f"No, there is no {without_article(name)}."

    def annotate(self, seed, index, scene):
        """The conversation of a scene of a split, and the kinds of its questions."""
        random = np.random.default_rng([seed, index, 1])
        kinds = [str(k) for k in random.choice(list(QUESTION_KINDS), QUESTIONS, replace=False)]
        request, description = self.describe(random, scene)
        pairs = [(f"<image>\n{request}", description)]
        pairs += [self.ask(random, scene, kind) for kind in kinds]
        turns = [
            {"from": speaker, "value": value}
            for pair in pairs
            for speaker, value in zip(("human", "gpt"), pair)
        ]
        return turns, kinds


def load_maker(stamps_folder, vocabulary_path=DATA / "vocabulary.json"):
    vocabulary = json.loads(Path(vocabulary_path).read_text())
    return DetailSceneMaker(Stamps(Path(stamps_folder), vocabulary["names"]), vocabulary)


def question_rows(annotations):
    """The questions of all scenes as rows of the task detail-scenes, one of each scene after another.

    So the first rows, as many as there are scenes, ask one question about each, of mixed kinds.
    """
    rows = []
    for turn in range(QUESTIONS):
        for index, scene in enumerate(annotations):
            which = (index + turn) % QUESTIONS
            asked, answered = scene["conversations"][2 + 2 * which : 4 + 2 * which]
            rows.append(
                {
                    "id": f"{scene['id']}_{which}",
                    "image": scene["image"],
                    "question": asked["value"],
                    "answer": answered["value"],
                    "kind": scene["scene"]["question_kinds"][which],
                }
            )
    return rows


def main():
    def make(maker, seed, index):
        picture, _, _, scene = maker.make(seed, index)
        turns, kinds = maker.annotate(seed, index, scene)
        return picture, {"conversations": turns, "scene": scene | {"question_kinds": kinds}}

    output, annotations = write_scenes(__doc__.split("\n\n", 1)[0], load_maker, make)
    lines = [json.dumps(row) + "\n" for row in question_rows(annotations)]
    (output / "questions.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    try:
        main()
    except SceneError as error:
        sys.exit(f"detail_scenes.py: {error}")
