#!/usr/bin/env python3
"""Makes data/parquet: tiny made-up Parquet files in the layouts in which data sets are published, and damaged ones.

    PYTHONPATH=~/.cache/elastikv/arrow-26.0.1 ~/.cache/elastikv/tools/bin/python tests/unit/datasets/make_parquet.py
    ... --check      only compares the files that are there with those that would be made

They are written by pyarrow, so that what is read is what real writers write: dictionaries, snappy and zstd, large
strings, nested lists, several row groups.
"""

import io
import pathlib
import struct
import sys
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = pathlib.Path(__file__).resolve().parent / "data/parquet"
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
made = {}


def png(colour):
    """A picture of 4 x 4 pixels of one colour, not compressed, so that no version of zlib changes it."""
    rows = (b"\0" + bytes(colour) * 4) * 4

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


def picture(number, path=None):
    return {"bytes": png((number * 40 % 256, 90, 160)), "path": path}


def put(name, table, **options):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    made[name] = buffer.getvalue()


def text_vqa(first, count):
    """As TextVQA lies on the hub: ten answers of people, texts that were read off the picture, links."""
    numbers = range(first, first + count)
    return pa.table({
        "image_id": pa.array([f"{n:04x}" for n in numbers]),
        "question_id": pa.array([34602 + n for n in numbers], pa.int32()),
        "question": pa.array([f"what does sign {n} say?" for n in numbers]),
        "image": pa.array([picture(n) for n in numbers], IMAGE),
        "image_width": pa.array([4 for _ in numbers], pa.int32()),
        "flickr_original_url": pa.array([f"https://example.org/{n}.png" for n in numbers]),
        "answers": pa.array([["stop"] * 6 + ["halt"] * 3 + [f"sign {n}"] for n in numbers], pa.list_(pa.string())),
        "ocr_tokens": pa.array([["STOP", None] if n % 2 else [] for n in numbers], pa.list_(pa.string())),
        "set_name": pa.array(["val" for _ in numbers]).dictionary_encode(),
    })


