#!/usr/bin/env python3
"""Writes tests/unit/text/data/random: hashes of what Python's tokenizers make of 20,000 random strings per kind.

The strings are made from data/random/tables.json by the rule below, which tests/unit/text/random_text.h follows too, so
only hashes are kept: for each block of 20 strings one of the strings, one of their ids (special tokens around), one of
the ids' text, one of that text without special tokens, and one of both texts of random ids.

  make_random_text_golden.py tables            the tables, from the lists in make_tokenizer_golden.py
  make_random_text_golden.py train             the small models of the kinds that have no tokenizer.json
  make_random_text_golden.py KIND ...          the hashes of these kinds (all: all that this Python can make)
  make_random_text_golden.py --show N KIND     block N of a kind: strings and ids

Needs tests/parity/requirements.txt; the kind llama-model and the model beside it need requirements-slow-tokenizer.txt in
an environment of their own, since transformers 5 has no LlamaTokenizer in Python any more.

Characters that came to Unicode after version 14 are left out: the C++ side classifies by Unicode 14 (utf8proc 2.8,
Oniguruma 6.9.8), the Python packages by newer tables.
"""
import argparse
import base64
import json
import pathlib
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "unit" / "text" / "data"
COUNT = 20000
BLOCK = 20
MASK = (1 << 64) - 1
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")


class Draw:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit


def random_text(tables, index):
    """The bytes of string `index`."""
    draw = Draw(tables["seed"] + index)

    def pick(name):
        return tables[name][draw.below(len(tables[name]))].encode()

    def run(low, high, most):
        return b"".join(chr(low + draw.below(high - low)).encode() for _ in range(1 + draw.below(most)))

    text = b""
    for _ in range(1 + draw.below(6)):
        kind = draw.below(16)
        if kind < 5:
            text += pick("words")
        elif kind < 8:
            low, high = tables["ranges"][draw.below(len(tables["ranges"]))]
            text += run(low, high, 8)
        elif kind == 8:
            blank = pick("blanks")
            text += blank * (1 + draw.below(10))
        elif kind == 9:
            text += pick("special")
        elif kind == 10:
            text += run(0, 0x20, 3)
        elif kind == 11:
            text += bytes(0x80 + draw.below(128) for _ in range(1 + draw.below(4)))
        elif kind == 12:
            text += run(ord("a"), ord("z") + 1, 1) + run(0x300, 0x370, 4)
        elif kind == 13:
            text += pick("emoji")
        elif kind == 14:
            text += run(ord("0"), ord("9") + 1, 12)
        else:
            text += run(ord("!"), ord("/") + 1, 6)
        if draw.below(3) > 0:
            text += b" "
    if index % 500 == 7:
        low, high = tables["long"][draw.below(len(tables["long"]))]
        text += b"".join(chr(low + draw.below(high - low)).encode() for _ in range(1000 + draw.below(4000)))
    if index % 500 == 11:
        text += pick("blanks") * (1000 + draw.below(2000)) + pick("words")
    return text


def random_ids(tables, index, size):
    """Ids below `size`, one in two of the first 300 (bytes and special tokens)."""
    draw = Draw(tables["seed"] + index + 1000000000)
    return [draw.below(min(size, 300)) if draw.below(2) else draw.below(size) for _ in range(draw.below(12))]


class Hash:
    """64-bit FNV-1a."""

    def __init__(self):
        self.value = 0xCBF29CE484222325

    def add(self, data):
        value = self.value
        for byte in data:
            value = ((value ^ byte) * 0x100000001B3) & MASK
        self.value = value

    def __str__(self):
        return f"{self.value:016x}"


