#!/usr/bin/env python3
"""Trains StampVLM: vision tower, projector and a low-rank update of SmolLM2-135M-Instruct.

It starts from the weights that train.py makes. Three stages, in this order (scripts/stampvlm/README.md says why):
  vision     the tower alone: what each patch shows
  projector  the projector alone: a patch's features to the mean embedding of the words for it, printed
             numbers put apart
  language   projector and low-rank update on conversations; tower and language model frozen

Everything is kept in --work: a checkpoint per stage, written every --save-every steps, from which an
interrupted stage goes on, and --work/parts, which holds what models/stampvlm ships, in the same
form; `assemble.py --parts WORK/parts` makes a Hugging Face directory of it.

Needs requirements.txt. Scene i of a stage is a function of the seed and i, so a run that was
interrupted sees the scenes that an uninterrupted one does.
"""

import argparse
import copy
import math
import os
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent))
from assemble import ROOT, RecipeError  # noqa: E402
from detail_pictures import HEADS, IGNORED, Conversations, Pictures  # noqa: E402
from detail_scenes import load_maker  # noqa: E402
from detail_validation import validate  # noqa: E402
from scenes import SceneError, add_stamp_options, stamp_folder  # noqa: E402
from stampvlm_parts import load_language, load_vision_and_projector, write_parts  # noqa: E402
from stampvlm_words import name_projections  # noqa: E402
from vision_layers import patch_features, projected  # noqa: E402

# Steps, pictures per step and at a time, peak learning rate, AdamW's betas, weight decay.
STAGES = {
    "vision": {
        "steps": 190,
        "batch": 32,
        "at_once": 8,
        "rate": 1e-3,
        "betas": (0.9, 0.95),
        "decay": 0.05,
    },
    "projector": {
        "steps": 120,
        "batch": 8,
        "at_once": 8,
        "rate": 2e-3,
        "betas": (0.9, 0.95),
        "decay": 0.0,
    },
    "language": {
        "steps": 235,
        "batch": 1,
        "at_once": 1,
        "rate": 5e-4,
        "betas": (0.9, 0.98),
        "decay": 0.0,
    },
}
WORDS_SIZE = 0.7  # of what the projector says beside an object's name, as a share of that
NUMBERS_APART = 18.0  # how far from their mean the projector puts printed numbers; names are at 23
NUMBER_BATCHES = 12  # to see where the projector has the numbers
WARM_UP = 15  # steps
PROJECTOR_RATE = 1.5  # in the last stage, times the update's


def schedule(step, steps):
    """The share of the peak rate at a step: a short warm-up, the peak, and over the last fifth a
    straight line down to zero. So a run may be given more steps while it has not reached that."""
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / max(1, steps // 5))


def save_atomically(value, path):
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    os.replace(partial, path)


def train_stage(stage, groups, gradients_of_step, options, saved_too=None):
    """Trains the parameters of a stage or goes on with it, and reports its progress.

    groups: [({name: parameter}, rate factor), ...]. gradients_of_step(step) adds a step's gradients
    to the parameters and returns (loss, text for the progress line). saved_too(step) is called
    after every checkpoint.
    """
    settings = options.stages[stage]
    fixed = {key: value for key, value in settings.items() if key != "steps"}
    fixed["seed"] = options.seed
    path = options.work / f"{stage}.pt"
    optimizer = torch.optim.AdamW(
        [{"params": list(group.values()), "factor": factor} for group, factor in groups],
        lr=settings["rate"],
        betas=settings["betas"],
        weight_decay=settings["decay"],
    )
    parameters = {name: value for group, _ in groups for name, value in group.items()}
    first = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if saved["settings"] != fixed:
            sys.exit(f"train_details.py: {path} was made with other settings; name another --work")
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(saved["parameters"][name])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]

    steps, started = settings["steps"], time.monotonic()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = settings["rate"] * group["factor"] * schedule(step, steps)
        optimizer.zero_grad(set_to_none=True)
        loss, text = gradients_of_step(step)
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        last = step + 1 == steps
        if (step + 1) % options.report_every == 0 or last:
            rate = (step + 1 - first) / (time.monotonic() - started)
            print(
                f"{stage} step {step + 1}/{steps} loss {loss:.4f}{text} "
                f"{1 / rate:.2f} s/step, {(steps - step - 1) / rate / 60:.1f} min left",
                flush=True,
            )
        if (step + 1) % options.save_every == 0 or last:
            save_atomically(
                {
                    "parameters": {name: value.detach() for name, value in parameters.items()},
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                    "settings": fixed,
                },
                path,
            )
            if saved_too:
                saved_too(step + 1)
    if first >= steps:
        print(f"{stage} is done already ({path})")