def published():
    put("textvqa/data/train-00000-of-00001.parquet", text_vqa(100, 1), compression="snappy")
    put("textvqa/data/validation-00000-of-00002.parquet", text_vqa(0, 3), compression="snappy", row_group_size=2)
    put("textvqa/data/validation-00001-of-00002.parquet", text_vqa(3, 2), compression="zstd")
    # Two pictures of seven, options as a list that Python printed, an open question with two answers.
    rows = 3
    mmmu = {
        "id": pa.array(["validation_Art_1", "validation_Art_2", "validation_Math_1"]),
        "question": pa.array(["Which is older, <image 1> or <image 2>?", "What is <image 1>?", "How long is x?"]),
        "options": pa.array(["['the first', \"the second's copy\"]", "['a church', 'a mill', 'a bridge', 'a tower']",
                             "[]"]),
    }
    for n in range(1, 8):
        mmmu[f"image_{n}"] = pa.array([picture(row * 7 + n) if n <= (2, 1, 0)[row] else None for row in range(rows)],
                                      IMAGE)
    mmmu |= {"answer": pa.array(["B", "C", "['24/7', '3.429']"]), "subfield": pa.array(["Painting", "Design", "Geometry"])}
    put("mmmu.parquet", pa.table(mmmu), compression="zstd", row_group_size=1)
    # The answer as a place among the choices, a row without a picture, large strings, categories by a dictionary.
    put("scienceqa.parquet", pa.table({
        "image": pa.array([picture(1, "a.png"), None, picture(3)], IMAGE),
        "question": pa.array(["Which animal is it?", "Which is a liquid?", "Which is north?"], pa.large_string()),
        "choices": pa.array([["a cat", "a dog"], ["water", "stone", "air"], ["up", "down"]],
                            pa.large_list(pa.large_string())),
        "answer": pa.array([1, 0, 0], pa.int8()),
        "hint": pa.array(["Look at its ears.", "", None]),
        "subject": pa.array(["biology", "physics", "geography"]).dictionary_encode(),
        "grade": pa.array([2, 8, None], pa.int64()),
    }), compression="gzip")
    put("vqav2.parquet", pa.table({
        "question_id": pa.array([262148000, 262148001], pa.int64()),
        "question": pa.array(["Is it raining?", "How many dogs?"]),
        "multiple_choice_answer": pa.array(["no", "2"]),
        "answers": pa.array([[{"answer": a, "answer_confidence": "yes", "answer_id": i} for i, a in enumerate(answers)]
                             for answers in (["yes", "no", "no"], ["2", "2", "3"])]),
        "image": pa.array([picture(5), picture(5)], IMAGE),
    }), compression="none", data_page_version="2.0")
    # A column of bytes alone, and captions in columns of their own.
    put("detailcaps.parquet", pa.table({
        "source": pa.array(["coco", "sam"]),
        "binary": pa.array([png((9, 9, 9)), None], pa.binary()),
        "image": pa.array(["coco/1.png", "sam/2.png"]),
        "GT_Caption_GPT4O": pa.array(["A grey square.", "Nothing."]),
        "GT_Caption_GPT4V": pa.array(["A dark square.", "Nothing at all."]),
    }))
    put("several.parquet", pa.table({
        "id": pa.array(["both", "gap", "none"]),
        "question": pa.array(["Is <image> older than <image>?", "What is it?", "Is it late?"]),
        "images": pa.array([[picture(1), picture(2)], [None, picture(3)], None], pa.list_(IMAGE)),
        "answer": pa.array([1.5, 3.0, 0.1], pa.float32()),
        "boxes": pa.array([[[1, 2], None], [], None], pa.list_(pa.list_(pa.int16()))),
    }), row_group_size=2)
    put("llava.parquet", pa.table({
        "id": pa.array(["c1"]),
        "image": pa.array([picture(4)], IMAGE),
        "conversations": pa.array([[{"from": "human", "value": "<image>\nWhat is it?"},
                                    {"from": "gpt", "value": "A square."}]]),
    }))


def images_apart():
    """Questions that name their images, and tables of images by their ids."""
    put("apart/questions/test-00000-of-00001.parquet", pa.table({
        "id": pa.array(["q0", "q1", "q2", "q3"]),
        "imageId": pa.array(["n3", "n1", "n3", "n2"]),
        "number": pa.array([3, 1, 3, 2], pa.int16()),
        "both": pa.array([["n1", "n2"], None, ["n3"], []], pa.list_(pa.string())),
        "question": pa.array(["What is it?"] * 4),
        "answer": pa.array(["It is square."] * 4),
    }))
    put("apart/images/test-00000-of-00002.parquet", pa.table({
        "id": pa.array(["n1", "n2"]), "image": pa.array([picture(1), picture(2)], IMAGE)}), row_group_size=1)
    put("apart/images/test-00001-of-00002.parquet", pa.table({
        "id": pa.array(["unused", "n3"]), "image": pa.array([picture(9), picture(3)], IMAGE)}))
    put("apart/numbered.parquet", pa.table({
        "key": pa.array([3, 2, 1], pa.int64()), "picture": pa.array([png((n, n, n)) for n in (3, 2, 1)], pa.binary())}))
    put("hostile/apart-ids.parquet", pa.table({
        "id": pa.array(["n1", None, " "]), "share": pa.array([0.5, 1.0, 2.0]), "right": pa.array([True, False, None]),
        "list": pa.array([["n1"], [], None], pa.list_(pa.string())), "image": pa.array([picture(n) for n in (1, 2, 3)], IMAGE)}))
    put("hostile/apart-repeated.parquet", pa.table({
        "id": pa.array(["n1", "n2", "n1", "n3", "n1"]), "image": pa.array([picture(n) for n in range(5)], IMAGE)}))
    put("hostile/apart-images.parquet", pa.table({
        "id": pa.array(["n1", "n2", "n3", "n4", "n5"]),
        "image": pa.array([[picture(1)], [picture(2), picture(3)], [], [{"bytes": b"", "path": "x.png"}], [None]],
                          pa.list_(IMAGE))}))


