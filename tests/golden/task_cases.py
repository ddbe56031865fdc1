"""Made-up answers for the metrics of tasks: hard ones by hand, and random ones from a seed."""

import random

VOCABULARY = (
    "yes no red blue dog dogs cat two 2 ten none one a an the man's mans dont don't its it's left right stop "
    "coca-cola 7up pepsi john's thomas t-shirt ice cream umbrella 3:00 5.0 5. 1,000 1,000,000 12,5 $5 50% 50 0.5 "
    "kitchen baseball skateboard giraffe UNITED States u.s. north-west black/white (c) [x] \"sale\" 'ok' wouldnt "
    "couldve somebody'd oclock y'all unknown answerable unsuitable café naïve 猫 ЁЛКА straße İstanbul ﬁsh Ⅷ ² ١٢ １２"
).split()
MARKS = [".", ",", "?", "!", ";", ":", "'", '"', "-", "/", "(", ")", "...", ",,", " ,", "? ", "\n", "\t", "  ", "%"]
REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I cannot determine the answer from the image.",
    "Cannot determine the answer",
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "As an AI model, I am unable to see the picture",
    "Failed to obtain answer via API.",
    "unanswerable",
]
WHITE = ["", " ", "\n", "\t", "  \n ", "\u00a0", "\u3000", "\u2003"]


def words(random_, least, most, vocabulary=VOCABULARY):
    text = ""
    for i in range(random_.randint(least, most)):
        text += (" " if i else "") + random_.choice(vocabulary)
        if random_.random() < 0.15:
            text += random_.choice(MARKS)
    return text


def spoilt(random_, text):
    """The text with a few slips, which may leave it the same answer."""
    for _ in range(random_.choice((0, 0, 1, 1, 2, 3))):
        kind = random_.randrange(8)
        place = random_.randint(0, len(text))
        if kind == 0:
            text = text.upper() if random_.random() < 0.5 else text.title()
        elif kind == 1:
            text = text[:place] + random_.choice(MARKS) + text[place:]
        elif kind == 2:
            text = text[:place] + text[place + 1 :]
        elif kind == 3:
            text = random_.choice(("The answer is ", "a ", "the ", "It is ", "so ")) + text
        elif kind == 4:
            text = text + random_.choice((".", "!", " .", ", I think", "%", " dollars", "</s>"))
        elif kind == 5:
            text = random_.choice(WHITE) + text + random_.choice(WHITE)
        elif kind == 6:
            text = text.replace(" ", random_.choice(("", "  ", "\n", "-")))
        else:
            text = text[:place] + random_.choice("aeiou57") + text[place:]
    return text


def number(random_):
    value = random_.choice((0, 1, 2, 5, 10, 12.5, 0.5, 100, 1e3, 1234.5, 0.001, 3e8, -4))
    value *= random_.choice((1, 1, 1, 0.95, 1.05, 1.0499, 1.0501, 0.9501, 2, -1))
    form = random_.choice(("{:g}", "{}", "{:.2f}", "{:,.0f}", "{:e}", "{:.0f}%", "{:g}%", "{:+g}", "{:g} kg", "${:g}"))
    return form.format(value)


HARD_NUMBERS = [
    ("5", "5%"), ("5%", "0.05"), ("0", "0"), ("0", "0.0"), ("0.0", "0"), ("nan", "nan"), ("inf", "inf"), ("-inf", "5"),
    ("1_000", "1000"), ("1__0", "10"), ("_1", "1"), ("1,000", "1000"), ("1,000", "1,000"), (" 5 ", "5"), ("5\n", "5"),
    ("٥", "5"), ("５", "5"), ("²", "2"), ("5%%", "0.05"), ("%", "%"), ("", ""), ("", "0"), (".5", "0.5"), ("5.", "5"),
    (".", "."), ("1e2", "100"), ("1e", "1"), ("0x10", "16"), ("infinity", "inf"), ("+5", "5"), ("--5", "5"),
    ("5 %", "0.05"), ("Yes", "yes"), ("YES ", "yes"), ("1e400", "5"), ("105", "100"), ("95", "100"), ("94.9999", "100"),
    ("105.00000000000001", "100"), ("-105", "-100"), ("2019", "2010"), ("100", "105"), ("İ", "i̇"), ("ΑΣ", "ας"),
    ("so the answer is 5,000", "5000"), ("x = 3.14159", "3.14"), ("1e-3", "0.001"), ("12:30", "12:30"),
]

