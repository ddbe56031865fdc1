#!/usr/bin/env python3
"""What a model's descriptions of detail scenes and answers about them have right, over a split.

As a command it scores what `elastikv sweep configs/stampvlm/sight.yaml` wrote, which is several times
as fast as evaluate.py and needs no more than numpy and pillow:

    scripts/stampvlm/detail_figures.py results/sight/predictions/stampvlm-bf16__test__full.jsonl
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from detail_answers import decisive, score_description  # noqa: E402
from detail_scenes import DATA, QUESTION_KINDS  # noqa: E402


def share(right, of):
    return {"right": right, "of": of, "share": round(right / of, 4) if of else None}


def print_shares(shares):
    for name, value in shares.items():
        print(f"{name:40} {value['right']:4} of {value['of']:4}  {value['share']}")


class DetailFigures:
    """Counts over scenes, each with its description and its answers."""

    def __init__(self):
        self._kinds = {kind: [0, 0] for kind in QUESTION_KINDS}
        self._total = {}

    def add(self, scene, description, answers):
        """Counts a scene of annotations.json. Returns the texts, and which answers are right."""
        for name, value in score_description(description, scene["scene"]).items():
            self._total[name] = self._total.get(name, 0) + value
        turns = [turn["value"] for turn in scene["conversations"][2:]]
        result = {"id": scene["id"], "description": description, "questions": []}
        asked_kinds = scene["scene"]["question_kinds"]
        for kind, question, truth, answer in zip(asked_kinds, turns[::2], turns[1::2], answers, strict=True):
            right = decisive(kind, answer) == decisive(kind, truth)
            self._kinds[kind][0] += right
            self._kinds[kind][1] += 1
            result["questions"].append(
                {"kind": kind, "question": question, "truth": truth, "answer": answer, "right": right}
            )
        return result

    def shares(self):
        """{what: {right, of, share}}"""
        total, kinds = self._total, self._kinds
        shares = {
            "objects named": share(total["named"], total["objects"]),
            "of these in their place": share(total["placed"], total["named"]),
            "of these with their size": share(total["sized"], total["named"]),
            "of these with their number or none": share(total["numbered"], total["named"]),
            "printed numbers said of their objects": share(total["labels_read"], total["labels"]),
            "named but not there": share(total["invented"], total["objects"]),
            "questions": share(sum(r for r, _ in kinds.values()), sum(n for _, n in kinds.values())),
        }
        return shares | {f"questions, {kind}": share(*counts) for kind, counts in kinds.items()}


def main():
    parser = argparse.ArgumentParser(
        description="Scores texts that a sweep wrote about every turn of a split of detail scenes."
    )
    parser.add_argument("predictions", type=Path, help="JSON lines with id (SCENE#TURN) and candidate")
    parser.add_argument("--split", default="test", help="default: test")
    arguments = parser.parse_args()
    lines = arguments.predictions.read_text().splitlines()
    texts = {line["id"]: line["candidate"] for line in map(json.loads, lines)}
    figures = DetailFigures()
    for scene in json.loads((DATA / arguments.split / "annotations.json").read_text()):
        turns = range(1, len(scene["conversations"]) // 2 + 1)
        missing = [turn for turn in turns if f"{scene['id']}#{turn}" not in texts]
        if missing:
            sys.exit(f"error: {arguments.predictions} lacks {scene['id']}#{missing[0]}")
        description, *answers = (texts[f"{scene['id']}#{turn}"] for turn in turns)
        figures.add(scene, description, answers)
    print_shares(figures.shares())


if __name__ == "__main__":
    main()
