"""Detail scenes as StampVLM takes them: pixels, what each patch shows, and conversations."""

import json
from dataclasses import dataclass

import numpy as np
import torch

from detail_scenes import DATA, GLYPHS, GRID, QUESTION_KINDS
from language_layers import Layout

# Of a patch, for it to belong to an object and for it to show a label's number. The second is higher:
# a number is to stand in the few patches where it is printed, not around them too.
COVERED_SHARE, READABLE_SHARE = 0.2, 0.45
IGNORED = -100
SYSTEM = "<|im_start|>system\nYou are a helpful assistant that looks at pictures.<|im_end|>\n"
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

    def _covering(self, owners, count, least):
        """[patches], which of `count` things covers more than `least` of the patch, -1 for none."""
        side = owners.shape[0] // self._patch
        blocks = owners.reshape(side, self._patch, side, self._patch).swapaxes(1, 2)
        blocks = blocks.reshape(side * side, -1)
        shares = np.stack([(blocks == thing).mean(1) for thing in range(count)])
        best = shares.argmax(0)
        return np.where(shares.max(0) > least, best, -1)

    def labels(self, owners, labels, scene):
        """What each patch shows, {name: int64 [patches]}.

        object: 0 or 1 + the index of the object's name. size: 0 for large, 1 for small. number: the
        digit that is printed there, 0 for none. place: the cell of the grid. colour: the index of
        the band's. size and colour are IGNORED where there is no object and no background.
        """
        things = scene["objects"]
        owner = self._covering(owners, len(things), COVERED_SHARE)
        label = self._covering(labels, len(things), READABLE_SHARE)
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


@dataclass
class Conversation:
    """A picture's description and questions as token ids.

    before: ids before the picture. branches: ids after it, of the description and then of every
    question, padded to the same length. rows: of the whole sequence, those whose next token belongs
    to an answer. answers: these tokens. described: how many of them are the description's.
    """

    before: torch.Tensor
    branches: torch.Tensor
    layout: Layout
    rows: torch.Tensor
    answers: torch.Tensor
    described: int


class Conversations:
    """Conversations in the words of chat_template.jinja."""

    def __init__(self, tokenizer, patches=576):
        self._tokenizer = tokenizer
        self._patches = patches
        self._before = self._ids(SYSTEM + "<|im_start|>user\n")
        self._pad = self._ids("<|im_end|>")[0]

    def _ids(self, text):
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def digits(self):
        """The ids of tokens that are a digit."""
        vocabulary = self._tokenizer.get_vocab()
        return torch.tensor([i for token, i in vocabulary.items() if token.strip("Ġ").isdecimal()])

    def offsets(self, text):
        """[(begin, end) of each token]."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return encoded["offset_mapping"]

    def encode(self, pairs):
        """[(request, description), (question, answer), ...] as a Conversation."""
        encoded = []
        for question, answer in pairs:
            asked = self._ids(f"\n{question}<|im_end|>\n<|im_start|>assistant\n")
            encoded.append((asked, self._ids(f"{answer}<|im_end|>")))
        lengths = [len(asked) + len(answer) for asked, answer in encoded]
        short = max(lengths[1:], default=0)
        prefix = len(self._before) + self._patches
        ids, rows, answers = [], [], []
        for (asked, answer), length in zip(encoded, lengths):
            first = prefix + len(ids) + len(asked) - 1
            rows += range(first, first + len(answer))
            answers += answer
            padding = 0 if not ids else short - length
            ids += asked + answer + [self._pad] * padding
        layout = Layout(prefix, lengths[0], short, len(pairs) - 1)
        before, branches, rows, answers = map(torch.tensor, (self._before, ids, rows, answers))
        return Conversation(before, branches, layout, rows, answers, len(encoded[0][1]))


# The heads of the vision stage: classes, weight of the loss, weight of class 0 within it.
HEADS = {
    "object": (99, 1.0, 0.1),
    "size": (2, 0.3, 1.0),
    "number": (1 + len(GLYPHS), 0.5, 0.05),
    "place": (GRID * GRID, 0.2, 1.0),
    "colour": (8, 0.2, 1.0),
}
