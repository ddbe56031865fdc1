"""The rules of benchmarks of long inputs, written after their published definitions.

None of them is a package on PyPI (what they call is: rouge, rouge_score, nltk and fuzzywuzzy are taken as they are), so
each is spelt out here, and names the file and the commit of the repository that defines it. A rule that ends with an
exception there scores 0 here.
"""

import json
import re
import string
import warnings
from collections import Counter

from nltk.translate.bleu_score import sentence_bleu
from rouge import Rouge
from rouge_score import rouge_scorer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that python-Levenshtein is not there, whose ratio would be another
    from fuzzywuzzy import fuzz

ASCII_MARKS = set(string.punctuation)
CHINESE_MARKS = set(
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏."
)


# RULER: scripts/eval/evaluate.py (how a text is read) and scripts/eval/synthetic/constants.py (the two scores), read in
# xuuHuang/RULER at fa17be2774a7d80158336160661df7c067bb77d5.
def ruler_text(text):
    return re.sub("[\x00-\x1f]", "\n", text.strip()).strip()


def ruler_hits(text, answers):
    said = ruler_text(text).lower()
    return [float(answer.lower() in said) for answer in answers]


def string_match_all(text, answers):
    hits = ruler_hits(text, answers)
    return sum(hits) / len(hits)


def string_match_part(text, answers):
    return max(ruler_hits(text, answers))


# LongBench: metrics.py at f6227eb7a25cacbd96310aea2c59af003f8d8925 and LongBench/eval.py at
# 072a5a739b05ab3c98ff1ea922c5293ebe317b75 of THUDM/LongBench.
def best_of(score):
    return lambda text, answers, *rest: max([0.0] + [score(text, answer, *rest) for answer in answers])


def first_line(text):
    return text.lstrip("\n").split("\n")[0]


def answer_words(text):
    plain = "".join(character for character in text.lower() if character not in ASCII_MARKS)
    return re.sub(r"\b(?:the|an|a)\b", " ", plain).split()


def answer_characters(text):
    plain = (character for character in text.lower() if character not in ASCII_MARKS | CHINESE_MARKS)
    return list("".join("".join(plain).split()))


