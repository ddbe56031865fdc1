"""Made-up answers for the metrics of long inputs: hard ones by hand, and random ones from a seed."""

import random

from task_cases import CHOICE_FORMS, HARD_TEXTS, MARKS, VOCABULARY, WHITE, spoilt, words

NAMES = "ALICE BOB the-queen Carol Ann-Marie O'Neil 白兔 Ångström İsmail mr. smith".split()
CONTROLS = ["\x00", "\x07", "\x1f", "\r", "\x0b", "\x85", "\x7f"]
CHINESE = "兔子。先生，「你好」！三个 问题…－–一二１２３、〃 A b。".strip()


def chinese(random_):
    return "".join(random_.choice(CHINESE) for _ in range(random_.randint(0, 12)))


def word_cases(seed, count):
    """(text, answers)"""
    random_ = random.Random(seed)
    cases = [(text, [answer]) for text, answer in HARD_TEXTS if answer]
    cases += [(text + "x" + text, ["x"]) for text in CONTROLS]
    cases += [("", ["a"]), ("None", ["None"]), ("...", ["a."]), ("a the an", ["the"]), ("the_cat", ["the cat"])]
    cases += [("a\u0301 cat", ["cat"]), ("²a a²", ["a²"]), ("\n\n\nfirst line\nsecond", ["first line"]), ("\n", ["x"])]
    while len(cases) < count:
        kind = random_.random()
        if kind < 0.15:
            answers = [chinese(random_) or "三" for _ in range(random_.choice((1, 2)))]
            text = random_.choice((answers[0] + chinese(random_), chinese(random_) + answers[-1], chinese(random_)))
        elif kind < 0.3:
            answers = [random_.choice(NAMES).upper()]
            text = random_.choice(MARKS).join((words(random_, 0, 2), random_.choice(answers + NAMES), words(random_, 0, 2)))
        else:
            answers = [words(random_, 1, random_.choice((1, 2, 8))) for _ in range(random_.choice((1, 1, 2, 4)))]
            parts = [spoilt(random_, random_.choice(answers)) for _ in range(random_.choice((1, 1, 2)))]
            text = random_.choice((" ", ". ", "\n", ", ", random_.choice(CONTROLS))).join([*parts, words(random_, 0, 5)])
        if random_.random() < 0.05:
            answers = answers + answers[:1]
        cases.append((text, answers))
    return cases


def class_cases(seed, count):
    """(text, answers, classes)"""
    random_ = random.Random(seed)
    cases = [("", ["Food"], ["Food", "Fo"]), ("Food", ["Food"], ["Fo", "F", "Food", "o"]), ("x\nFood", ["Food"], ["Food"])]
    pieces = ["Human", "Human individual", "individual", "Food", "Food and drink", "drink", "Date", "a", "an", "Definition",
              "of something", "Definition of something", "体育", "体育新闻"]
    while len(cases) < count:
        classes = random_.sample(pieces, random_.randint(2, len(pieces)))
        answers = random_.sample(classes, random_.choice((1, 1, 2)))
        text = " ".join(random_.choice(classes + answers) for _ in range(random_.randint(0, 4)))
        text = random_.choice(("", "\n", "\n\n", "Type: ", "x\n")) + text + random_.choice(("", "\n" + answers[0], "."))
        cases.append((text, answers, classes))
    return cases


def number_cases(seed, count):
    """(text, number): the number as its data set has it."""
    random_ = random.Random(seed)
    forms = ["{n}", "{n}.", "Paragraph {n}", "段落{n}", "{n} {m}", "the key is {n}, not {m}", "{m}", "`{n}`", "return {n}\n",
             "-{n}", "+{n}", "{n}.0", "0{n}", "{n}_0", "1_{n}", "{n},{m}", "x{n}y", "{n}\u3000", "--{n}", "{n}e2", "{n}:",
             "no number", "", "٣ {n}", "{n}٣", "５{n}", "²{n}", "{n}²", "{n} . 5", ".{n}", "{n}..5", "'{n}'", "{n} -"]
    cases = []
    while len(cases) < count:
        right, other = (str(random_.choice((0, 1, 2, 3, 5, 12, 30, 71432, 10**18, random_.randrange(10**7)))) for _ in "ab")
        if random_.random() < 0.25:
            right += random_.choice((".5", ".0", ".25"))
        text = random_.choice(forms).format(n=right, m=other)
        if random_.random() < 0.3:
            text += random_.choice((" ", "\n", ", ")) + random_.choice(forms).format(n=other, m=right)
        cases.append((text, right))
    return cases


