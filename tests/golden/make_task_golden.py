"""Makes tests/golden/tasks: answers to questions, and how published kits judge them (tests/golden/requirements.txt).

With --check it compares what is there with what would be made. Each line of a file is a case; a number behind the
cases of a file that ends in .json is of all of them. docs/metrics.md says which rule is whose. Written out here, since
no package has it: the rules of long inputs (long_rules.py); MM-Vet's rule for words alone (the benchmark's own is a
language model), after the prompt that tells its judge what <AND> and <OR> mean; and POPE's share of yes (lmms-eval
counts the data set's answers by that name).
"""

import argparse
import json
import shutil
import sys
import textwrap
from pathlib import Path

import long_golden
import numpy as np
import task_cases
import task_kits as kits

FOLDER = Path(__file__).parent / "tasks"
CASES = 2000
FORMULAS = "Handwritten Mathematical Expression Recognition"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rounded(value):
    return round(float(value), 12)


def number(value):
    """Without a fraction where it has none."""
    value = rounded(value)
    return int(value) if value == int(value) else value


def vqa_values(said, answers):
    textvqa = kits.textvqa.textvqa_process_results({"answers": list(answers), "question_id": 0}, [said])
    given = [{"answer": answer, "answer_id": i} for i, answer in enumerate(answers)]
    vqav2 = kits.vqav2.vqav2_process_results({"answers": given, "question_id": 0}, [said])
    line = kits.vlm_vqa.process_line({"answer": str(list(answers)), "prediction": said}, "vqa_score")
    return [textvqa["exact_match"], vqav2["exact_match"], np.mean(line["match"])]


def vqa_lines():
    for said, answers in task_cases.vqa_cases(seed=1, count=CASES):
        distinct = list(dict.fromkeys(answers))
        votes = "".join(str(distinct.index(answer)) for answer in answers)
        yield compact([said, distinct, votes, [number(value) for value in vqa_values(said, answers)]])


def mm_vet(said, answers):
    def plain(text):
        return " ".join(text.lower().split())

    best = 0.0
    for answer in answers:
        for alternative in answer.split("<OR>"):
            parts = [plain(part) for part in alternative.split("<AND>") if plain(part)]
            if parts:
                best = max(best, sum(part in plain(said) for part in parts) / len(parts))
    return best


def any_of(answers, judge):
    return max(float(judge(answer)) for answer in answers)


def exact_match(said, answer):
    # numpy's lower() cuts what becomes longer than the longest text was: with a longer one beside them nothing is.
    filler = "x" * (2 * max(len(said), len(answer)) + 1)
    found = kits.lmms_metrics.exact_match_hf_evaluate(
        [said, filler], [answer, filler], ignore_case=True, ignore_punctuation=True
    )
    return 2 * found["exact_match"] - 1


def realworldqa(said, answer):
    return kits.realworldqa.realworldqa_process_results({"answer": answer}, [said])["exact_match"]


def text_values(said, answers, formula):
    evalai = kits.vqa.EvalAIAnswerProcessor()
    vlm = {
        method: kits.vlm_vqa.process_line({"answer": str(answers), "prediction": said}, method)["match"]
        for method in ("anls", "relaxed_accuracy", "accuracy")
    }
    assert rounded(kits.vlm_vqa.hit_calculate([{"match": vlm["anls"]}], "DocVQA_VAL")[0]) == rounded(
        kits.lmms_metrics.anls(answers, [said])["anls"]
    )
    kind = {"dataset": "HME100k" if formula else "IIIT5K", "question_type": FORMULAS if formula else "x"}
    contained = kits.ocrbench.ocrbench_process_results({"answer": answers, **kind}, [said])["ocrbench_accuracy"]["score"]
    lettered = [answer for answer in answers if answer.strip().upper() in "ABCD" and answer.strip()]
    return {
        "exact-match": any_of(answers, lambda answer: exact_match(said, answer)),
        "exact-match-vqa": any_of(answers, lambda answer: evalai(said) == evalai(answer)),
        "exact-match-vlmeval": max(vlm["accuracy"]),
        "exact-match-realworldqa": None if lettered else any_of(answers, lambda answer: realworldqa(said, answer)),
        "mmmu-open": kits.mmmu.eval_open(list(answers), kits.mmmu.parse_open_response(said)),
        "anls": kits.anls.anls_score(said, answers),
        "anls-lmms-eval": kits.lmms_metrics.anls(answers, [said])["anls"],
        "relaxed-accuracy": any_of(answers, lambda answer: kits.chartqa.relaxed_correctness(said, answer)),
        "relaxed-accuracy-vlmeval": max(vlm["relaxed_accuracy"]),
        "contains-answer": contained,
        "contains-answer-vlmeval": vlm_ocrbench(said, answers, formula),
        "contains-answer-mm-vet": mm_vet(said, answers),
    }