def bag_f1(said, expected):
    shared = sum((Counter(said) & Counter(expected)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(said), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


@best_of
def qa_f1(text, answer):
    return bag_f1(answer_words(text), answer_words(answer))


@best_of
def qa_f1_characters(text, answer):  # InfiniteBench's, src/compute_scores.py
    return bag_f1(answer_characters(text), answer_characters(answer))


def rouge_of(text, answer, kind, value):
    try:
        return Rouge().get_scores([text], [answer])[0][kind][value]
    except ValueError:  # a text without words
        return 0.0


@best_of
def rouge_l_longbench(text, answer):
    return rouge_of(text, answer, "rouge-l", "f")


@best_of
def classification(text, answer, classes):
    line = first_line(text)
    named = [name for name in classes if name in line]
    for name in named:  # which becomes shorter meanwhile: that is part of the rule
        if name != answer and name in answer:
            named.remove(name)
    return 1 / len(named) if answer in named else 0.0


def right_numbers(text, right):
    numbers = re.findall(r"\d+", text)
    return numbers.count(right) / len(numbers) if numbers else 0.0


@best_of
def counting(text, answer):
    return right_numbers(text, answer)


@best_of
def retrieval(text, answer, word):
    return right_numbers(text, re.search(word + r"(\d+)", answer).group(1))


@best_of
def code_similarity(text, answer):
    lines = text.lstrip("\n").split("\n")
    code = [line for line in lines if not any(mark in line for mark in ("`", "#", "//"))]
    return fuzz.ratio(code[0] if code else "", answer) / 100


# LongBench v2: pred.py of the same repository since it has v2 (extract_answer); the answer is compared as it is.
def letter_longbench_v2(text):
    plain = text.strip().replace("*", "")
    for pattern in (r"The correct answer is \(([ABCD])\)", "The correct answer is ([ABCD])"):
        found = re.search(pattern, plain)
        if found:
            return found.group(1)
    return None


# InfiniteBench: src/compute_scores.py of OpenBMB/InfiniteBench at 0ce4c9764cb618cc8226796c410b55e75b38f642.
def without(text, marks):
    for mark in marks:
        text = text.replace(mark, " ")
    return text


MARKS = list("\n:\"'.,?!{}")


def infinite_value(text, answers):
    return float(answers[0] in without(text, MARKS).split())


def infinite_number(text, answers):
    numbers = re.findall("[0-9]+", text)
    return float((numbers[0] if numbers else "") == answers[0])


def infinite_dialogue(text, answers):
    return float(answers[0] in [word.upper() for word in without(text, MARKS).split()])


def infinite_code_run(text, answers):
    words = without(text.strip(), list("\n.`'\":")).split()
    try:
        return float(bool(words) and int(words[-1]) == int(answers[0]))
    except ValueError:
        return 0.0


def announced(text, prefixes):
    """What follows the first prefix that is there but one character; None where none is there."""
    for prefix in prefixes:
        at = text.find(prefix)
        if at >= 0:
            return text[at + len(prefix) + 1 :]
    return None


def single_spaced(text):
    return re.sub(" +", " ", text)


def infinite_code_debug(text, option, letter):
    if text[:2] in (letter + ".", letter + ":"):
        return 1.0
    said = single_spaced(without(text.strip(), ["\n", "`", "'", '"', "-", "*", "Option", "option"]))
    rest = announced(said, ("answer is:", "is:", "answer:"))
    return float(rest is not None and rest.startswith((letter, option)))


def choice_behind(text, option, letter):
    said = single_spaced(without(text, list("\n\"'.,?!{}")))
    rest = announced(said, ("answer is:", "answer:", "answer is", "option is"))
    if rest is not None:
        return float(rest.startswith((option, letter)))
    for word in said.split():
        if word in "ABCD":
            return float(word in (option, letter))
    return 0.0


def infinite_choice(text, option, letter):
    if not text:
        return 0.0
    return float(text[0] in (option, letter)) if text[0] in "ABCD" else choice_behind(text, option, letter)


def math_find(text, answers, cut):
    answer = answers[0]
    found = re.search(r"\d+\.\d+|\d+", text)
    if not found:
        return 0.0
    if "." in answer:
        return float(float(found.group()) == float(answer))
    try:
        return float(int(float(found.group()) if cut else found.group()) == int(answer))
    except ValueError:
        return 0.0


def math_calc(text, answers):
    right = 0
    for said, answer in zip(re.findall("[0-9]+", text), answers):
        if int(said) != int(answer):
            break
        right += 1
    return right / len(answers)


def infinite_summary(text, answers):
    return rouge_scorer.RougeScorer(["rougeLsum"]).score(answers[0], text)["rougeLsum"].fmeasure


# SCBench: scbench/compute_scores.py of microsoft/MInference at 9987de63106b9d416cb7b5318b270cfff2427072.
def scbench_value(text, answers):
    return float(answers[0] in text)


def scbench_any(text, answers):
    return float(any(answer.upper() in text.strip().upper() for answer in answers))


def scbench_all(text, answers):
    return round(sum(answer.lower() in text.lower() for answer in answers) / len(answers), 2)


def scbench_choice(text, option, letter):
    text = text.strip()
    if not text:
        return 0.0
    if text[0] in "ABCD":
        return float(text[0] in (option, letter))
    return 1.0 if text in (option, letter) else choice_behind(text, option, letter)


# LooGLE: Evaluation/automatic_metrics.py at 6734382215bea3a63f055ffd7873b2967b6a2477 and automatic_eval.py at
# d3c81ae0a3e8c7c91ba74a700fd42fbca2a1acac of bigai-nlco/LooGLE.
def loogle_bleu(size):
    weights = tuple(float(n + 1 == size) for n in range(4))

    @best_of
    def score(text, answer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sentence_bleu([answer.split()], (text or "None").split(), weights=weights)

    return score


def loogle_rouge(kind):
    return best_of(lambda text, answer: rouge_of(text or "None", answer, kind, "r"))


def filled_blanks(text, answers, exact):
    try:
        said = eval(text or "None", {"__builtins__": {}})  # the rule itself; the texts are our own
    except Exception:
        return 0
    if not isinstance(said, dict):
        return 0
    pairs = [(said[f"<mask-{i}>"], answer) for i, answer in enumerate(answers) if f"<mask-{i}>" in said]
    return sum(text == answer if exact else bool(set(text.split()) & set(answer.split())) for text, answer in pairs)


# MM-NIAH: calculate_scores.py at 7bca1e7523fd92cb97c000a6b5cc60e63716ceab and utils/tools.py at
# 2fd03ddcf0fa9f028963af3de1eea3b538a4314a of OpenGVLab/MM-NIAH. Contractions are those of the VQA evaluation, which are
# in lmms_eval's processor as well.
NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
} | dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), map(str, range(20, 100, 10))))


