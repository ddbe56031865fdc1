"""Makes rouge_pairs.jsonl and stemmer_words.tsv, what the ROUGE metrics are tested against.

Needs rouge_score 0.1.2, rouge 1.0.1 and nltk:  python tests/golden/make_rouge_golden.py
Every line of rouge_pairs.jsonl is one pair of made-up texts with [precision, recall, F] of
  google, stem:  rouge1, rouge2, rouge3, rougeL, rougeLsum of rouge_score (use_stemmer False, True)
  pltrdy:        rouge-1, rouge-2, rouge-3, rouge-l of rouge; null where the package raises ValueError
  multi:         on some lines, score_multi of [this ref, refs of the two lines before] without stemmer
Values are rounded to 12 decimals. Every line of stemmer_words.tsv is a word and its stem by nltk's PorterStemmer.
"""

import json
import pathlib
import random
import sys

from nltk.stem.porter import PorterStemmer
from rouge import Rouge
from rouge_score import rouge_scorer

HERE = pathlib.Path(__file__).parent
PAIRS = 2000
GOOGLE = ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"]
PLTRDY = ["rouge-1", "rouge-2", "rouge-3", "rouge-l"]

NOUNS = """cat dog woman man child street bicycle helmet backpack car background image picture sky cloud tree leaf
house window door table chair kitchen cup bottle plate city bridge river boat harbor mountain valley snow beach wave
umbrella bench park statue clock tower bus train station platform sign light building shop market fruit apple
banana carrot pizza sandwich animal horse sheep cow elephant giraffe zebra bird wing feather geology generalization
operation relation condition nation activity possibility sensitivity happiness hopefulness enjoyment adjustment
news inning outing canning controller description organization government family story baby lady hero""".split()
VERBS = """run walk ride carry wear stand sit look hold play try fly spy enjoy die lie tie agree proceed exceed succeed
use own plan hop hope control travel plaster motor relate conflate trouble size fail file fall hiss fizz tan describe
organize realize appear surround gather display suggest reflect cross park stop show depict""".split()
MODIFIERS = """red blue large small busy happy beautiful quick quickly possible possibly hopeful hopefully radical radically
conditional rational formal electrical different differently vile analogous callous decisive colorful several wooden
sunny rainy generally usefully full fully total totally national nationally sensible visible""".split()
FUNCTION = "the a an is are in on at with of and or there this that it they near behind under next to".split()
ODD = ["3.14", "don't", "café", "naïve", "İstanbul", "300 K", "\u212Aelvin", "—", "…", "x</s>", "</s>", "U.S.", "e.g.",
       "漢字", "слово", "42", "1st", "A", "a.b.c", "\u00a0", "co\u00adoperate", "ﬁne", "\t", "state-of-the-art", "_", "\u2003",
       "😀", "\u0085", "\x1c", "CAPITALS", "MiXeD", "y", "yy", "yyy"]


def inflect(rng, word):
    ending = rng.choice(["", "", "", "s", "es", "ed", "ing", "er", "ly", "ness", "ment", "ation", "ies", "ful"])
    if ending and word.endswith("e") and ending[0] in "aei":
        word = word[:-1]
    if ending and word.endswith("y") and ending in ("es", "ed", "ness", "ly"):
        word = word[:-1] + "i"
    return word + ending


def sentence(rng, words, length):
    picked = [rng.choice(words) for _ in range(length)]
    picked[0] = picked[0].capitalize()
    text = picked[0]
    for word in picked[1:]:
        text += rng.choice([" "] * 12 + [", ", "; ", "  ", "-"]) + word
    return text + rng.choice([".", ".", ".", "!", "?", "", " ."])