def vlm_ocrbench(said, answers, formula):
    """OCRBench.evaluate of VLMEvalKit reads a table and writes a score; what it does with a row, out of its source."""
    source = (kits.SITE / "vlmeval/dataset/image_vqa.py").read_text(encoding="utf-8")
    body = source[source.index("class OCRBench(ImageBaseDataset)") :]
    body = body[body.index("            if category == 'Handwritten") : body.index("        final_score_dict = {}")]
    scope = {"category": FORMULAS if formula else "x", "predict": said, "answers": list(answers)}
    scope["OCRBench_score"] = {scope["category"]: 0}
    exec(compile("for _ in (0,):\n" + textwrap.indent(textwrap.dedent(body), "    "), "OCRBench", "exec"), scope)
    return scope["OCRBench_score"][scope["category"]]


def text_lines():
    names = None
    for said, answers, formula in task_cases.text_cases(seed=2, count=CASES + 300):
        values = text_values(said, answers, formula)
        if names is None:
            names = list(values)
            yield compact(names)
        yield compact([said, answers, int(formula), [None if v is None else number(v) for v in values.values()]])


def first_letters(said, options):
    letters = [chr(ord("A") + i) for i in range(len(options))]
    texts = dict(zip(letters, options))
    right = {
        "ai2d": lambda letter: exact_match(kits.ai2d.MultiChoiceRegexFilter().apply([[said]], [{}])[0], letter),
        "scienceqa": lambda letter: kits.scienceqa.sqa_process_results(
            {"choices": options, "answer": letters.index(letter)}, [said]
        )["exact_match"],
        "seed": lambda letter: kits.seed.seed_aggregation_result(
            [kits.seed.seed_process_result({"answer": letter, "data_type": 0, "question_id": 0}, [said])["seed_all"]]
        ),
    }
    named = [
        kits.mcq.extract_mcq_answer(said, choices=letters),
        kits.mmmu.parse_multi_choice_response(said, letters, texts),
        kits.vlm_matching.can_infer(said, dict(texts)),
    ]
    for rule in right.values():
        named.append(next((letter for letter in letters if rule(letter)), None))
    return "".join(letter if letter in letters else "-" for letter in named)


def choice_lines():
    for said, options, right in task_cases.choice_cases(seed=3, count=CASES):
        yield compact([said, options, chr(ord("A") + right), first_letters(said, options)])


def mmmu(said, options, answers):
    """The score of one question among MMMU's, whichever kind it is of."""
    kind = {"question_type": "multiple-choice", "answer": answers[0]} if options else {"question_type": "open", "answer": answers}
    doc = {"id": "validation_Art_1", "options": str(options), **kind}
    judged = kits.mmmu.mmmu_process_results(doc, [said])["mmmu_acc"]
    return kits.mmmu.evaluate_mmmu([judged])[1]["acc"]


def joined_lines():
    """Of rules that judge a multiple choice one way and other questions another."""
    for said, options, answers in task_cases.joined_cases(seed=7, count=CASES):
        scores = [mmmu(said, options, answers), any_of(answers, lambda answer: realworldqa(said, answer))]
        yield compact([said, options, answers, [number(score) for score in scores]])