HARD_TEXTS = [
    ("", ""), ("", "a"), ("a", ""), (" ", ""), ("\n", "\n"), (".", ""), ("...", "."), ("the", ""), ("A", "a"),
    ("a b", "ab"), ("Straße", "STRASSE"), ("straße", "strasse"), ("ﬁ", "fi"), ("İ", "i"), ("ŉ", "ʼn"), ("é", "e\u0301"),
    ("ＡＢＣ　１２", "abc 12"), ("x\u00a0y", "x y"), ("don't", "dont"), ("dont", "don't"), ("somebody'd", "somebodyd"),
    ("ten", "10"), ("None", "0"), ("1,000", "1000"), ("1,000.", "1000"), ("5.", "5"), ("5.5", "55"), ("a.b.c.", "abc"),
    ("." * 40, "." * 8), ("a." * 40, "a" * 40), ("man's", "man s"), ("mans", "man's"), ("hello", "hell"),
    ("abcd", "abxy"), ("abc", "abx"), ("ab", "ax"), ("a", "b"), ("ΣΑΣ", "σας"), ("\u1e9e", "ß"), ("a\u0000", "a\u0001"),
    ("x-y", "x y"), ("x - y", "x y"), ("x,y", "xy"), ("1,2", "12"), ("1,,2", "12"), ("1, 2", "1 2"), ("(a)", "a"),
    ("$1,000", "$1000"), ("answer: \\frac{1}{2}", "\\frac { 1 } { 2 }"), ("y = x ^ 2\n+ 1", "y=x^2+1"),
]


def votes(random_):
    """Ten answers of which some agree."""
    kinds = [words(random_, 1, random_.choice((1, 1, 2, 3))) for _ in range(random_.choice((1, 2, 3, 4, 10)))]
    if random_.random() < 0.4:
        kinds += [spoilt(random_, kinds[0])]
    if random_.random() < 0.03:
        kinds += random_.choices(["", ".", "a"], k=1)
    return [random_.choice(kinds) for _ in range(10 if random_.random() < 0.9 else random_.randint(1, 9))]


def vqa_cases(seed, count):
    random_ = random.Random(seed)
    cases = []
    for said, answer in HARD_TEXTS:
        cases.append((said, [answer] * random_.randint(1, 10)))
        cases.append((answer, [said, answer, said, answer, answer, said, said]))
    while len(cases) < count:
        answers = votes(random_)
        said = spoilt(random_, random_.choice(answers))
        if random_.random() < 0.1:
            said = random_.choice(REFUSALS) if random_.random() < 0.5 else words(random_, 1, 4)
        cases.append((said, answers))
    return cases


def text_cases(seed, count):
    """(text, accepted answers, whether it is a formula)"""
    random_ = random.Random(seed)
    cases = [(said, [answer], formula) for formula in (False, True) for said, answer in HARD_TEXTS + HARD_NUMBERS]
    cases += [(refusal, ["no", "unanswerable"], False) for refusal in REFUSALS]
    while len(cases) < count:
        kind = random_.random()
        if kind < 0.4:
            answers = [number(random_)]
            said = spoilt(random_, answers[0]) if random_.random() < 0.3 else number(random_)
        else:
            answers = [words(random_, 1, random_.choice((1, 2, 5))) for _ in range(random_.choice((1, 1, 2, 3)))]
            said = spoilt(random_, random_.choice(answers))
        if kind > 0.8:
            said = words(random_, 0, 4) + random_.choice((" is ", "\n", ". ", " = ", " ")) + said
        if kind > 0.97:
            said = random_.choice(REFUSALS)
        cases.append((said, answers, random_.random() < 0.15))
    return cases


