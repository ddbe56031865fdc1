"""The files of long inputs among those that make_task_files.py makes: in the published layouts, and short."""

import json

import pyarrow as pa

TEXT = pa.string()
STORY = "The miller had three sons. {} The eldest got the mill, the second the donkey, the youngest the cat."
CHINESE = "磨坊主有三个儿子。{}老大得了磨坊，老二得了驴，老三得了猫。"


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def ruler(put):
    rows = [
        ("niah_single_1", "A special magic number is hidden within the following text.\nThe grass is green. One of the "
         "special magic numbers for old-mill is: 7319204.\n", "What is the special magic number for old-mill mentioned in "
         "the provided text?", " The special magic number for old-mill mentioned in the provided text is", ["7319204"], 128),
        ("niah_multivalue", "Some special magic numbers are hidden within the following text.\nOne of the special magic "
         "numbers for red-cat is: 1111111. One of the special magic numbers for red-cat is: 2222222.\n",
         "What are all the special magic numbers for red-cat mentioned in the provided text?",
         " The special magic numbers for red-cat mentioned in the provided text are", ["1111111", "2222222"], 128),
        ("vt", "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\nVAR ABCDE = 12345\n"
         "VAR FGHIJ = VAR ABCDE\n", "Question: Find all variables that are assigned the value 12345 in the text above.",
         " Answer: According to the chain(s) of variable assignment in the text above, 2 variables are assigned the value "
         "12345, they are: ", ["ABCDE", "FGHIJ"], 30),
        ("qa_1", "Answer the question based on the given documents.\n\nDocument 1:\nThe mill stands in Aston.\n\n",
         "Question: Where does the mill stand?", " Answer:", ["Aston", "in Aston"], 32),
    ]
    kinds = {"context": TEXT, "question": TEXT, "answer_prefix": TEXT, "answer": pa.list_(TEXT), "task": TEXT,
             "max_new_tokens": pa.int64()}
    values = {"task": 0, "context": 1, "question": 2, "answer_prefix": 3, "answer": 4, "max_new_tokens": 5}
    put("ruler/4096/test-00000-of-00001.parquet",
        {name: (kind, [row[values[name]] for row in rows]) for name, kind in kinds.items()})


def needle(made):
    made["needle/needle.jsonl"] = lines([
        {"task": "needle", "context": "A special magic number is hidden within the following text.\nThe grass is green. One of "
         f"the special magic numbers for old-mill is: 731920{depth}.\n", "question": "What is the special magic number for "
         "old-mill mentioned in the provided text?", "answer_prefix": " The special magic number for old-mill mentioned in "
         "the provided text is", "answer": [f"731920{depth}"], "max_new_tokens": 128, "length": 300, "depth": float(depth),
         "cell": f"length 300 at depth {depth}"} for depth in (0, 5)])


def longbench(made):
    sets = {
        "narrativeqa": ("Who got the cat?", ["the youngest", "The youngest son"], None),
        "qasper": ("Is the mill old?", ["unanswerable", "no"], None),
        "multifieldqa_en": ("What did the eldest get?", ["the mill"], None),
        "hotpotqa": ("Which animal did the second son get?", ["a donkey"], None),
        "2wikimqa": ("Who is older, the one with the cat or with the mill?", ["with the mill"], None),
        "musique": ("How many sons are there?", ["three", "3"], None),
        "gov_report": ("", ["The sons of a miller shared a mill, a donkey and a cat."], None),
        "qmsum": ("What was decided?", ["That each son gets something."], None),
        "multi_news": ("", ["Three sons inherit. One gets a cat."], None),
        "trec": ("Question: Who got it?\nType:", ["Human"], ["Human", "Location", "Human group"]),
        "triviaqa": ("Passage: A cat wore boots.\nQuestion: What did it wear?\nAnswer:", ["boots", "Boots"], None),
        "samsum": ("Dialogue: Ann: Cat? Bob: Mine.\nSummary:", ["The cat is Bob's."], None),
        "passage_count": ("", ["3"], None),
        "passage_retrieval_en": ("Of a cat.", ["Paragraph 3"], None),
        "lcc": ("", ["    return cat"], None),
        "repobench-p": ("def heir(self):\n", ["    return self.cat"], None),
        "lsht": ("新闻：猫\n类别：", ["动物"], ["动物", "体育", "小动物"]),
        "passage_retrieval_zh": ("说猫的。", ["段落3"], None),
    }
    for name, (asked, answers, classes) in sets.items():
        chinese = name in ("lsht", "passage_retrieval_zh")
        rows = [
            {"input": asked, "context": (CHINESE if chinese else STORY).format(number), "answers": answers, "length": 17,
             "dataset": name, "language": "zh" if chinese else "en", "all_classes": classes, "_id": f"{number:048x}"}
            for number in range(2)
        ]
        made[f"longbench-{name.replace('_', '-')}/{name}.jsonl"] = lines(rows)
    made["longbench-v2/data.json"] = (json.dumps([
        {"_id": f"66f{number}", "domain": "Single-Document QA", "sub_domain": "Literary", "difficulty": "easy",
         "length": "short", "question": "Who got the cat?", "choice_A": "The eldest", "choice_B": "The second",
         "choice_C": "The youngest", "choice_D": "Nobody", "answer": letter, "context": STORY.format(number)}
        for number, letter in enumerate("CA")], indent=2) + "\n").encode()