def yes_no_lines():
    cases = task_cases.yes_no_cases(seed=4, count=CASES + 20)
    pope, vlm, perception, cognition, other = [], [], [], [], []
    for said, expected, kind, pair in cases:
        plain = expected.strip().lower().replace(".", "")
        judged = kits.pope.pope_process_results({"answer": plain, "question_id": 0}, [said])["pope_accuracy"]
        pope.append(judged)
        vlm.append((plain == "yes", kits.vlm_yes_no.YOrN_Extraction(said), plain))
        (key, scored), *_ = kits.mme.mme_process_results(
            {"answer": expected, "category": kind, "question_id": pair}, [said]
        ).items()
        into = other if kind == "adversarial" else perception if key == "mme_perception_score" else cognition
        into.append(scored)
        right = [judged["score"], float(vlm[-1][1].lower() == plain), scored["score"]]
        yield compact([said, expected, kind, pair, "".join(str(int(value)) for value in right)])
    hits = sum(yes and said == "Yes" for yes, said, _ in vlm)
    said_yes, are_yes = sum(said == "Yes" for _, said, _ in vlm), sum(yes for yes, _, _ in vlm)
    yield compact(
        {
            "yes-no-precision": kits.pope.pope_aggregate_precision(pope),
            "yes-no-recall": kits.pope.pope_aggregate_recall(pope),
            "yes-no-f1": kits.pope.pope_aggregate_f1_score(pope),
            "yes-no-share": sum(one["prediction"] == "yes" for one in pope) / len(pope),
            # As POPE_rating has it, whose table pandas would make.
            "yes-no-precision-vlmeval": hits / said_yes,
            "yes-no-recall-vlmeval": hits / are_yes,
            "yes-no-f1-vlmeval": 2 * hits / (said_yes + are_yes),
            "yes-no-share-vlmeval": said_yes / len(vlm),
            "mme-perception": kits.mme.mme_aggregate_results(perception),
            "mme-cognition": kits.mme.mme_aggregate_results(cognition),
            "mme-total": kits.mme.mme_aggregate_results(perception + cognition + other),
            "mme-accuracy-plus": accuracy_plus(perception + cognition + other),
        }
    )


def accuracy_plus(results):
    pairs = {}
    for one in results:
        pairs.setdefault((one["category"], one["question_id"]), []).append(one["score"])
    return sum(sum(scores) == 2 for scores in pairs.values()) / len(pairs)


def caption_lines():
    """Of each hundred captions: the corpus's values behind them."""
    cases = task_cases.caption_cases(seed=5, count=CASES)
    for begin in range(0, CASES, 100):
        part = cases[begin : begin + 100]
        cider, bleu = kits.cider.CiderScorer(), kits.bleu.BleuScorer()
        for said, references in part:
            cider += (said, references)
            bleu += (said, references)
        mean, scores = cider.compute_score()
        corpus, sentences = bleu.compute_score(option="closest")
        for i, (said, references) in enumerate(part):
            yield compact([said, references, round(float(scores[i]), 9), round(sentences[3][i], 9)])
        yield compact({"cider-d": rounded(mean), **{f"bleu-{n + 1}": rounded(corpus[n]) for n in range(4)}})


def caption_word_lines():
    """What CIDEr-D and BLEU get of captions."""
    captions = dict(enumerate(task_cases.plain_captions(seed=6, count=CASES)))
    words = kits.ptb.PTBTokenizer().tokenize({i: [{"caption": caption}] for i, caption in captions.items()})
    for i, caption in captions.items():
        yield compact([caption, words[i][0]])


def long_input_lines():
    # "ain't" and the like for what has lost its apostrophe, by which other rules go as well.
    return long_golden.lines(kits.vqa.EvalAIAnswerProcessor.CONTRACTIONS)


FILES = {
    "vqa.jsonl": vqa_lines,
    "texts.jsonl": text_lines,
    "choices.jsonl": choice_lines,
    "joined.jsonl": joined_lines,
    "yes_no.jsonl": yes_no_lines,
    "captions.jsonl": caption_lines,
    "caption_words.jsonl": caption_word_lines,
    "long_inputs.jsonl": long_input_lines,
}
# Made by a program in Java; where there is none the file is left as it is.
JAVA_FILES = {"caption_words.jsonl"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a file differs")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    differ = []
    for name, lines in FILES.items():
        if name in JAVA_FILES and shutil.which("java") is None:
            print(f"tests/golden/tasks/{name}: not made anew, there is no java")
            continue
        made = "\n".join(lines()) + "\n"
        file = FOLDER / name
        if not arguments.check:
            file.write_text(made, encoding="utf-8")
        elif file.read_text(encoding="utf-8") != made:
            differ.append(name)
    for name in differ:
        print(f"tests/golden/tasks/{name}: is not what the kits say")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