def train_vision(tower, pictures, options):
    torch.manual_seed(options.seed + 1)
    head = torch.nn.Linear(tower.config.hidden_size, sum(size for size, _, _ in HEADS.values()))
    batch, at_once = options.stages["vision"]["batch"], options.stages["vision"]["at_once"]
    weights = {}
    for name, (classes, _, first) in HEADS.items():
        weights[name] = torch.ones(classes)
        weights[name][0] = first

    def gradients_of_step(step):
        total, right, asked = 0.0, {}, {}
        for first in range(step * batch, (step + 1) * batch, at_once):
            pixels, labels = pictures.labelled_batch(options.seed, first, at_once)
            scores = head(patch_features(tower, pixels).float()).flatten(0, 1)
            loss = 0.0
            for part, (name, (_, weight, _)) in zip(
                scores.split([size for size, _, _ in HEADS.values()], -1), HEADS.items()
            ):
                label = labels[name].flatten()
                loss = loss + weight * functional.cross_entropy(
                    part, label, weights[name], ignore_index=IGNORED
                )
                of_interest = label > 0 if name in ("object", "number") else label != IGNORED
                hits = (part.argmax(-1) == label)[of_interest]
                right[name] = right.get(name, 0) + hits.sum().item()
                asked[name] = asked.get(name, 0) + hits.numel()
            (loss * at_once / batch).backward()
            total += loss.item() * at_once / batch
        shares = (f"{name} {right[name] / max(1, asked[name]):.3f}" for name in HEADS)
        return total, " " + " ".join(shares)

    parameters = dict(tower.named_parameters(prefix="tower"))
    # What comes after the features that the model uses gets no gradient.
    parameters = {name: p for name, p in parameters.items() if "post_layernorm" not in name}
    parameters |= dict(head.named_parameters(prefix="head"))
    train_stage("vision", [(parameters, 1.0)], gradients_of_step, options)


def word_embeddings(words, tokenizer, embeddings):
    """The mean embedding of the tokens of `words`, fp32."""
    return embeddings[tokenizer(f" {words}", add_special_tokens=False)["input_ids"]].float().mean(0)


def number_codes(tokenizer, embeddings):
    """[9, hidden]: what the projector says of a printed number beside the rest, in the directions of
    the digits' embeddings. In the mean of "number 7" a digit is a third of what is said, less than
    the projector's noise, and the language model does not learn to tell numbers apart."""
    digits = torch.stack([word_embeddings(str(d), tokenizer, embeddings) for d in range(1, 10)])
    return NUMBERS_APART * functional.normalize(digits - digits.mean(0))


def refit_numbers(tower, projector, pictures, tokenizer, embeddings, options):
    """Moves the patches of printed numbers apart by number_codes and leaves all others where the
    projector has them: for parts whose language model reads everything but numbers."""
    before = copy.deepcopy(projector)
    codes = number_codes(tokenizer, embeddings)
    batch, seed = options.stages["projector"]["batch"], options.seed + 3

    def looked_at(index):
        pixels, labels = pictures.labelled_batch(seed, index * batch, batch)
        features = patch_features(tower, pixels).flatten(0, 1)
        numbers = labels["number"].flatten()
        return features, projected(before, features).float(), numbers, numbers > 0

    with torch.no_grad():
        sums, counts = torch.zeros(9, codes.shape[1]), torch.zeros(9, 1)
        first = options.stages["projector"]["steps"]
        for index in range(first, first + NUMBER_BATCHES):
            _, outputs, numbers, is_label = looked_at(index)
            sums.index_add_(0, numbers[is_label] - 1, outputs[is_label])
            counts.index_add_(0, numbers[is_label] - 1, torch.ones(int(is_label.sum()), 1))
        means = sums / counts
        moves = codes - (means - means.mean(0))

    def gradients_of_step(step):
        with torch.no_grad():
            features, targets, numbers, is_label = looked_at(step)
            targets[is_label] += moves[numbers[is_label] - 1]
        difference = (projected(projector, features).float() - targets).square().mean(-1)
        loss = (difference[is_label].mean() + difference[~is_label].mean()) / targets.var()
        loss.backward()
        return loss.item(), ""

    parameters = dict(projector.named_parameters(prefix="projector"))
    train_stage("projector", [(parameters, 1.0)], gradients_of_step, options)


