#!/usr/bin/env python3
"""Makes stamp scenes: pictures of Tux Paint's stamps with descriptions, questions and ground truth.

The stamps are those of Debian's package tuxpaint-stamps-default (GPL-2+, 161 MB to download). They
are taken from the installed package, from a folder given with --stamps, or from the package file,
which --download fetches with apt-get and unpacks into a cache without installing it. What a scene is
and in which form it is written, datasets/stamp-scenes/README.md tells.

Scene i of a seed is the same however many are made. Needs numpy and pillow.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "datasets" / "stamp-scenes"
PACKAGE = "tuxpaint-stamps-default"
INSTALLED = Path("/usr/share/tuxpaint/stamps")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "elastikv" / PACKAGE

GRID = 3
OBJECTS = (2, 6)
LONGEST_SIDE = {"large": (54, 62), "small": (34, 40)}
STORED_SIDE = 128
CENTRE_JITTER = 4
COLOUR_JITTER = 8
QUESTIONS = (2, 4)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")

REQUESTS = (
    "Describe this image in detail.",
    "What can you see in this picture? Please describe it in detail.",
    "Write a detailed description of the image.",
)
OPENINGS = (
    "The image shows {count} objects on a {background} background.",
    "There are {count} objects in this picture, and the background is {background}.",
    "This is a picture with {count} things on a {background} background.",
)
# How often each kind of question is asked.
QUESTION_KINDS = {"what": 5, "where": 2, "count": 1, "background": 1}
# A share of the questions for what is at a place asks for any place, most of which are empty.
ANY_PLACE = 0.25


class SceneError(Exception):
    """Something the caller can mend; printed as one line."""


def without_article(name):
    """`an owl` -> `owl`."""
    return name.split(" ", 1)[1]


def sentence_start(text):
    return text[0].upper() + text[1:]


def description_key(description):
    """What a stamp's description and an object's name are compared by: the first sentence, without
    an article and in lower case, since a few stamps say "Teddy bear." or add a remark."""
    words = description.strip().split(". ")[0].rstrip(".").lower().split()
    return " ".join(words[1:] if words and words[0] in ("a", "an") else words)


def download_stamps():
    """Fetches and unpacks Debian's package into the cache, once; returns the stamps' folder."""
    stamps = CACHE / "usr" / "share" / "tuxpaint" / "stamps"
    if stamps.is_dir():
        return stamps
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise SceneError(f"--download needs {program}; on other systems use --stamps")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    print(f"downloading Debian's {PACKAGE} (161 MB) into {CACHE}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=f".{PACKAGE}.", dir=CACHE.parent) as folder:
        try:
            subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
            (package,) = Path(folder).glob("*.deb")
            unpacked = Path(folder) / "unpacked"
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        except (subprocess.CalledProcessError, ValueError):
            raise SceneError(f"cannot download {PACKAGE}; is apt-get update due?") from None
        unpacked.rename(CACHE)
    return stamps


class Stamps:
    """The pictures of every object, cropped to what is not transparent and at most 128 px large."""

    def __init__(self, folder, names):
        if not folder.is_dir():
            raise SceneError(
                f"{folder}: no such folder; install {PACKAGE}, or use --download or --stamps"
            )
        paths = {}
        for text in sorted(folder.rglob("*.txt")):
            picture = text.with_suffix(".png")
            lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
            if picture.exists() and lines:  # some stamps are vector drawings only
                paths.setdefault(description_key(lines[0]), []).append(picture)
        self._pictures = {}
        for name in names:
            found = paths.get(description_key(name))
            if not found:
                raise SceneError(f"{folder}: no stamp is described as '{name}'")
            self._pictures[name] = [self._load(path) for path in found]

    @staticmethod
    def _load(path):
        picture = Image.open(path).convert("RGBA")
        picture = picture.crop(picture.getchannel("A").getbbox())
        scale = STORED_SIDE / max(picture.size)
        return picture if scale >= 1 else resized(picture, scale)

    def pictures(self, name):
        return self._pictures[name]


def resized(picture, scale):
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS)


class SceneMaker:
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

    def make(self, seed, index):
        """Returns (picture, owners, scene, conversations).

        picture: RGB, `size` x `size`. owners: int array [size, size], which of scene["objects"]
        covers a pixel, -1 for none. scene and conversations: as in annotations.json.
        """
        random = np.random.default_rng([seed, index])
        count = OBJECTS[0] + index % (OBJECTS[1] - OBJECTS[0] + 1)
        names = random.choice(self._names, count, replace=False)
        cells = np.sort(random.choice(GRID * GRID, count, replace=False))
        objects = [
            {
                "name": str(name),
                "size": str(random.choice(("large", "small"))),
                "row": int(cell) // GRID,
                "column": int(cell) % GRID,
            }
            for name, cell in zip(names, cells)
        ]
        background = str(random.choice(list(self._backgrounds)))
        scene = {"background": background, "objects": objects}
        picture, owners = self._paint(random, scene)
        return picture, owners, scene, self._converse(random, scene)

    def _paint(self, random, scene):
        colour = np.array(self._backgrounds[scene["background"]])
        colour = colour + random.integers(-COLOUR_JITTER, COLOUR_JITTER, 3, endpoint=True)
        colour = tuple(int(value) for value in np.clip(colour, 0, 255))
        picture = Image.new("RGB", (self._size, self._size), colour)
        owners = Image.new("L", picture.size, 0)
        cell = self._size / GRID
        for number, thing in enumerate(scene["objects"], start=1):
            candidates = self._stamps.pictures(thing["name"])
            stamp = candidates[random.integers(len(candidates))]
            longest = random.integers(*LONGEST_SIDE[thing["size"]], endpoint=True)
            stamp = resized(stamp, longest / max(stamp.size))
            if random.random() < 0.5:
                stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            jitter = random.integers(-CENTRE_JITTER, CENTRE_JITTER, 2, endpoint=True)
            corner = (
                round((thing["column"] + 0.5) * cell) + int(jitter[0]) - stamp.width // 2,
                round((thing["row"] + 0.5) * cell) + int(jitter[1]) - stamp.height // 2,
            )
            alpha = stamp.getchannel("A")
            picture.paste(stamp, corner, alpha)
            owners.paste(number, corner, alpha.point(lambda value: 255 if value > 127 else 0))
        return picture, np.asarray(owners).astype(np.int64) - 1

    def _place(self, thing):
        return self._places[thing["row"], thing["column"]]

    @staticmethod
    def _sized(thing):
        """`a large owl`"""
        return f"a {thing['size']} {without_article(thing['name'])}"

    def describe(self, random, scene):
        objects = scene["objects"]
        opening = OPENINGS[random.integers(len(OPENINGS))]
        sentences = [
            opening.format(count=NUMBERS[len(objects)], background=scene["background"])
        ]
        for thing in objects:
            if random.random() < 0.5:
                place = sentence_start(self._place(thing))
                sentences.append(f"{place} there is {self._sized(thing)}.")
            else:
                sized = sentence_start(self._sized(thing))
                sentences.append(f"{sized} can be seen {self._place(thing)}.")
        large = sum(thing["size"] == "large" for thing in objects)
        numbers = []
        for number, size in ((large, "large"), (len(objects) - large, "small")):
            of_them = " of them" if size == "large" else ""
            verb = "is" if number == 1 else "are"
            numbers.append(f"{NUMBERS[number]}{of_them} {verb} {size}")
        sentences.append(f"In total, {' and '.join(numbers)}.")
        first, last = objects[0], objects[-1]
        sentences.append(
            f"The scene runs from {self._sized(first)} {self._place(first)} "
            f"to {self._sized(last)} {self._place(last)}."
        )
        return " ".join(sentences)

    def ask(self, random, scene):
        """A question and its answer."""
        objects = scene["objects"]
        weights = np.array(list(QUESTION_KINDS.values()), dtype=float)
        kind = random.choice(list(QUESTION_KINDS), p=weights / weights.sum())
        thing = objects[random.integers(len(objects))]
        if kind == "where":
            name = without_article(thing["name"])
            return f"Where is the {name}?", f"The {name} is {self._place(thing)}."
        if kind == "count":
            return "How many objects are there?", f"There are {NUMBERS[len(objects)]} objects."
        if kind == "background":
            answer = f"The background is {scene['background']}."
            return "What color is the background?", answer
        cell = (thing["row"], thing["column"])
        if random.random() < ANY_PLACE:
            cell = tuple(int(number) for number in random.integers(GRID, size=2))
        there = [thing for thing in objects if (thing["row"], thing["column"]) == cell]
        what = self._sized(there[0]) if there else "nothing"
        place = self._places[cell]
        return f"What is {place}?", f"There is {what} {place}."

    def _converse(self, random, scene):
        request = REQUESTS[random.integers(len(REQUESTS))]
        pairs = [(f"<image>\n{request}", self.describe(random, scene))]
        count = random.integers(*QUESTIONS, endpoint=True)
        pairs += [self.ask(random, scene) for _ in range(count)]
        return [
            {"from": speaker, "value": value}
            for pair in pairs
            for speaker, value in zip(("human", "gpt"), pair)
        ]


def load_maker(stamps_folder, vocabulary_path=DATA / "vocabulary.json"):
    vocabulary = json.loads(Path(vocabulary_path).read_text())
    return SceneMaker(Stamps(Path(stamps_folder), vocabulary["names"]), vocabulary)


def add_stamp_options(parser):
    parser.add_argument(
        "--stamps",
        type=Path,
        default=INSTALLED,
        metavar="DIR",
        help=f"the folder of the stamps (default: {INSTALLED})",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help=f"fetch Debian's {PACKAGE} into {CACHE} and use that",
    )


def stamp_folder(arguments):
    return download_stamps() if arguments.download else arguments.stamps


def write_scenes(description, load_maker, make):
    """What a program that makes scenes does: reads the command line and writes a folder of them.

    make(maker, seed, index) returns the picture and what annotations.json says of it beside its id
    and image. Returns the folder and all annotations.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("output", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--count", type=int, default=100, help="how many scenes (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--name", default="scene", help="what ids begin with (default: scene)")
    add_stamp_options(parser)
    arguments = parser.parse_args()
    if arguments.count < 1:
        raise SceneError(f"--count {arguments.count}: at least 1 is needed")
    if arguments.seed < 0:
        raise SceneError(f"--seed {arguments.seed}: must not be negative")
    if arguments.output.exists():
        raise SceneError(f"{arguments.output}: exists already")

    maker = load_maker(stamp_folder(arguments))
    (arguments.output / "images").mkdir(parents=True)
    annotations = []
    for index in range(arguments.count):
        picture, said = make(maker, arguments.seed, index)
        identity = f"{arguments.name}_{index:04d}"
        image = f"images/{identity}.png"
        picture.save(arguments.output / image, optimize=True)
        annotations.append({"id": identity, "image": image} | said)
    text = json.dumps(annotations, indent=1) + "\n"
    (arguments.output / "annotations.json").write_text(text)
    print(f"wrote {arguments.count} scenes to {arguments.output}")
    return arguments.output, annotations


def main():
    def make(maker, seed, index):
        picture, _, scene, conversations = maker.make(seed, index)
        return picture, {"conversations": conversations, "scene": scene}

    write_scenes(__doc__.split("\n\n", 1)[0], load_maker, make)


if __name__ == "__main__":
    try:
        main()
    except SceneError as error:
        sys.exit(f"scenes.py: {error}")
