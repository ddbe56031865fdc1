#!/usr/bin/env python3
"""Makes data/tasks: for each task of configs/tasks a tiny made-up file in the layout in which its data are published.

    PYTHONPATH=~/.cache/elastikv/arrow-26.0.1 ~/.cache/elastikv/tools/bin/python tests/unit/sweep/make_task_files.py
    ... FOLDER       writes below FOLDER instead
    ... --check      only compares the files that are there with those that would be made

Names and types of columns, and names of files, are those of the hub; rows and pictures are invented.
"""

import base64
import io
import json
import pathlib
import sys

import long_task_files
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "datasets"))

from make_parquet import IMAGE, picture, png  # noqa: E402

LARGEST = 8000
TEXT = pa.string()
TEXTS = pa.list_(TEXT)
made = {}


def put(name, columns, **options):
    """A Parquet file of columns, each a type and its values."""
    table = pa.table({column: pa.array(values, kind) for column, (kind, values) in columns.items()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "snappy", "write_statistics": False, **options})
    made[name] = buffer.getvalue()


def pictures(first, count):
    return IMAGE, [picture(number, f"{number:04}.png") for number in range(first, first + count)]


def people(*answers):
    """Ten people's answers from (answer, how many said it)."""
    return [answer for answer, count in answers for _ in range(count)]


def textvqa(name, split, first, count):
    numbers = range(first, first + count)
    put(name, {
        "image_id": (TEXT, [f"{number:016x}" for number in numbers]),
        "question_id": (pa.int32(), [34602 + number for number in numbers]),
        "question": (TEXT, [("which number has the tram?", "what is painted on the gate?", "who makes the kettle?",
                             "whose name is on the spine?")[number % 4] for number in numbers]),
        "question_tokens": (TEXTS, [["which", "number"] for _ in numbers]),
        "image": pictures(first, count),
        "image_width": (pa.int32(), [4] * count),
        "image_height": (pa.int32(), [4] * count),
        "flickr_original_url": (TEXT, [f"https://example.org/{number}_o.png" for number in numbers]),
        "flickr_300k_url": (TEXT, [f"https://example.org/{number}_z.png" for number in numbers]),
        "answers": (TEXTS, [(people(("42", 6), ("number 42", 3), ("", 1)), people(("no entry", 10)),
                             people(("brix", 4), ("Brix", 4), ("unanswerable", 2)),
                             people(("a. reed", 5), ("reed", 5)))[number % 4] for number in numbers]),
        "image_classes": (TEXTS, [["Gate", "House"] if number % 2 else ["Tram"] for number in numbers]),
        "set_name": (TEXT, [split] * count),
        "ocr_tokens": (TEXTS, [["42"] if number % 2 else [] for number in numbers]),
    })