def train_projector(tower, projector, pictures, tokenizer, embeddings, options):
    """Regression on what the low-rank update that the next stage starts from reads in a patch's
    place: the first projector's projection of the object, and the words for the rest."""

    def words(texts):
        return torch.stack([word_embeddings(text, tokenizer, embeddings) for text in texts])

    names = name_projections(options.start, stamp_folder(options), pictures.names, pictures.pixels)

    def scaled(texts):
        values = words(texts)
        return values * (WORDS_SIZE * names.std() / values.std())

    # Without articles and prepositions: `in the top left corner`.
    places = scaled([place.split("the ", 1)[1] for place in pictures.places])
    sizes, colours = scaled(["large", "small"]), scaled(pictures.colours)
    digits = scaled([f"number {digit}" for digit in range(1, 10)]).mean(0)
    digits = digits + number_codes(tokenizer, embeddings)
    batch = options.stages["projector"]["batch"]

    def gradients_of_step(step):
        pixels, labels = pictures.labelled_batch(options.seed + 1, step * batch, batch)
        with torch.no_grad():
            features = patch_features(tower, pixels).flatten(0, 1)
            labels = {name: label.flatten() for name, label in labels.items()}
            is_object, is_label = labels["object"] > 0, labels["number"] > 0
            targets = names[labels["object"]]
            targets[is_object] += sizes[labels["size"][is_object]]
            bare = labels["colour"] != IGNORED
            targets[bare] += colours[labels["colour"][bare]]
            targets[is_label] += digits[labels["number"][is_label] - 1]
            targets[is_object | is_label] += places[labels["place"][is_object | is_label]]
        loss = 0.0
        for kind in (is_object, is_label, bare):
            difference = projected(projector, features[kind]).float() - targets[kind]
            loss = loss + difference.square().mean() / targets[kind].var() / 3
        loss.backward()
        return loss.item(), ""

    parameters = dict(projector.named_parameters(prefix="projector"))
    train_stage("projector", [(parameters, 1.0)], gradients_of_step, options)


def answer_scores(model, projector, features, conversation):
    """The scores of a picture's answer tokens, [tokens, vocabulary]."""
    with torch.no_grad():
        before = model.embeddings[conversation.before]
        branches = model.embeddings[conversation.branches]
    picture = projected(projector, features)
    hidden = model(torch.cat([before, picture, branches]), conversation.layout)
    return functional.linear(hidden[conversation.rows], model.embeddings)