def vocabulary(rng, size):
    words = [inflect(rng, rng.choice(rng.choice([NOUNS, VERBS, MODIFIERS]))) for _ in range(size)]
    return words + rng.sample(FUNCTION, min(len(FUNCTION), size // 2))


def text(rng, words, sentences, lengths):
    return "".join(
        sentence(rng, words, rng.randint(*lengths)) + rng.choice([" ", " ", "\n", "\n\n", ""]) for _ in range(sentences)
    ).rstrip(rng.choice(["", " \n"]))


def disturb(rng, original, words):
    """Another wording: some words dropped, repeated, inflected, replaced or swapped."""
    pieces = original.split(" ")
    out = []
    for piece in pieces:
        kind = rng.random()
        if kind < 0.08:
            continue
        if kind < 0.14:
            out.append(rng.choice(words))
        elif kind < 0.20:
            out += [piece, piece]
        elif kind < 0.30:
            out.append(inflect(rng, piece))
        else:
            out.append(piece)
    if out and rng.random() < 0.5:
        i, j = rng.randrange(len(out)), rng.randrange(len(out))
        out[i], out[j] = out[j], out[i]
    return rng.choice([" ", " ", "\n"]).join(out)


def make_pair(rng, index):
    if index % 100 == 0:
        edge = ["", ".", "...", " ", " . ", "\n", "a", "A.", "</s>", "...</s>", "!?", "a. ", "\u00a0.x", "the cat", "x . . x"]
        return rng.choice(edge), rng.choice(edge)
    if index % 10 == 1:  # few distinct words: many ties between longest common subsequences
        few = list("abcd") + [".", "a.", "b\n", "\n"]
        return tuple(" ".join(rng.choice(few) for _ in range(rng.randint(1, 30))) for _ in range(2))
    words = vocabulary(rng, rng.choice([8, 20, 60]))
    if index % 5 == 0:
        words += rng.sample(ODD, 6)
    if index % 40 == 7:
        reference = text(rng, words, rng.randint(15, 40), (6, 20))
    else:
        reference = text(rng, words, rng.randint(1, 4), (1, 14))
    if rng.random() < 0.5:
        candidate = disturb(rng, reference, words)
    else:
        candidate = text(rng, words, rng.randint(1, 5), (1, 14))
    return reference, candidate


def rounded(values):
    return [round(float(value), 12) for value in values]


def google_values(scores):
    return [rounded((scores[k].precision, scores[k].recall, scores[k].fmeasure)) for k in GOOGLE]


def main():
    sys.setrecursionlimit(100000)  # rouge 1.0.1 walks back through its table by recursion
    rng = random.Random(20240726)
    plain = rouge_scorer.RougeScorer(GOOGLE, use_stemmer=False)
    stemmed = rouge_scorer.RougeScorer(GOOGLE, use_stemmer=True)
    pltrdy = Rouge(metrics=PLTRDY)
    references = []
    with open(HERE / "rouge_pairs.jsonl", "w", encoding="utf-8") as out:
        for index in range(PAIRS):
            reference, candidate = make_pair(rng, index)
            references.append(reference)
            line = {"ref": reference, "hyp": candidate,
                    "google": google_values(plain.score(reference, candidate)),
                    "stem": google_values(stemmed.score(reference, candidate))}
            try:
                scores = pltrdy.get_scores(candidate, reference)[0]
                line["pltrdy"] = [rounded((scores[k]["p"], scores[k]["r"], scores[k]["f"])) for k in PLTRDY]
            except ValueError:
                line["pltrdy"] = None
            if index % 20 == 3:
                line["multi"] = google_values(plain.score_multi([reference, *references[-2:-4:-1]], candidate))
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")

    words = {inflected for base in NOUNS + VERBS + MODIFIERS
             for ending in ["", "s", "es", "ed", "ing", "ies", "ied", "er", "ly", "ness", "y", "ally", "fully", "logy",
                            "ization", "ability", "iveness", "ement", "ational"]
             for inflected in [base + ending]}
    letters = "aeiouybcdlstzwx" * 3 + "fghjkmnpqrv" + "07"
    endings = ["", "s", "sses", "ies", "ied", "eed", "ed", "ing", "y", "ational", "tional", "enci", "anci", "izer", "bli", "abli",
               "alli", "ationalli", "entli", "eli", "ousli", "ization", "ation", "ator", "alism", "iveness", "fulness",
               "ousness", "aliti", "iviti", "biliti", "fulli", "logi", "icate", "ative", "alize", "iciti", "ical", "ful",
               "ness", "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ion",
               "ou", "ism", "ate", "iti", "ous", "ive", "ize", "e", "ll", "lle", "atting", "bling", "izing", "tted", "lled"]
    for _ in range(4000):
        stem = "".join(rng.choice(letters) for _ in range(rng.randint(0, 6)))
        words.add(stem + rng.choice(endings))
    words |= set("""sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed
        possibly geology using owed running images people agreed happy eying feed sing bled say spied died flies tied""".split())
    words.discard("")
    stemmer = PorterStemmer()
    with open(HERE / "stemmer_words.tsv", "w", encoding="utf-8") as out:
        for word in sorted(words):
            out.write(f"{word}\t{stemmer.stem(word)}\n")


if __name__ == "__main__":
    main()