def read_off_documents():
    textvqa("textvqa/data/train-00000-of-00020.parquet", "train", 8, 1)
    textvqa("textvqa/data/validation-00000-of-00003.parquet", "val", 0, 3)
    textvqa("textvqa/data/validation-00001-of-00003.parquet", "val", 3, 1)
    put("docvqa/DocVQA/validation-00000-of-00006.parquet", {
        "questionId": (TEXT, ["1001", "1002", "1003", "1004"]),
        "question": (TEXT, ["What is the date of the letter?", "Who is it from?", "What is the total in 1979?",
                            "Is the box ticked?"]),
        "question_types": (TEXTS, [["form"], ["handwritten", "form"], ["table/list"], ["Yes/No"]]),
        "image": pictures(10, 4),
        "docId": (pa.int64(), [14465, 14465, 4720, 5501]),
        "ucsf_document_id": (TEXT, ["abcd0001"] * 2 + ["abcd0002", "abcd0003"]),
        "ucsf_document_page_no": (TEXT, ["81", "81", "1", "3"]),
        "answers": (TEXTS, [["3 May 1979", "May 3, 1979"], ["Dr. A. Reed"], ["$1,200.50"], ["yes", "Yes"]]),
        "data_split": (TEXT, ["val"] * 4),
    })
    put("infovqa/InfographicVQA/validation-00000-of-00004.parquet", {
        "questionId": (TEXT, ["2001", "2002", "2003", "2004"]),
        "question": (TEXT, ["How many of ten people walk to work?", "Which city is the largest?",
                            "What is the share of tea and coffee together?", "Which colour is the river?"]),
        "answers": (TEXTS, [["3", "three"], ["Lyon"], ["62%"], ["blue"]]),
        "answer_type": (TEXTS, [["non-extractive"], ["single span"], ["non-extractive", "arithmetic"],
                                ["single span"]]),
        "image": pictures(14, 4),
        "image_url": (TEXT, [f"https://example.org/{number}.png" for number in range(4)]),
        "operation/reasoning": (TEXTS, [["counting"], [], ["arithmetic"], None]),
        "ocr": (TEXT, ["[]"] * 4),
        "data_split": (TEXT, ["val"] * 4),
    })
    put("chartqa/data/test-00000-of-00001.parquet", {
        "type": (TEXT, ["human_test", "human_test", "augmented_test", "augmented_test"]),
        "question": (TEXT, ["How many bars are there?", "Is the blue bar longer than the red one?",
                            "What was the turnover in 2010?", "Which year had 12.5 percent?"]),
        "answer": (TEXT, ["14", "Yes", "0.57", "2013"]),
        "image": pictures(18, 4),
    })
    put("ocrbench/data/test-00000-of-00001.parquet", {
        "dataset": (TEXT, ["IIIT5K", "ReCTS", "docVQA", "HME100k", "FUNSD"]),
        "question": (TEXT, ["what is written in the image?", "what is written in the image?",
                            "What is the date?\nAnswer this question using the text in the image directly.",
                            "Please write out the expression of the formula in the image using LaTeX format.",
                            "what is the name?"]),
        "question_type": (TEXT, ["Regular Text Recognition", "Irregular Text Recognition", "Doc-oriented VQA",
                                 "Handwritten Mathematical Expression Recognition", "Key Information Extraction"]),
        "answer": (TEXTS, [["CENTRE"], ["茶"], ["3 May", "May 3"], ["\\frac { a } { b }"], ["A. Reed"]]),
        "image": pictures(22, 5),
    })


def asked_of_photographs():
    answers = (people(("no", 9), ("yes", 1)), people(("2", 5), ("two", 3), ("3", 2)), people(("ochre", 10)),
               people(("mowing", 4), ("mowing the lawn", 6)))
    put("vqav2/data/validation-00000-of-00068.parquet", {
        "question_type": (TEXT, ["is it", "how many", "what color is the", "what is the"]),
        "multiple_choice_answer": (TEXT, ["no", "2", "ochre", "mowing the lawn"]),
        "answers": (pa.list_(pa.struct([("answer", TEXT), ("answer_confidence", TEXT), ("answer_id", pa.int64())])),
                    [[{"answer": answer, "answer_confidence": "yes", "answer_id": number + 1}
                      for number, answer in enumerate(each)] for each in answers]),
        "image_id": (pa.int64(), [262148, 262148, 393225, 393230]),
        "answer_type": (TEXT, ["yes/no", "number", "other", "other"]),
        "question_id": (pa.int64(), [262148000, 262148001, 393225000, 393230000]),
        "question": (TEXT, ["Is it late?", "How many geese are there?", "What color is the barn?",
                            "What is the farmer doing?"]),
        "image": (IMAGE, [picture(30), picture(30), picture(31), picture(32)]),
    }, compression="zstd")
    # The questions name their images, which lie in a table of their own, in another order.
    ids = ["n100003", "n100001", "n100001", "n100002"]
    put("gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet", {
        "id": (TEXT, ["200000001", "200000002", "200000003", "20000004"]),
        "imageId": (TEXT, ids),
        "question": (TEXT, ["Is the gate open?", "Who holds the rake?", "Is there a lamp behind the oven?",
                            "What is the round box made of?"]),
        "answer": (TEXT, ["no", "farmer", "yes", "tin"]),
        "fullAnswer": (TEXT, ["No, the gate is shut.", "The farmer holds the rake.",
                              "Yes, there is a lamp behind the oven.", "The box is made of tin."]),
        "isBalanced": (pa.bool_(), [True] * 4),
    })
    images = {name: picture(number, f"{name}.jpg") for number, name in enumerate(("n100002", "n100009", *ids[:2]))}
    put("gqa/testdev_balanced_images/testdev-00000-of-00001.parquet", {
        "id": (TEXT, list(images)),
        "image": (IMAGE, list(images.values())),
    }, row_group_size=2)
    put("okvqa/data/val2014-00000-of-00002.parquet", {
        "question_id": (TEXT, ["1000015", "1000025", "1000035", "1000045"]),
        "image": pictures(34, 4),
        "question": (TEXT, ["What is this tool for?", "In which season is it picked?", "Who lives in it?",
                            "What is baked in here?"]),
        "answers": (TEXTS, [people(("rake", 4), ("raking", 4), ("hay", 2)), people(("fall", 8), ("autumn", 2)),
                            people(("a beaver", 6), ("beaver", 4)), people(("bread", 10))]),
        "question_type": (TEXT, ["four", "eight", "five", "other"]),
        "answer_type": (TEXT, ["other"] * 4),
    })
    put("vizwiz/data/val-00000-of-00005.parquet", {
        "question_id": (TEXT, [f"VizWiz_val_{number:08}.jpg" for number in range(4)]),
        "image": pictures(38, 4),
        "question": (TEXT, ["Sorry, here it is again, what do you see?", "What is in the tin?",
                            "Which of my scarves is it?", "Please tell me the date on it."]),
        "answers": (TEXTS, [people(("unanswerable", 8), ("unsuitable", 2)), people(("peas", 7), ("tin", 3)),
                            people(("grey", 5), ("gray", 5)), people(("unsuitable", 6), ("no", 4))]),
        "category": (TEXT, ["unanswerable", "other", "other", "unanswerable"]),
    })