CHOICE_FORMS = [
    "{l}", "{l}.", "({l})", "{l})", "{l}:", " {l} ", "{m}", "({m})", "{l}. {t}", "{l} {t}", "({l}) {t}", "{t}", "{t}.",
    "The answer is {l}", "The answer is {l}.", "The answer is ({l}).", "Answer: {l}", "answer is {t}", "{l}\n", "**{l}**",
    "I choose {l} because {o} is wrong.", "The correct option is {l}, not {k}.", "Option {l}", "{l} or {k}", "{l}, {k}",
    "({k}) is wrong, so ({l})", "{k}. {o}\n{l}. {t}", "A man said {l}", "A", "a", "Both {l} and {k} are right", "{l}{k}",
    "It could be {t} or {o} but I think it is more likely that {t} is the right one", "답은 {l}", "答案是{l}。", "选{l}",
    "答えは{l}", "{l}?", "'{l}'", '"{l}"', "{{{l}}}", "[{l}]", "#{l}", "{l}-{t}", "İ the answer is {l}", "Z", "Z.", "{l}Z",
    "Let me think. A dog is there, and B is a letter; the best answer is {l} I guess, given all that", "x{l}", "{l}x",
    "The choice is clear: {t}", "{t} ({l})", "Therefore, the final answer is: {l}", "{l}." + " word" * 8, "word " * 8 + "{l}",
    "é{l}", "{l}é", "1. {l}", "the answer is not {k}. The answer is {l}", "Unknown", "?!", "A) {t}", "{l} \u3000",
]


def choice_cases(seed, count):
    """(text, options, place of the right one)"""
    random_ = random.Random(seed)
    cases = [(text, ["red", "blue", "green", "a dog"], 0) for text in WHITE + REFUSALS + ["", ".", "A.", "(A)", "A, B"]]
    while len(cases) < count:
        options = [words(random_, 1, random_.choice((1, 1, 2, 4))) for _ in range(random_.choice((2, 3, 4, 4, 4, 5, 6)))]
        if random_.random() < 0.1:
            options[0] = random_.choice(("A", "B", "Yes", "the"))
        right = random_.randrange(len(options))
        said, other = (random_.randrange(len(options)) for _ in range(2))
        letter, lesser = (chr(ord("A") + place) for place in (said, other))
        text = random_.choice(CHOICE_FORMS).format(
            l=letter, k=lesser, m=letter.lower(), t=options[said], o=options[other]
        )
        if random_.random() < 0.2:
            text = spoilt(random_, text)
        if random_.random() < 0.1:
            text += random_.choice((" ", "\n", ". ")) + random_.choice(CHOICE_FORMS).format(
                l=lesser, k=letter, m=lesser.lower(), t=options[other], o=options[said]
            )
        cases.append((text, options, right))
    return cases


