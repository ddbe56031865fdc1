"""The lines of tasks/long_inputs.jsonl: answers to questions about long inputs, and what published rules say of them.

A line that is an object begins a group and names its metrics. The others are cases: text, answers, options or classes,
scores. The last line of a group may be an object with values over all of its cases.
"""

import json

import long_cases as cases
import long_rules as rules

COUNT = 520


def rounded(value):
    value = round(float(value), 12)
    return int(value) if value == int(value) else value


def group(metrics, lines):
    """`metrics`: by name what makes a score of a case's text and the rest of it."""
    yield {"metrics": list(metrics)}
    for text, answers, options, *rest in lines:
        yield [text, answers, options, [rounded(score(text, *rest)) for score in metrics.values()]]


def word_group():
    metrics = {
        "string-match-all": rules.string_match_all,
        "string-match-part": rules.string_match_part,
        "ruler": rules.string_match_all,
        "qa-f1": rules.qa_f1,
        "qa-f1-first-line": lambda text, answers: rules.qa_f1(rules.first_line(text), answers),
        "qa-f1-characters": rules.qa_f1_characters,
        "rouge-l-longbench": rules.rouge_l_longbench,
        "rouge-l-longbench-first-line": lambda text, answers: rules.rouge_l_longbench(rules.first_line(text), answers),
        "infinitebench-value": rules.infinite_value,
        "infinitebench-dialogue": rules.infinite_dialogue,
        "infinitebench-summary": rules.infinite_summary,
        "scbench-value": rules.scbench_value,
        "scbench-any": rules.scbench_any,
        "scbench-all": rules.scbench_all,
        "bleu-1-loogle": rules.loogle_bleu(1),
        "bleu-4-loogle": rules.loogle_bleu(4),
        "rouge-1-loogle": rules.loogle_rouge("rouge-1"),
        "rouge-2-loogle": rules.loogle_rouge("rouge-2"),
        "rouge-l-loogle": rules.loogle_rouge("rouge-l"),
        "milebench-rouge-l": rules.mile_rouge,
        "milebench-needle": rules.mile_needle,
        "milebench-contains": rules.mile_contains,
    }
    return group(metrics, ((text, answers, [], answers) for text, answers in cases.word_cases(seed=11, count=COUNT)))


def class_group():
    made = cases.class_cases(seed=12, count=COUNT)
    return group(
        {"classification-longbench": rules.classification},
        ((text, answers, classes, answers, classes) for text, answers, classes in made),
    )


def number_groups():
    made = cases.number_cases(seed=13, count=COUNT)
    metrics = {
        "count-longbench": rules.counting,
        "infinitebench-number": rules.infinite_number,
        "infinitebench-code-run": rules.infinite_code_run,
        "infinitebench-math-find": lambda text, answers: rules.math_find(text, answers, cut=False),
        "scbench-math-find": lambda text, answers: rules.math_find(text, answers, cut=True),
    }
    yield from group(metrics, ((text, [right], [], [right]) for text, right in made))
    for name, before, word in (
        ("retrieval-longbench", "The Paragraph: Paragraph ", "Paragraph "),
        ("retrieval-longbench-zh", "段落", "段落"),
    ):
        lines = ((text, [before + right], [], [before + right], word) for text, right in made)
        yield from group({name: rules.retrieval}, lines)
    values = cases.value_cases(seed=14, count=COUNT)
    yield from group({"infinitebench-math-calc": rules.math_calc}, ((text, all_, [], all_) for text, all_ in values))


def code_group():
    made = cases.code_cases(seed=15, count=COUNT)
    return group({"code-similarity": rules.code_similarity}, ((text, answers, [], answers) for text, answers in made))


def option_groups():
    made = cases.option_cases(seed=16, count=2 * COUNT)

    def by_letter(rule):
        return lambda text, options, place: rule(text, options[place], "ABCD"[place])

    metrics = {
        "choice-longbench-v2": lambda text, _, place: rules.letter_longbench_v2(text) == "ABCD"[place],
        "infinitebench-choice": by_letter(rules.infinite_choice),
        "infinitebench-code-debug": by_letter(rules.infinite_code_debug),
        "scbench-choice": by_letter(rules.scbench_choice),
        "mm-niah": lambda text, _, place: rules.niah_choice(text, place),
    }
    lines = ((text, ["ABCD"[place]], options, options, place) for text, options, place in made)
    yield from group(metrics, lines)
    lines = ((text, [options[place]], options, options[place], options) for text, options, place in made)
    yield from group({"milebench-choice": rules.mile_choice}, lines)


def cloze_group():
    made = cases.cloze_cases(seed=17, count=COUNT)
    kinds = {"cloze-exact-loogle": True, "cloze-partial-loogle": False}
    metrics = {
        name: lambda text, answers, exact=exact: rules.filled_blanks(text, answers, exact) / len(answers)
        for name, exact in kinds.items()
    }
    yield from group(metrics, ((text, answers, [], answers) for text, answers in made))
    blanks = sum(len(answers) for _, answers in made)
    yield {
        name: rounded(sum(rules.filled_blanks(*case, exact) for case in made) / blanks) for name, exact in kinds.items()
    }


def needle_groups(contractions):
    made = cases.needle_cases(seed=18, count=COUNT)
    lines = ((text, [answer], [], answer, contractions) for text, answer in made)
    yield from group({"mm-niah": rules.niah_answer}, lines)
    made = cases.count_cases(seed=19, count=COUNT)
    yield from group({"mm-niah": rules.niah_counts}, ((text, [str(counts)], [], counts) for text, counts in made))


def lines(contractions):
    """`contractions`: of the VQA evaluation."""
    groups = (
        word_group(), class_group(), number_groups(), code_group(), option_groups(), cloze_group(),
        needle_groups(contractions),
    )  # fmt: skip
    for made in groups:
        for line in made:
            yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))