def multiple_choice():
    put("ai2d/data/test-00000-of-00001.parquet", {
        "question": (TEXT, ["What is eaten by the owl?", "Which part is under the ground?",
                            "How many moons are drawn?", "What is marked C?"]),
        "options": (TEXTS, [["grass", "shrew", "owl", "sun"], ["bud", "bark", "root", "crown"], ["2", "3", "4", "5"],
                            ["hub", "rim", "tyre", "spoke"]]),
        "answer": (TEXT, ["1", "2", "0", "3"]),
        "image": pictures(42, 4),
    })
    put("scienceqa-img/ScienceQA-IMG/test-00000-of-00001.parquet", {
        "image": pictures(46, 4),
        "question": (TEXT, ["Which lake is shown?", "Which line can be checked?",
                            "What is the ladle made of?", "What will the two springs do?"]),
        "choices": (TEXTS, [["the upper", "the long", "the cold", "the green"],
                            ["The soup is hot.", "It tastes best."], ["wood", "wool"], ["pull", "push"]]),
        "answer": (pa.int8(), [1, 0, 0, 1]),
        "hint": (TEXT, ["", "A fact can be checked.\nA taste cannot.", None, "Both are pressed."]),
        "task": (TEXT, ["closed choice"] * 4),
        "grade": (TEXT, ["grade5", "grade3", "grade2", "grade4"]),
        "subject": (TEXT, ["social science", "language science", "natural science", "natural science"]),
        "topic": (TEXT, ["geography", "reading", "physics", "physics"]),
        "category": (TEXT, ["Lakes", "Facts", "Materials", "Forces"]),
        "skill": (TEXT, ["Read a map", "Tell facts from tastes", "Name materials", "Predict forces"]),
        "lecture": (TEXT, [""] * 4),
        "solution": (TEXT, ["It is the second."] * 4),
    })
    # As pandas writes it: an image in base64, or the index of the row that has it.
    rows = [["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "source", "l2-category",
             "comment", "split"]]
    for index, question, hint, options, answer, category, image in [
            (241, "Which vehicle is shown?", "It was taken at a stop.", ("a tram", "a bus", "", ""), "B",
             "object_localization", picture(50)),
            (252, "Where is the sun?", "", ("left", "right", "above", "behind"), "C", "spatial_relationship",
             picture(51)),
            (1000241, "Which vehicle is shown?", "It was taken at a stop.", ("a bus", "a tram", "", ""), "A",
             "object_localization", 241),
            (1000252, "Where is the sun?", "", ("behind", "left", "right", "above"), "D", "spatial_relationship", 252)]:
        shown = str(image) if isinstance(image, int) else base64.b64encode(image["bytes"]).decode()
        rows.append([str(index), question, hint, *options, answer, category, shown, "made up", "finegrained_perception",
                     "", "dev"])
    made["mmbench-en/MMBench_DEV_EN.tsv"] = "".join("\t".join(row) + "\n" for row in rows).encode()
    put("mmstar/mmstar.parquet", {
        "index": (pa.int64(), [0, 1, 2, 3]),
        "question": (TEXT, [f"{question}\nOptions: A: {a}, B: {b}, C: {c}, D: {d}" for question, a, b, c, d in [
            ("Where does the cat sit?", "on the roof", "in the cart", "below the stairs", "nowhere"),
            ("How does the scene feel?", "calm", "rough", "sad", "eager"),
            ("How many corners has it?", "3", "4", "5", "6"),
            ("Which shape comes last?", "a ring", "a box", "a star", "a line")]]),
        "image": (IMAGE, [picture(number) for number in range(52, 56)]),
        "answer": (TEXT, ["A", "A", "C", "D"]),
        "category": (TEXT, ["instance reasoning", "coarse perception", "math", "logical reasoning"]),
        "l2_category": (TEXT, ["single-instance reasoning", "image emotion", "geometry", "diagram reasoning"]),
        "meta_info": (pa.struct([("source", TEXT), ("split", TEXT), ("image_path", TEXT)]),
                      [{"source": "made up", "split": "val", "image_path": f"images/{number}.jpg"}
                       for number in range(4)]),
    })
    shown = (2, 1, 5, 2)  # images of each question; the last one's second is its explanation's
    put("mmmu-val/data/validation-00000-of-00001.parquet", {
        "id": (TEXT, ["validation_Art_1", "validation_Biology_2", "validation_Music_3", "validation_Math_4"]),
        "question": (TEXT, ["Which is older, <image 1> or <image 2>?", "What does <image 1> show?",
                            "Which of these comes after <image 1>?", "How long is x in <image 1>?"]),
        "options": (TEXT, ["['the first', \"the second's copy\"]", "['a cell', 'a leaf', 'a stone', 'a cloud']",
                           "['<image 2>', '<image 3>', '<image 4>', '<image 5>']", "[]"]),
        "explanation": (TEXT, ["", "", None, "It is drawn in <image 2>."]),
        **{f"image_{place}": (IMAGE, [picture(60 + 7 * row + place) if place <= count else None
                                      for row, count in enumerate(shown)]) for place in range(1, 8)},
        "img_type": (TEXT, ["['Paintings']", "['Photographs']", "['Sheet Music']", "['Diagrams']"]),
        "answer": (TEXT, ["B", "A", "C", "['24/7', '3.429']"]),
        "topic_difficulty": (TEXT, ["Medium", "Easy", "Hard", "Medium"]),
        "question_type": (TEXT, ["multiple-choice"] * 3 + ["open"]),
        "subfield": (TEXT, ["Art History", "Cell Biology", "Harmony", "Geometry"]),
    }, use_dictionary=False)
    put("realworldqa/data/test-00000-of-00002.parquet", {
        "image": pictures(90, 4),
        "question": (TEXT, [
            "Where does the lane turn?\n\nA. Left\nB. Nowhere\nC. Right\n\nPlease answer directly with only the letter "
            "of the correct option and nothing else.",
            "How many vans are parked?\nPlease answer directly with a single word or number.",
            "Is the barrier down?\nPlease answer directly with a single word or number.",
            "Which object is closer?\n\nA. the tree\nB. the bin\n\nPlease answer directly with only the letter of the "
            "correct option and nothing else."]),
        "answer": (TEXT, ["A", "3", "No", "B"]),
        "image_path": (TEXT, [f"{number}.webp" for number in range(4)]),
    })
    frames = [[picture(94)], [picture(95)], [picture(number) for number in (96, 97, 98)], [picture(99)]]
    put("seed-image/data/test-00000-of-00066.parquet", {
        "answer": (TEXT, ["A", "D", "B", "C"]),
        "choice_a": (TEXT, ["One", "On a hill", "A door opens", "blue"]),
        "choice_b": (TEXT, ["Two", "On a bridge", "A cup is washed", "green"]),
        "choice_c": (TEXT, ["Three", "In a cellar", "Bread is cut", "red"]),
        "choice_d": (TEXT, ["Four", "At a shore", "Somebody reads", "white"]),
        "data_id": (TEXT, ["100001_2000000001", "100002_2000000002", "P00_00_01.mp4", "100003_2000000003"]),
        "data_type": (TEXT, ["image", "image", "video", "image"]),
        "question": (TEXT, ["How many kites fly?", "Where do they stand?", "What happens next?",
                            "What color has the fence?"]),
        "question_id": (TEXT, ["100001", "20002", "v3", "100004"]),
        "question_type_id": (pa.int16(), [5, 1, 11, 3]),
        "image": (pa.list_(IMAGE), frames),
        "segment": (pa.list_(pa.int64()), [None, None, [12, 60], None]),
    })