def loogle(made):
    asked = {
        "shortdep_qa": ("Who got the cat?", "The youngest son got the cat."),
        "longdep_qa": ("Who got an animal?", "The second and the youngest."),
        "summarization": ("", "A miller's sons share what he had."),
        "shortdep_cloze": ("<mask-0> lives in <mask-1>.", ["The miller", "Aston"]),
    }
    for name, (question, answer) in asked.items():
        rows = [{"context": STORY.format("He lived in Aston."), "question": question, "answer": answer,
                 "title": "The mill", "task": name, "id": number} for number in range(2)]
        made[f"loogle-{name.replace('_', '-')}/{name}.jsonl"] = lines(rows)


def infinitebench(made):
    names = ["The eldest", "The second", "The youngest", "Nobody"]
    code = "def func_1(x):\n    return x + 2\n\ndef func_0(x):\n    return func_1(x) * 2\n"
    tasks = {
        "passkey": ("The pass key is 71432. Remember it.", "What is the pass key?", ["71432"], []),
        "number_string": ("The sequence is 4445556667.", "What is the sequence of digits?", ["4445556667"], []),
        "kv_retrieval": ('{"a1b2": "c3d4-e5f6"}', 'Key: "a1b2"\nThe value associated with it is: ', ["c3d4-e5f6"], []),
        "longbook_sum_eng": (STORY.format(""), "", ["The sons of a miller share."], []),
        "longbook_choice_eng": (STORY.format(""), "Who got the cat?", [names[2]], names),
        "longbook_qa_eng": (STORY.format(""), "Who got the cat?", ["the youngest", "The youngest son"], []),
        "longbook_qa_chn": (CHINESE.format(""), "谁得了猫？", ["老三"], []),
        "longdialogue_qa_eng": ("MILLER: Here.\n$$MASK$$: A cat!\nTOM: Ha.", "", ["TOM", "TOM THE YOUNG"], []),
        "math_find": ("[3, 17, 5]", "What is the largest number?\nThe largest number of the list is", [17], []),
        "math_calc": ("1 + 3 + 4", "", [1, 4, 8], []),
        "code_run": (code, "Please give me the exact number of the return value of func_0(3).", [10], []),
        "code_debug": (code, "", ["func_1"], ["func_1", "func_0", "func_2", "func_3"]),
    }
    for name, (context, asked, answer, options) in tasks.items():
        rows = [{"id": number, "context": context, "input": asked, "answer": answer, "options": options}
                for number in range(2)]
        made[f"infinitebench-{name.replace('_', '-')}/{name}.jsonl"] = lines(rows)