def joined_cases(seed, count):
    """(text, options, accepted answers): of a multiple choice a letter alone, else options are empty."""
    random_ = random.Random(seed)
    cases = [(said, [], [answer]) for answer in LETTERS for said in (*LETTERS, "A. a cat", "(B)", "The answer is C.", "", ".")]
    for said, options, right in choice_cases(seed, count // 2):
        cases.append((said, options, [chr(ord("A") + right)]))
        if random_.random() < 0.4:
            # Options that stand in the question alone, beside a letter as people write it.
            cases.append((said, [], [random_.choice(("{}", " {}", "{}\n")).format(random_.choice("ABCDEabcde"))]))
    while len(cases) < count:
        more = text_cases(random_.randrange(1 << 30), 400)
        cases += [(said, [], answers) for said, answers, _ in random_.sample(more, min(200, count - len(cases)))]
    return cases


LETTERS = ["A", "b", " C ", "D.", "E", "AB", "(A)", "a\u00a0"]
YES_NO_FORMS = [
    "yes", "no", "Yes", "No", "YES", "Yes.", "No.", "no!", " yes", "yes\n", "y", "n", "Y", "N", "Y.", "yes, there is",
    "no, there is no dog", "Yes, there is a dog in the picture.", "There is no dog", "not", "note", "know", "now", "eyes",
    "yes no", "yes/no", "yes-no", "no-yes", "(yes)", "[no]", "yes,no", "1,000 yes", "the answer is yes", "nope", "yep",
    "yés", "ＹＥＳ", "", " ", ".", "..yes", "a yes", "is no", "maybe", "unsure", "No?", "Yes;", "no\tyes", "x yes.", "Ye.s",
    "n.o", "N.o.", "ÿes", "ye", "𝐲𝐞𝐬", "İyes", "yes\u3000", "no\u00a0", "answer: no", "no=yes", "yes!!!", "no...",
]


def yes_no_cases(seed, count):
    """(text, expected, kind of question, pair)"""
    random_ = random.Random(seed)
    kinds = ["existence", "count", "OCR", "code_reasoning", "text_translation", "adversarial"]
    cases = [(form, expected, kinds[0]) for form in YES_NO_FORMS + REFUSALS for expected in ("yes", "No", " YES.")]
    while len(cases) < count:
        text = random_.choice(YES_NO_FORMS[:12] if random_.random() < 0.7 else YES_NO_FORMS)
        if random_.random() < 0.1:
            text = spoilt(random_, text)
        cases.append((text, random_.choice(("yes", "no", "Yes", "No")), random_.choice(kinds)))
    # Two of a kind, one behind the other, are a pair.
    cases = sorted(cases[:count], key=lambda case: case[2])
    paired, seen = [], {}
    for text, expected, kind in cases:
        place = seen.get(kind, 0)
        seen[kind] = place + 1
        paired.append((text, expected, kind, place // 2))
    return [case for case in paired if not (case[3] * 2 + 1 == seen[case[2]] and seen[case[2]] % 2)]


CAPTION_WORDS = (
    "a the man woman dog cat two three red blue on in of with and sitting standing riding holding bench table street "
    "frisbee t-shirt two-year-old board water"
).split()


def caption_cases(seed, count):
    """(text, references): lower case and plain."""
    random_ = random.Random(seed)

    def caption(least, most):
        return " ".join(random_.choice(CAPTION_WORDS) for _ in range(random_.randint(least, most)))

    cases = []
    while len(cases) < count:
        references = [caption(3, 9) for _ in range(random_.choice((1, 2, 2, 3)))]
        said = random_.choice(references).split()
        for _ in range(random_.randrange(5)):
            place = random_.randrange(len(said) + 1)
            said[place : place + random_.randrange(2)] = [random_.choice(CAPTION_WORDS)]
        said = " ".join(said)
        if random_.random() < 0.05:
            said = random_.choice(("", "a", "a a a a a a", caption(1, 3), caption(10, 20)))
        cases.append((said, references))
    return cases


def plain_captions(seed, count):
    """Captions as people write them: words, contractions, hyphens, numbers, punctuation, brackets; no abbreviations."""
    random_ = random.Random(seed)
    words_ = (
        CAPTION_WORDS + "Man MAN's dog's dogs isn't can't don't won't they're I'm we've she'd he'll cannot gonna wanna gotta "
        "10:30 1,000 3.5 20 100m t-shirts black-and-white café naïve people's children's it's that's and/or he'd couldn't "
        "& $ % + = 7-eleven u.s. p.m. @ #".split()
    )
    captions = []
    while len(captions) < count:
        text = ""
        for i in range(random_.randint(1, 8)):
            word = random_.choice(words_)
            kind = random_.random()
            if kind < 0.05:
                word = f'"{word}"'
            elif kind < 0.1 and word[0].isalnum():  # beside a sign a bracket is a face
                word = random_.choice(("({})", "[{}]")).format(word)
            elif kind < 0.22:
                word += random_.choice((",", ";", " -", " --", "!", "?", ":", "...", " :"))
            text += (" " if i else "") + word
        captions.append(text + random_.choice((".", " .", "", "!", "?", "...")))
    return captions