def without_marks(text):
    grouped = re.search(r"\d,\d", text) is not None
    plain = text
    for mark in ";/[]\"{}()=+\\_-><@`,?!":
        vanishes = grouped or mark + " " in text or " " + mark in text
        plain = plain.replace(mark, "" if vanishes else " ")
    # What was meant as a flag is how many periods go.
    return re.sub(r"\.(?!\d)", "", plain, count=int(re.UNICODE))


def on_one_line(text):
    return text.replace("\n", " ").replace("\t", " ").strip()


def niah_words(text, contractions):
    words = (NUMBERS.get(word, word) for word in without_marks(on_one_line(text)).lower().split())
    return " ".join(contractions.get(word, word) for word in words if word not in ("a", "an", "the"))


def niah_answer(text, answer, contractions):
    said, wanted = niah_words(text.strip("."), contractions), niah_words(answer, contractions)
    return float(re.search(r"\b" + re.escape(wanted) + r"\b", said) is not None)


def niah_choice(text, place):
    said = text.strip(".")
    if said.isdigit():
        try:
            return float(int(said) == place)
        except ValueError:
            return 0.0
    said = said.lower().replace("the answer is", "").replace("*", "")
    if "." in said:
        said = said.split(".")[0].replace(",", "")
    said = said.strip()
    for direction, letter in (("left", "a"), ("right", "b")):
        if "the camera is moving " + direction in said:
            said = letter
            break
    return float(said == chr(ord("a") + place))


def niah_counts(text, counts):
    try:
        said = json.loads(text.strip(".").replace("json", "").replace("```", "").strip())
        if isinstance(said, dict):
            said = [count for image in said.values() for count in list.__iter__(image)]
    except (ValueError, TypeError):
        return 0.0
    if not isinstance(said, list):
        return 0.0
    return sum(a == b for a, b in zip(said, counts)) / len(counts)


# MileBench: evaluate.py of MileBench/MileBench at 730e9305753e817d2548896a5a10178e627fa821.
def mile_text(text):
    return without_marks(on_one_line(text)).strip("'").strip('"').strip().lower()


def mile_letters(text, options):
    """`options`: their texts by letter, in order. Texts are read already."""
    if not text:
        return "C"

    def pattern(option):
        return "".join("\\" + one if one in "\\.^$*+?{}[]|()" else one for one in mile_text(option))

    lettered = re.search("|".join(pattern(f"{letter} {option}") for letter, option in options.items()), text)
    if lettered:
        return lettered.group()[0].upper()
    bare = {letter: pattern(option).replace(" ", "") for letter, option in options.items()}
    found = re.search("|".join(bare.values()), text.replace(" ", ""))
    if found:
        for letter, option in bare.items():
            if found.group().strip() == option:
                return letter
    return "".join(one.upper() for one in text if one.upper() in options)


def mile_choice(text, answer, options):
    options = [mile_text(option) for option in options]
    said = mile_letters(mile_text(text), {chr(ord("A") + i): option for i, option in enumerate(options)})
    return float(said == chr(ord("A") + options.index(mile_text(answer))))


@best_of
def mile_rouge(text, answer):
    return rouge_of(mile_text(text), mile_text(answer), "rouge-l", "f")


def mile_needle(text, answers):
    return float(mile_text(answers[0]) in mile_text(text).split())


def mile_contains(text, answers):
    return float(mile_text(answers[0]) in mile_text(text))