def value_cases(seed, count):
    """(text, values): what an expression gives step by step."""
    random_ = random.Random(seed)
    cases = [("", ["1"]), ("[01, 2]", ["1", "2"]), ("1", ["1", "1"]), ("٣", ["3"])]
    while len(cases) < count:
        values = [str(random_.randrange(100)) for _ in range(random_.randint(1, 6))]
        said = list(values)
        if random_.random() < 0.6:
            said[random_.randrange(len(said))] = str(random_.randrange(100))
        said = said[: random_.randint(0, len(said))] + [str(random_.randrange(9))] * random_.choice((0, 0, 1))
        text = random_.choice((", ", " ", "; ", " -> ")).join(said)
        cases.append((random_.choice(("[{}]", "{}", "Values: {}", "{}.")).format(text), values))
    return cases


def code_cases(seed, count):
    """(text, answers)"""
    random_ = random.Random(seed)
    lines = ["return self.x", "for i in range(10):", "    int a = b[3];", "x += 1  # add", "// note", "```python", "", "}",
             "def f(a, b=None):", "print('a' * 3)", "if (a && b) { return; }", "日本 = '語'", "a" * 210, "ab" * 120 + "c" * 30,
             "import os, sys, re, json", "return [x for x in xs if x not in seen]  ", "\t\treturn null;"]
    cases = [("", [""]), ("", ["x"]), ("x", [""]), ("\n\n", [""]), ("# only\n// comments\n```", ["x"])]
    while len(cases) < count:
        answer = random_.choice(lines) or "x"
        said = [random_.choice(lines) for _ in range(random_.choice((0, 0, 1, 2)))] + [spoilt(random_, answer)]
        if random_.random() < 0.3:
            said += [random_.choice(lines)]
        if random_.random() < 0.15:
            long = "".join(random_.choice("abcdefgh ()=") for _ in range(random_.randint(150, 320)))
            answer, said = long, [spoilt(random_, spoilt(random_, long))]
        cases.append((random_.choice(("", "\n", "\n\n")) + "\n".join(said), [answer]))
    return cases


OPTION_FORMS = CHOICE_FORMS + [
    "The correct answer is ({l})", "The correct answer is {l}", "**The correct answer is** ({l}).", "The correct answer is: {l}",
    "The correct answer is ({k}. The correct answer is {l}", "the correct answer is ({l})", "The correct answer is (E)",
    "The correct answer is  {l}", "The correct answer is ({l}) The correct answer is ({k})", "answer is:{l}", "answer is: {l}",
    "answer is: {t}", "answer: {l}", "is: {t}", "option is {l}", "the answer is {t}", "answer is", "answer is:", "answer is: ",
    "Option {l}: {t}", "the answer is: Option {l}", "- {l}", "{l}: {t}", "{t}\n{l}", "AB", "so AB or {l}", "{i}", "{i}.", "..{i}..",
    "The camera is moving left", "the camera is moving right.", "The answer is **{m}**", "{m}, because", "{m}. because",
    "the answer is {m}, {t}. no", "none", "{l} {t} and {k} {o}", "{t}{o}", "é{t}", "{m} {t}", "{l}{t}",
]


def option_cases(seed, count):
    """(text, options, place of the right one)"""
    random_ = random.Random(seed)
    cases = [(text, ["red", "blue", "green", "a dog"], place) for text in WHITE + ["", ".", "c", "C"] for place in (0, 2)]
    while len(cases) < count:
        options = [words(random_, 1, random_.choice((1, 1, 2, 4))) for _ in range(4)]
        options = [option if option.strip(" .,?!") else "x" + option for option in options]
        if random_.random() < 0.1:
            options[0] = random_.choice(("3.5", "a.b", "x*y", "B", "$5", "a", "it's", "left"))
        right, said, other = (random_.randrange(4) for _ in "abc")
        text = random_.choice(OPTION_FORMS).format(
            l="ABCD"[said], k="ABCD"[other], m="abcd"[said], t=options[said], o=options[other], i=said
        )
        if random_.random() < 0.2:
            text = spoilt(random_, text)
        if random_.random() < 0.1:
            text += random_.choice((" ", "\n", ". ")) + random_.choice(OPTION_FORMS).format(
                l="ABCD"[other], k="ABCD"[said], m="abcd"[other], t=options[other], o=options[said], i=other
            )
        cases.append((text, options, right))
    return cases