def scbench(put):
    names = ["The eldest", "The second", "The youngest", "Nobody"]
    tasks = {
        "kv": ('{"a1b2": "c3d4"}', [("Key: a1b2", "c3d4"), ("Key: x", "y")], TEXT),
        "prefix_suffix": ("ab12yz ab34xy", [("prefix ab, suffix yz", "ab12yz")], TEXT),
        "vt": ("VAR A = 1\nVAR B = VAR A", [("Which have the value 1?", ["A", "B"])], pa.list_(TEXT)),
        "mf": ([3, 17, 5], [("The largest number is", 17)], pa.int64()),
        "many_shot": ("Q: x (A) a (B) b\nA: (B)", [("Q: y (A) c (B) d", "(A)")], TEXT),
        "summary": (STORY.format(""), [("Please summarize it.", "Sons share.")], TEXT),
        "choice_eng": (STORY.format(""), [("Who got the cat?", names[2])], TEXT),
        "qa_eng": (STORY.format(""), [("Who got the cat?", "the youngest")], TEXT),
        "qa_chn": (CHINESE.format(""), [("谁得了猫？", "老三")], TEXT),
    }
    for name, (context, turns, answer) in tasks.items():
        fields = [("answer", answer), ("input", TEXT)]
        rows = [{"answer": said, "input": asked} for asked, said in turns]
        if name == "choice_eng":
            fields.append(("options", pa.list_(TEXT)))
            rows = [{**row, "options": names} for row in rows]
        kind = pa.list_(pa.int64()) if name == "mf" else TEXT
        put(f"scbench-{name.replace('_', '-')}/scbench_{name}/test-00000-of-00001.parquet", {
            "id": (pa.int64(), [0, 1]),
            "context": (kind, [context, context]),
            "multi_turns": (pa.list_(pa.struct(fields)), [rows, rows]),
        })


def with_images(made, image):
    images = [f"images/{number}.png" for number in range(4)]
    for task in ("mm-niah", "milebench-choice", "milebench-open", "milebench-needle", "milebench-mmcoqa"):
        for number, name in enumerate(images):
            made[f"{task}/{name}"] = image((number * 60, 90, 10))
    meta = {"placed_depth": 0.5, "context_length": 900, "context_length_text": 388, "context_length_image": 512,
            "num_images": 2, "needles": ["The cat is Puss."], "choices": None, "choices_image_path": None}
    text = "The miller had sons.\n<image>\nThe cat is Puss.\n<image>\n"
    made["mm-niah/retrieval-text.jsonl"] = lines([
        {"id": 0, "images_list": images[:2], "context": text, "question": "What is the cat called?", "answer": "Puss",
         "meta": meta},
        {"id": 1, "images_list": images[:2], "context": text, "question": "Which animal is it?", "answer": 1,
         "meta": {**meta, "choices": ["a donkey", "a cat", "a mill", "a son"]}},
        {"id": 2, "images_list": images[:2], "context": text, "question": "Which image is in it?", "answer": 0,
         "meta": {**meta, "choices_image_path": images[2:]}},
        {"id": 3, "images_list": images[:2], "context": text, "question": "How many cats are in each image?",
         "answer": [1, 0], "meta": meta},
    ])
    choices = ["a donkey", "a cat", "a mill"]
    kinds = {
        "choice": ("StateChange", "multi-choice", {"choice_list": choices}, "a cat"),
        "open": ("SlideVQA", "open-ended", {}, "a cat with boots"),
        "needle": ("TextNeedleInAHaystack", "open-ended", {}, "58"),
        "mmcoqa": ("MMCoQA", "open-ended", {}, "the youngest"),
    }
    for task, (name, kind, more, answer) in kinds.items():
        samples = [
            {"sample_id": number, "task_instruction_id": 0, "response": answer, "image_quantity_level": "Few",
             "task_instance": {"context": "First: {image#1} then: {image#2} What is it?",
                               "images_path": [path.removeprefix("images/") for path in images[:2]], **more}}
            for number in range(2)
        ]
        made[f"milebench-{task}/{name}.json"] = (json.dumps({
            "meta_data": {"dataset": name, "split": "test", "num_sample": 2, "question_type": kind,
                          "task_instruction": ["Look at the images and answer."]},
            "data": samples}, indent=2) + "\n").encode()


def add(made, put, image):
    """Adds them to `made`; `put` makes a Parquet file, `image` a PNG of a colour."""
    ruler(put)
    needle(made)
    longbench(made)
    loogle(made)
    infinitebench(made)
    scbench(put)
    with_images(made, image)