def varint(number, size):
    """A number as thrift's compact protocol writes it, padded to so many bytes."""
    number <<= 1  # zigzag of what is not negative
    return bytes((number >> 7 * i & 127) | 128 for i in range(size - 1)) + bytes([number >> 7 * (size - 1)])


def with_page_claim(content, size):
    """Makes the first page's header claim so many plain bytes, in place of its checksum."""
    at = 4
    end = content.index(b"\x1c", at)  # the header of the kind of page begins
    fields = []
    position = at
    while position < end:
        start = position + 1
        position = start
        while content[position] & 128:
            position += 1
        position += 1
        fields.append(content[start:position])
    kind, plain, packed, checksum = fields
    claimed = varint(size, len(plain) + len(checksum) + 1)
    header = b"\x15" + kind + b"\x15" + claimed + b"\x15" + packed + b"\x2c"
    assert len(header) == end + 1 - at
    return content[:at] + header + content[end + 1:]


def damaged():
    put("hostile/zero-rows.parquet", text_vqa(0, 0))
    cut = png((1, 2, 3))
    put("hostile/broken-images.parquet", pa.table({
        "id": pa.array(["good", "empty", "gif", "cut", "nothing", "named"]),
        "question": pa.array(["What is it?"] * 6),
        "answer": pa.array(["It is square."] * 6),
        "image": pa.array([picture(1), {"bytes": b"", "path": None}, {"bytes": b"GIF89a....", "path": "x.gif"},
                           {"bytes": cut[:len(cut) // 2], "path": None}, {"bytes": None, "path": None},
                           {"bytes": None, "path": "gone.png"}], IMAGE),
    }))
    latin = pa.array([b"What is a caf\xe9?", b"What is tea?"], pa.binary())
    put("hostile/not-utf8.parquet", pa.table({
        "question": pa.StringArray.from_buffers(2, latin.buffers()[1], latin.buffers()[2]),
        "answer": pa.array(["A place.", "A drink."]),
    }))
    put("hostile/one-name-twice.parquet", pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["question", "question"]))
    table = pa.table({"question": pa.array(["What is it?"]), "answer": pa.array(["A page."])})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="snappy", use_dictionary=False, write_page_checksum=True)
    made["hostile/page-of-2-gb.parquet"] = with_page_claim(buffer.getvalue(), 2**31 - 1)
    made["hostile/page-of-10-gb.parquet"] = with_page_claim(buffer.getvalue(), 10**10)
    # A few bytes that are a million rows of null.
    rows = 1_000_000
    put("hostile/many-nulls.parquet", pa.table({"question": pa.nulls(rows, pa.string()), "answer": pa.nulls(rows, pa.string())}),
        row_group_size=rows)
    # One text of a megabyte, which a dictionary repeats for each row.
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["word " * 200_000]))
    put("hostile/repeated-text.parquet", pa.table({"question": text, "answer": text}), compression="zstd")
    nested = pa.array([[[None, []], None], None, [[["x", None]]]], pa.list_(pa.list_(pa.list_(pa.string()))))
    put("hostile/nested-nulls.parquet", pa.table({
        "question": pa.array(["What is it?", None, ""]), "answer": nested,
        "image": pa.array([None, [], [None]], pa.list_(IMAGE))}))


def main():
    published()
    images_apart()
    damaged()
    stale = []
    for name, content in made.items():
        file = FOLDER / name
        if len(content) > 20_000:
            raise SystemExit(f"{name}: {len(content)} bytes are too many for a fixture")
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_bytes() != content:
                stale.append(name)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    there = {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*") if file.is_file()}
    stale += sorted(there - set(made))
    if stale:
        raise SystemExit(f"{FOLDER}: not what {pathlib.Path(__file__).name} makes: {', '.join(stale)}")
    print(f"{len(made)} files, {sum(map(len, made.values()))} bytes")


if __name__ == "__main__":
    main()
