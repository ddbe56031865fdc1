"""Detail scenes as StampVLM-2 takes them: pixels, what each patch shows, and conversations."""

import json

import numpy as np
import torch

from detail_scenes import DATA, GLYPHS, GRID, QUESTION_KINDS

COVERED_SHARE = 0.2  # of a patch, for it to belong to an object or to show a label's number
IGNORED = -100
QUESTIONS = 14  # about a picture in training, beside its description


class Pictures:
    """Scenes by seed and index, in the form that a stage of the training needs."""

    def __init__(self, maker, parts, patch):
        processor = json.loads((parts / "preprocessor_config.json").read_text())
        self._maker = maker
        self._mean = np.array(processor["image_mean"], dtype=np.float32)
        self._std = np.array(processor["image_std"], dtype=np.float32)
        self._patch = patch
        vocabulary = json.loads((DATA / "vocabulary.json").read_text())
        self.names = vocabulary["names"]
        self.colours = list(vocabulary["backgrounds"])
        self.places = list(vocabulary["grid_positions"].values())  # in row-major order
        self._name_number = {name: number for number, name in enumerate(self.names, start=1)}

    def pixels(self, picture):
        """[3, size, size]; scenes have the model's size, so there is nothing to resize."""
        values = (np.asarray(picture, dtype=np.float32) / 255 - self._mean) / self._std
        return torch.from_numpy(values.transpose(2, 0, 1).copy())

    def _covering(self, owners, count):
        """[patches], which of `count` things covers the patch, -1 for none."""
        side = owners.shape[0] // self._patch
        blocks = owners.reshape(side, self._patch, side, self._patch).swapaxes(1, 2)
        blocks = blocks.reshape(side * side, -1)
        shares = np.stack([(blocks == thing).mean(1) for thing in range(count)])
        best = shares.argmax(0)
        return np.where(shares.max(0) > COVERED_SHARE, best, -1)

    def labels(self, owners, labels, scene):
        """What each patch shows, {name: int64 [patches]}.

        object: 0 or 1 + the index of the object's name. size: 0 for large, 1 for small. number: the
        digit that is printed there, 0 for none. place: the cell of the grid. colour: the index of
        the band's. size and colour are IGNORED where there is no object and no background.
        """
        things = scene["objects"]
        owner = self._covering(owners, len(things))
        label = self._covering(labels, len(things))
        # Index -1 reads the last entry.
        names = np.array([self._name_number[thing["name"]] for thing in things] + [0])
        sizes = np.array([int(thing["size"] == "small") for thing in things] + [IGNORED])
        digits = np.array([thing["number"] or 0 for thing in things] + [0])
        side = owners.shape[0] // self._patch
        row, column = np.divmod(np.arange(side * side), side)
        row, column = row * GRID // side, column * GRID // side
        colours = np.array([self.colours.index(colour) for colour in scene["backgrounds"]])
        bare = (owner < 0) & (label < 0)
        values = {
            "object": names[owner],
            "size": sizes[owner],
            "number": digits[label],
            "place": row * GRID + column,
            "colour": np.where(bare, colours[row], IGNORED),
        }
        return {name: torch.from_numpy(value.astype(np.int64)) for name, value in values.items()}

    def labelled_batch(self, seed, first, count):
        """Pixels [count, 3, size, size] and labels {name: [count, patches]} of scenes first, ..."""
        pixels, labels = [], []
        for index in range(first, first + count):
            picture, owners, printed, scene = self._maker.make(seed, index)
            pixels.append(self.pixels(picture))
            labels.append(self.labels(owners, printed, scene))
        return torch.stack(pixels), {
            name: torch.stack([label[name] for label in labels]) for name in labels[0]
        }

    def conversation(self, seed, index):
        """Pixels, and [(question, answer), ...]: the description first, then QUESTIONS others."""
        picture, _, _, scene = self._maker.make(seed, index)
        random = np.random.default_rng([seed, index, 2])
        weights = np.array(list(QUESTION_KINDS.values()), dtype=float)
        kinds = random.choice(list(QUESTION_KINDS), QUESTIONS, p=weights / weights.sum())
        pairs = [self._maker.describe(random, scene)]
        pairs += [self._maker.ask(random, scene, str(kind)) for kind in kinds]
        return self.pixels(picture), pairs


# The heads of the vision stage: classes, weight of the loss, weight of class 0 within it.
HEADS = {
    "object": (99, 1.0, 0.1),
    "size": (2, 0.3, 1.0),
    "number": (1 + len(GLYPHS), 0.5, 0.05),
    "place": (GRID * GRID, 0.2, 1.0),
    "colour": (8, 0.2, 1.0),
}