def yes_or_no():
    names = ["existence/0001.png"] * 2 + ["OCR/0002.jpg"] * 2 + ["code_reasoning/0020.png"] * 2
    put("mme/data/test-00000-of-00004-a25dbe3b44c4fda6.parquet", {
        "question_id": (TEXT, names),
        "image": (IMAGE, [picture(100 + row // 2) for row in range(6)]),
        "question": (TEXT, [f"{question} Please answer yes or no." for question in (
            "Is there a kite in this image?", "Is there a boat in this image?", 'Is the word in the logo "tea"?',
            'Is the word in the logo "sea"?', 'Does the program print "Hello"?', 'Does the program print "World"?')]),
        "answer": (TEXT, ["Yes", "No"] * 3),
        "category": (TEXT, ["existence"] * 2 + ["OCR"] * 2 + ["code_reasoning"] * 2),
    })
    subsets = ["adversarial", "popular", "random"]

    def pope(name, categories, first):
        count = 2 * len(categories)
        put(name, {
            "id": (TEXT, [str(first + row) for row in range(count)]),
            "question_id": (TEXT, [str(1 + row % 2) for row in range(count)]),
            "question": (TEXT, [f"Is there a {('kite', 'lantern')[row % 2]} in the image?" for row in range(count)]),
            "answer": (TEXT, [("yes", "no")[row % 2] for row in range(count)]),
            "image_source": (TEXT, ["COCO_val2014_000000000110"] * count),
            "image": (IMAGE, [picture(110)] * count),
            "category": (TEXT, [categories[row // 2] for row in range(count)]),
        })

    pope("pope/data/test-00000-of-00003.parquet", subsets, 0)
    for place, subset in enumerate(subsets):
        pope(f"pope/Full/{subset}-00000-of-00001.parquet", [subset], 2 * place)


def captions():
    put("coco-caption/data/val-00000-of-00002.parquet", {
        "question_id": (TEXT, [f"{number:012}.jpg" for number in (1001, 1002, 1003, 1004)]),
        "image": pictures(120, 4),
        "question": (TEXT, ["Please carefully observe the image and come up with a caption for the image"] * 4),
        "answer": (TEXTS, [["A kite over a long beach.", "A red kite in the wind.", "Somebody flies a kite.",
                            "A kite and two dogs.", "A beach with a kite."],
                           ["A barn beside a field.", "A barn of dark wood.", "An old barn.", "Geese before a barn.",
                            "A farm in the evening."],
                           ["A tin on a shelf.", "One tin among jars.", "A shelf with a tin.", "A kitchen shelf.",
                            "A dented tin.", "A sixth caption."],
                           ["Two people on a bridge.", "People look at a river.", "A bridge with two people.",
                            "A couple above the water.", "Two hikers rest."]]),
        "id": (pa.int64(), [38, 182, 49, 90]),
        "license": (pa.int8(), [3, 1, 2, 4]),
        "file_name": (TEXT, [f"{number:012}.jpg" for number in (1001, 1002, 1003, 1004)]),
        "coco_url": (TEXT, [f"https://example.org/{number}.jpg" for number in range(4)]),
        "height": (pa.int32(), [4] * 4),
        "width": (pa.int32(), [4] * 4),
        "date_captured": (TEXT, ["2013-11-15 14:02:51"] * 4),
    })
    put("nocaps/data/validation-00000-of-00003.parquet", {
        "image": pictures(124, 4),
        "image_coco_url": (TEXT, [f"https://example.org/{number}.jpg" for number in range(4)]),
        "image_date_captured": (TEXT, ["2018-11-06 11:04:33"] * 4),
        "image_file_name": (TEXT, [f"{number:016x}.jpg" for number in range(4)]),
        "image_height": (pa.int32(), [4] * 4),
        "image_width": (pa.int32(), [4] * 4),
        "image_id": (pa.int32(), [0, 1, 2, 3]),
        "image_license": (pa.int8(), [0] * 4),
        "image_open_images_id": (TEXT, [f"{number:016x}" for number in range(4)]),
        "annotations_ids": (pa.list_(pa.int32()), [list(range(3 * row, 3 * row + 3)) for row in range(4)]),
        "annotations_captions": (TEXTS, [["A heron in the reeds.", "A grey bird by the water.", "A heron waits."],
                                         ["A red goblet on a table.", "A cup of glass.", "A goblet."],
                                         ["A harp in a hall.", "A golden harp.", "An old instrument."],
                                         ["A lynx in the snow.", "A wild cat.", "A lynx looks back."]]),
    })
    put("flickr30k/data/test-00000-of-00009.parquet", {
        "image": pictures(128, 4),
        "caption": (TEXTS, [["Two farmers mend a gate.", "Two men and a gate."],
                            ["A woman rows over a lake.", "Somebody in a boat."],
                            ["A boy feeds geese.", "Geese around a child."],
                            ["A baker opens the oven.", "Bread is baked."]]),
        "sentids": (TEXTS, [[str(2 * row), str(2 * row + 1)] for row in range(4)]),
        "img_id": (TEXT, ["0", "1", "2", "3"]),
        "filename": (TEXT, ["1001.jpg", "1002.jpg", "1003.jpg", "1004.jpg"]),
    })


def open_questions():
    put("mm-vet/data/test-00000-of-00001.parquet", {
        "question_id": (TEXT, ["v1_0", "v1_1", "v1_2", "v1_3"]),
        "image": pictures(132, 4),
        "question": (TEXT, ["Which numbers stand for y?", "How long is the side c?", "What lies on the road?",
                            "What is the total, and who pays?"]),
        "answer": (TEXT, ["-2<AND>-7", "1.5<OR>=1.5<OR>3/2", "wet leaves", "12.00<AND>the guest"]),
        "image_source": (TEXT, ["https://example.org/1.png"] * 4),
        "capability": (TEXT, ["ocr,math", "ocr,math", "rec", "ocr,math,spat"]),
    })
    put("llava-bench/data/train-00000-of-00001.parquet", {
        "question_id": (pa.int64(), [0, 1, 2, 3]),
        "question": (TEXT, ["What is the name of this famous sight?", "Describe this photo in detail.",
                            "What could one do here in winter?", "Who might have painted it?"]),
        "image": (IMAGE, [picture(140), picture(140), picture(140), picture(141)]),
        "category": (TEXT, ["conv", "detail", "complex", "conv"]),
        "caption": (TEXT, ["A view over a crater by the sea."] * 3 + ["A painting of a dog."]),
        "gpt_answer": (TEXT, ["It is a crater.", "The photo shows a crater, a town and the sea.",
                              "One could walk up to its rim when it is not too hot.", "Nobody signed it."]),
    })
    items = []
    for number in (100001, 100002, 100003, 100004):
        name = f"coco/train2017/{number:012}.jpg"
        made[f"llava-description/{name}"] = png((number % 256, number // 256 % 256, 40))
        asked = "What do you see happening in this image?\n<image>" if number % 2 else "<image>\nDescribe the scene."
        items.append({"id": f"{number:012}", "image": name, "conversations": [
            {"from": "human", "value": asked},
            {"from": "gpt", "value": f"The image shows a surface of one colour, numbered {number}. It is even."}]})
    made["llava-description/detail_1k.json"] = (json.dumps(items, indent=2) + "\n").encode()
    questions = (("number", "Which number is on the owl?", "The owl in the top left corner has the number 7."),
                 ("count", "How many objects are there?", "There are five objects."),
                 ("color", "What color is the background at the top?", "The background at the top is pink."),
                 ("present", "Is there a hammer?", "No, there is no hammer."))
    lines = []
    for number, (kind, question, answer) in enumerate(questions):
        image = f"images/scene_{number}.png"
        made[f"detail-scenes/{image}"] = png((40 + 60 * number, 90, 40))
        lines.append(json.dumps({"id": f"scene_{number}_0", "image": image, "question": question, "answer": answer, "kind": kind}) + "\n")
    made["detail-scenes/questions.jsonl"] = "".join(lines).encode()


def main():
    words = [word for word in sys.argv[1:] if word != "--check"]
    folder = pathlib.Path(words[0]) if words else HERE / "data/tasks"
    for part in (read_off_documents, asked_of_photographs, multiple_choice, yes_or_no, captions, open_questions):
        part()
    long_task_files.add(made, put, png)
    stale = []
    for name, content in made.items():
        file = folder / name
        if len(content) > LARGEST:
            raise SystemExit(f"{name}: {len(content)} bytes are too many for a fixture")
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_bytes() != content:
                stale.append(name)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    stale += sorted(there - set(made))
    if stale:
        raise SystemExit(f"{folder}: not what {pathlib.Path(__file__).name} makes: {', '.join(stale)}")
    print(f"{len(made)} files, {sum(map(len, made.values()))} bytes")


if __name__ == "__main__":
    main()