def train_language(tower, projector, model, pictures, conversations, options):
    batch = options.stages["language"]["batch"]
    digits = conversations.digits()

    def gradients_of_step(step):
        model.merge()
        description, questions = 0.0, 0.0
        for index in range(step * batch, (step + 1) * batch):
            pixels, pairs = pictures.conversation(options.seed + 2, index)
            conversation = conversations.encode(pairs)
            with torch.no_grad():
                features = patch_features(tower, pixels[None])[0]
            scores = answer_scores(model, projector, features, conversation)
            losses = functional.cross_entropy(scores, conversation.answers, reduction="none")
            losses = losses.float()
            weights = torch.where(torch.isin(conversation.answers, digits), options.digits, 1.0)
            ((losses * weights).sum() / weights.sum() / batch).backward()
            of_description, of_questions = losses.detach().split(
                [conversation.described, len(losses) - conversation.described]
            )
            description += of_description.mean().item() / batch
            questions += of_questions.mean().item() / batch
        return (description + questions) / 2, f" ({description:.4f} {questions:.4f})"

    def scores_of(pixels, conversation):
        features = patch_features(tower, pixels[None])[0]
        return answer_scores(model, projector, features, conversation)

    def write(step):
        model.merge()
        write_parts(tower, projector, model.update(), options.parts, options.work / "parts")
        if step % options.validate_every == 0 or step == options.stages["language"]["steps"]:
            scenes = options.validation_scenes
            print(validate(scores_of, conversations, pictures, scenes), flush=True)

    groups = [
        (dict(projector.named_parameters(prefix="projector")), PROJECTOR_RATE),
        (model.parameters(), 1.0),
    ]
    train_stage("language", groups, gradients_of_step, options, write)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of all that is written")
    parser.add_argument(
        "--parts",
        type=Path,
        default=ROOT / "models" / "stampvlm",
        help="where configuration and tokenizer are (default: models/stampvlm)",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="DIR",
        help="the weights that a fresh training starts from: the parts that train.py wrote",
    )
    parser.add_argument("--base", type=Path, help="SmolLM2's GGUF file, see assemble.py")
    parser.add_argument(
        "--from-parts",
        dest="resume_from",
        type=Path,
        metavar="DIR",
        help="start the language stage from the weights in DIR (models/stampvlm, say) and skip "
        "the other two, but for what --refit-numbers says; give another --seed, so that it sees other scenes",
    )
    parser.add_argument(
        "--refit-numbers",
        action="store_true",
        help="with --from-parts: before the language stage, let the projector put printed numbers as "
        "far apart as names (a fresh training does so from the start)",
    )
    for stage, settings in STAGES.items():
        for key, kind in (("steps", int), ("batch", int), ("at_once", int), ("rate", float)):
            parser.add_argument(
                f"--{stage}-{key.replace('_', '-')}",
                type=kind,
                default=settings[key],
                metavar="N" if kind is int else "X",
                help=f"default: {settings[key]}",
            )
    parser.add_argument(
        "--digits",
        type=float,
        default=1.0,
        metavar="X",
        help="weight of printed numbers in the language stage's loss: they are a few of its tokens, "
        "and the last thing that it learns (default: 1)",
    )
    parser.add_argument("--seed", type=int, default=20, help="default: 20")
    parser.add_argument("--save-every", type=int, default=25, metavar="STEPS")
    parser.add_argument("--report-every", type=int, default=10, metavar="STEPS")
    parser.add_argument(
        "--validate-every",
        type=int,
        default=100,
        metavar="STEPS",
        help="of the language stage, a multiple of --save-every (default: 100)",
    )
    parser.add_argument(
        "--validation-scenes",
        type=int,
        default=20,
        metavar="N",
        help="of the validation split, for what is printed there (default: 20)",
    )
    add_stamp_options(parser)
    options = parser.parse_args()
    options.stages = {stage: dict(settings) for stage, settings in STAGES.items()}
    if (options.start is None) == (options.resume_from is None):
        parser.error("one of --start and --from-parts names the weights to start from")
    if options.refit_numbers and not options.resume_from:
        parser.error("--refit-numbers is of weights that --from-parts names")
    for stage, settings in options.stages.items():
        for key in ("steps", "batch", "at_once", "rate"):
            settings[key] = getattr(options, f"{stage}_{key}")
        if settings["batch"] % settings["at_once"]:
            parser.error(f"--{stage}-batch must be a multiple of --{stage}-at-once")
    return options


def main():
    options = parse_arguments()
    maker = load_maker(stamp_folder(options))
    options.work.mkdir(parents=True, exist_ok=True)
    start = options.resume_from or options.start
    tower, projector = load_vision_and_projector(options.parts, start)
    pictures = Pictures(maker, options.parts, tower.config.patch_size)
    if not options.resume_from:
        train_vision(tower, pictures, options)
    tower.requires_grad_(False)
    model = load_language(options.base, options.parts, start)
    tokenizer = AutoTokenizer.from_pretrained(options.parts)
    if not options.resume_from:
        train_projector(tower, projector, pictures, tokenizer, model.embeddings, options)
    elif options.refit_numbers:
        refit_numbers(tower, projector, pictures, tokenizer, model.embeddings, options)
    conversations = Conversations(tokenizer)
    train_language(tower, projector, model, pictures, conversations, options)
    print(f"wrote {options.work / 'parts'}")


if __name__ == "__main__":
    try:
        main()
    except (SceneError, RecipeError) as error:
        sys.exit(f"train_details.py: {error}")