def write_tables():
    from make_tokenizer_golden import SENTENCES
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    words += ["it's", "IT'S", "we'LL", "\u0130stanbul", "\u03a3\u0391\u03a3", "x'\u017f", "\u212a", "<", "<|", "|>", "<0x0A>", "\u2581", "\u2581a", "\u0120", "unk"]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<tool>", "<s>", "</s>", "<unk>", "<pad>", "<img>", "</img>",
               "<imgpad>", "<|extra_10|>", "<box>", "<|begin_of_text|>", "<image", "</ref>", "<extra>"]
    emoji = ["\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308",
             "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\u2603", "\U0001f916\U0001f916", "1\ufe0f\u20e3"]
    blanks = [" ", " ", "\n", "\t", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\u200b", " \n", "\n "]
    ranges = [[0x20, 0x7f], [0x20, 0x7f], [0x20, 0x7f], [0xa0, 0x250], [0x300, 0x370], [0x3a3, 0x400], [0x400, 0x530], [0x5d0, 0x5eb],
              [0x620, 0x670], [0x900, 0x980], [0xe01, 0xe3b], [0x1100, 0x1200], [0x10d0, 0x10f6], [0x1e00, 0x1f00], [0x2000, 0x2065],
              [0x2100, 0x2183], [0x2190, 0x2300], [0x2460, 0x2500], [0x3041, 0x3097], [0x30a0, 0x3100], [0x4e00, 0x9fa6],
              [0x4e00, 0x4f00], [0xac00, 0xd7a4], [0xe000, 0xe100], [0xf900, 0xfa2e], [0xfb00, 0xfb07], [0xfdd0, 0xfdf0],
              [0xfe00, 0xfe10], [0xff01, 0xff5f], [0xff61, 0xffa0], [0x10400, 0x10450], [0x1d400, 0x1d455], [0x1f300, 0x1f650],
              [0x20000, 0x2a6d7], [0xe0020, 0xe0080], [0x10fff0, 0x110000]]
    tables = {"seed": 20240721, "words": words, "special": special, "emoji": emoji, "blanks": blanks, "ranges": ranges,
              "long": [[ord("a"), ord("z") + 1], [ord("x"), ord("x") + 1], [ord("a"), ord("c")], [0x4e00, 0x4f00], [ord("0"), ord("9") + 1]]}
    (DATA / "random").mkdir(exist_ok=True)
    (DATA / "random" / "tables.json").write_text(json.dumps(tables, separators=(",", ":")) + "\n")


def corpus():
    from make_tokenizer_golden import SENTENCES
    return [sentence.replace("\n", " ") for sentence in SENTENCES]


def train_sentencepiece():
    import contextlib
    import sentencepiece
    import tempfile
    models = {
        # As LLaMA's was trained: no normalization, every blank kept, digits alone, bytes for the rest.
        "llama-model": dict(model_type="bpe", vocab_size=700, byte_fallback=True, split_digits=True, remove_extra_whitespaces=False,
                            allow_whitespace_only_pieces=True),
        # One blank for several, none at the ends, and no bytes: what is not known is <unk>.
        "llama-model-plain": dict(model_type="bpe", vocab_size=500),
        "unigram-model": dict(model_type="unigram", vocab_size=400, hard_vocab_limit=False)}
    # File names go into the model: relative ones are the same everywhere.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        pathlib.Path("corpus.txt").write_text("\n".join(corpus() * 3) + "\n")
        for name, settings in models.items():
            sentencepiece.SentencePieceTrainer.train(input="corpus.txt", model_prefix=name, character_coverage=0.98,
                                                     normalization_rule_name="identity", minloglevel=2, **settings)
            (DATA / name).mkdir(exist_ok=True)
            (DATA / name / "tokenizer.model").write_bytes(pathlib.Path(f"{name}.model").read_bytes())
    folder = DATA / "llama-model"
    token = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    size = 700
    added = {"0": "<unk>", "1": "<s>", "2": "</s>", str(size): "<image>", str(size + 1): "<pad>", str(size + 2): "<extra>"}
    config = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
              "pad_token": "<pad>", "legacy": True, "tokenizer_class": "LlamaTokenizer", "additional_special_tokens": ["<extra>"],
              "clean_up_tokenization_spaces": False,
              "added_tokens_decoder": {i: {"content": text, **token} for i, text in added.items()}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    # The new rules, tokens in the older files.
    later = DATA / "llama-model-later"
    later.mkdir(exist_ok=True)
    (later / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
    (later / "tokenizer_config.json").write_text(json.dumps({"legacy": False, "add_eos_token": True, "tokenizer_class": "LlamaTokenizer"}, indent=1) + "\n")
    (later / "added_tokens.json").write_text(json.dumps({"<image>": size, "<tool>": size + 1}, indent=1) + "\n")
    named = {"bos_token": {"content": "<s>", **token}, "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
             "additional_special_tokens": ["<image>"]}
    named["bos_token"].pop("special")
    (later / "special_tokens_map.json").write_text(json.dumps(named, indent=1) + "\n")


def train_byte_level():
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    def trained(cut, size):
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = cut
        trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        t.train_from_iterator(corpus() * 3, trainer)
        model = json.loads(t.to_str())["model"]
        return model["vocab"], model["merges"]

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocab, merges = trained(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN), behavior="isolated"), byte_level]), 600)

    # tiktoken: bytes first, then the merges' results.
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [b for b in range(256) if b not in printable]
    byte_of = {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}
    tokens = [bytes([b]) for b in range(256)]
    for left, right in merges:
        joined = bytes(byte_of[c] for c in left + right)
        if joined not in tokens:
            tokens.append(joined)
    folder = DATA / "qwen-tiktoken"
    folder.mkdir(exist_ok=True)
    (folder / "qwen.tiktoken").write_text("".join(f"{base64.b64encode(t).decode()} {i}\n" for i, t in enumerate(tokens)))

    def files(name, vocab, merges, config):
        folder = DATA / name
        folder.mkdir(exist_ok=True)
        (folder / "vocab.json").write_text(json.dumps(vocab, separators=(",", ":")) + "\n")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")

    token = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    size = len(vocab)
    texts = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    files("qwen2-files", vocab, merges, {
        "tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "add_prefix_space": False,
        "added_tokens_decoder": {**{str(size + i): {"content": text, **token} for i, text in enumerate(texts)},
                                 str(size + 3): {"content": "<tool>", **token, "special": False}}})
    vocab, merges = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), 500)
    vocab["<|endoftext|>"] = len(vocab)
    files("gpt2-files", vocab, merges, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False,
                                        "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"})


