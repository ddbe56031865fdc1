"""Makes rouge_scripts.jsonl, what ROUGE with other words and sentences than rouge_score's own is tested against.

Needs rouge_score 0.1.2:  python tests/golden/make_rouge_scripts_golden.py
The scores are rouge_score's with a tokenizer that this file writes out by itself, from Python's unicodedata. Every line is one
pair of made-up texts with [precision, recall, F] of rouge1, rouge2, rougeL and rougeLsum for the words `characters` and `unicode`,
and of rougeLsum alone with the texts split into sentences for those and for the package's own (`google-marks`, `unicode-marks`).
"""

import json
import pathlib
import random
import re
import unicodedata

from rouge_score import rouge_scorer, tokenizers

HERE = pathlib.Path(__file__).parent
PAIRS = 600
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]

PIECES = """the cat Sat on a mat A dog ran Äpfel über Straße café naïve İstanbul ΟΔΟΣ слово Привет дом שלום بيت हिन्दी बिल्ली ไทย แมวดำ ລາວ
ខ្មែរ မြန်မာ 一只 红色的猫 坐在 桌子上 犬 ひらがな カタカナ ｶﾅ 한국어 고양이 3.14 42 ٣ x² don't e\u0301te\u0301 ﬁne 😀 — …""".split()
ENDS = [". ", "! ", "? ", ".\n", "\n", "。", "！", "？」", "... ", '." ', ".) ", ".", "… ", ", ", "、", " "]

SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3040-\u30ff"
                       "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f"
                       "\U0001b000-\U0001b16f\U00020000-\U0003ffff]")


class Words(tokenizers.Tokenizer):
    def __init__(self, characters):
        self.characters = characters

    def tokenize(self, text):
        # Character by character, so that a sigma at a word's end is as any other.
        text = "".join(c.lower() for c in unicodedata.normalize("NFC", text))
        counted = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text)
        words = []
        for run in counted.split():
            if self.characters:
                words += run
            else:
                words += [w for w in re.split(f"({SPACELESS.pattern})", run) if w]
        return words


def sentences(text):
    """A line end behind each sentence."""
    closing = "[\"'”’»)\\]」』）】]*"
    text = re.sub(f"([.!?…。！？｡]*[。！？｡][.!?…。！？｡]*{closing})", "\\1\n", text)
    return re.sub(f"(?<![.!?…。！？｡])([.!?…]+{closing})(?=\\s)", "\\1\n", text)


def text(rng):
    pieces = [rng.choice(PIECES) + rng.choice(ENDS + [" "] * 20 + [""] * 10) for _ in range(rng.randint(0, 25))]
    return "".join(pieces)


def disturbed(rng, original):
    parts = re.split("( )", original)
    rng.shuffle(parts) if rng.random() < 0.3 else None
    return "".join(part for part in parts if rng.random() > 0.15) + (text(rng) if rng.random() < 0.3 else "")


def values(scorer, reference, candidate, types=TYPES):
    scores = scorer.score(reference, candidate)
    return [[round(float(x), 12) for x in (scores[t].precision, scores[t].recall, scores[t].fmeasure)] for t in types]


def main():
    rng = random.Random(20261128)
    scorers = {name: rouge_scorer.RougeScorer(TYPES, tokenizer=Words(name == "characters")) for name in ("characters", "unicode")}
    google = rouge_scorer.RougeScorer(TYPES)
    with open(HERE / "rouge_scripts.jsonl", "w", encoding="utf-8") as out:
        for _ in range(PAIRS):
            reference = text(rng)
            candidate = disturbed(rng, reference) if rng.random() < 0.7 else text(rng)
            line = {"ref": reference, "hyp": candidate}
            line.update({name: values(scorer, reference, candidate) for name, scorer in scorers.items()})
            split = sentences(reference), sentences(candidate)
            line["google-marks"] = values(google, *split, ["rougeLsum"])
            line["unicode-marks"] = values(scorers["unicode"], *split, ["rougeLsum"])
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