def cloze_cases(seed, count):
    """(text, answers)"""
    random_ = random.Random(seed)
    blanks = ["Bob", "Bethel Horizon", "it's", 'the "Times"', "a\\b", "x\ny", "Zoë", "", "New York City", "白 兔"]
    cases = [("", ["Bob"]), ("{}", ["Bob"]), (" {'<mask-0>': 'Bob'}", ["Bob"]), ("\n{'<mask-0>': 'Bob'}", ["Bob"]),
             ("{'<mask-0>': 'Bo' 'b',}", ["Bob"]), ("{'<mask-0>': '''Bob'''}", ["Bob"]), ("{'<mask-0>': 'Bob'", ["Bob"]),
             ("{'<mask-0>': 'A', '<mask-0>': 'Bob'}", ["Bob"]), ("{'<mask-0>': '\\x42ob'}", ["Bob"]), ("{'Bob'}", ["Bob"]),
             ("{'<mask-0>': '\\u0042\\157b'}", ["Bob"]), ("{'<mask-0>': 'B\\\nob'}", ["Bob"]), ("{'<mask-0>': 'B\nob'}", ["Bob"]),
             ("{'<mask-0>': 'Bob'} and", ["Bob"]), ("{,}", ["Bob"]), ("{'<mask-0>' 'Bob'}", ["Bob"]), ("['Bob']", ["Bob"]),
             ("{'<mask-0>':\n\t'Bob'\n}\n", ["Bob"]), ("{'<mask-0>': \"Bob'}", ["Bob"]), ("{'<mask-0>': '\\d'}", ["\\d"])]
    while len(cases) < count:
        answers = [random_.choice(blanks[:7] + blanks[8:]) for _ in range(random_.randint(1, 4))]
        said = {f"<mask-{i}>": random_.choice((answer, answer, random_.choice(blanks))) for i, answer in enumerate(answers)}
        for key in list(said):
            if random_.random() < 0.15:
                del said[key]
        if random_.random() < 0.2:
            said[f"<mask-{len(answers)}>"] = "Bob"
        text = repr(said)
        kind = random_.random()
        if kind < 0.15:
            text = text.replace("'", '"')
        elif kind < 0.3:
            text = spoilt(random_, text)
        elif kind < 0.35:
            text = "The answer is " + text
        cases.append((text, answers))
    return cases


def count_cases(seed, count):
    """(text, counts)"""
    random_ = random.Random(seed)
    cases = [("", [1]), ("[]", [1]), ("[1", [1]), ("1", [1]), ("[true, false]", [1, 0]), ("[1.0]", [1]), ('["1"]', [1]),
             ("```json\n[2, 0]\n```", [2, 0]), ('{"a": [2], "b": [0]}', [2, 0]), ('{"b": [2], "a": [0]}', [2, 0]),
             ('{"a": 2}', [2]), ('{"a": [1], "a": [2]}', [2]), ("[[2], 0]", [2, 0]), ("[2, 0].", [2, 0]), ("null", [1]),
             ('{"a": "2"}', [2]), ("{}", [1]), ("[1,]", [1]), ("[01]", [1]), ("[-0]", [0]), ("[1e0]", [1]), ("..[1]..", [1])]
    while len(cases) < count:
        counts = [random_.randrange(4) for _ in range(random_.randint(1, 6))]
        said = [random_.choice((one, one, one, random_.randrange(4))) for one in counts]
        said = said[: random_.randint(0, len(said))] if random_.random() < 0.2 else said + [1] * random_.choice((0, 0, 1))
        text = random_.choice(("{}", "```json\n{}\n```", "json{}", "{}.", "Answer: {}", '{{"images": {}}}', " {}\n")).format(said)
        cases.append((spoilt(random_, text) if random_.random() < 0.1 else text, counts))
    return cases


def needle_cases(seed, count):
    """(text, answer)"""
    random_ = random.Random(seed)
    cases = [(text, answer) for text, answer in HARD_TEXTS if answer]
    while len(cases) < count:
        answer = words(random_, 1, random_.choice((1, 2, 3)), VOCABULARY + "twenty ninety zero the a eleven 20 it _x x_".split())
        text = words(random_, 0, 3) + random_.choice((" ", "", "-", ". ", "_", "é")) + spoilt(random_, answer)
        text += random_.choice(("", " ", ".", "s", "_", "\n")) + words(random_, 0, 2)
        cases.append((text, answer))
    return cases