def file_kind(name):
    """A tokenizer.json."""
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(str(DATA / name / "tokenizer.json"))
    return (lambda text: t.encode(text).ids,
            lambda ids, skip: t.decode(ids, skip_special_tokens=skip), t.get_vocab_size())


def llama_kind(name):
    """transformers' LlamaTokenizer in Python, over the package sentencepiece."""
    import transformers
    if int(transformers.__version__.split(".")[0]) >= 5:
        raise SystemExit(f"{name} needs transformers below 5 (requirements-slow-tokenizer.txt), this is {transformers.__version__}")
    t = transformers.LlamaTokenizer.from_pretrained(DATA / name)
    return (lambda text: t.encode(text),
            lambda ids, skip: t.decode(ids, skip_special_tokens=skip), len(t))


def tiktoken_kind(name):
    """The package tiktoken, with what Qwen's code adds: NFC, and special tokens behind the ranks."""
    import tiktoken
    ranks = {}
    for line in (DATA / name / "qwen.tiktoken").read_text().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    texts = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205)), "<ref>", "</ref>", "<box>", "</box>",
             "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"]
    special = {text: len(ranks) + i for i, text in enumerate(texts)}
    t = tiktoken.Encoding("qwen", pat_str=QWEN, mergeable_ranks=ranks, special_tokens=special)

    def decode(ids, skip):
        return t.decode([i for i in ids if not skip or i < len(ranks)], errors="replace")

    def encode(text):
        return t.encode(unicodedata.normalize("NFC", text), allowed_special="all", disallowed_special=())

    return encode, decode, t.n_vocab


def files_kind(name):
    """vocab.json and merges.txt through transformers' class."""
    import transformers
    kind = json.loads((DATA / name / "tokenizer_config.json").read_text())["tokenizer_class"]
    t = getattr(transformers, kind).from_pretrained(DATA / name)
    return (lambda text: t.encode(text),
            lambda ids, skip: t.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False), len(t))


KINDS = {**{name: file_kind for name in ["llama-like", "llama3-like", "qwen2-like", "smollm2-like"]},
         **{name: llama_kind for name in ["llama-model", "llama-model-later", "llama-model-plain"]},
         "qwen-tiktoken": tiktoken_kind, **{name: files_kind for name in ["qwen2-files", "gpt2-files"]}}


def blocks_of(kind, blocks):
    tables = json.loads((DATA / "random" / "tables.json").read_text())
    encode, decode, size = KINDS[kind](kind)
    for block in blocks:
        cases = []
        for index in range(block * BLOCK, (block + 1) * BLOCK):
            raw = random_text(tables, index)
            ids = encode(raw.decode("utf-8", errors="replace"))
            other = random_ids(tables, index, size)
            cases.append((raw, ids, decode(ids, False), decode(ids, True), other, decode(other, False), decode(other, True)))
        yield block, cases


def write_hashes(kind):
    with open(DATA / "random" / f"{kind}.txt", "w", newline="\n") as out:
        for _, cases in blocks_of(kind, range(COUNT // BLOCK)):
            hashes = [Hash() for _ in range(5)]
            for raw, ids, plain, skip, _, other_plain, other_skip in cases:
                hashes[0].add(raw + b"\xff\xff")
                hashes[1].add(b"".join(i.to_bytes(4, "little") for i in ids) + b"\xff\xff\xff\xff")
                hashes[2].add(plain.encode() + b"\xff")
                hashes[3].add(skip.encode() + b"\xff")
                hashes[4].add(other_plain.encode() + b"\xff" + other_skip.encode() + b"\xff")
            out.write(" ".join(map(str, hashes)) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="+")
    parser.add_argument("--show", type=int, metavar="BLOCK")
    arguments = parser.parse_args()
    for what in arguments.what:
        if what == "tables":
            write_tables()
        elif what == "train":
            train_sentencepiece()
            train_byte_level()
        elif arguments.show is not None:
            for _, cases in blocks_of(what, [arguments.show]):
                for raw, ids, plain, skip, other, other_plain, other_skip in cases:
                    print(raw, ids, ascii(plain), ascii(skip), other, ascii(other_plain), ascii(other_skip), sep="\n  ")
        else:
            write_hashes(what)
            print(what)


if __name__ == "__main__":
    main()
