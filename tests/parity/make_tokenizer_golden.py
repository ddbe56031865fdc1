#!/usr/bin/env python3
"""Writes tests/unit/text/data: what Hugging Face's tokenizers and transformers make of many strings.

Needs tokenizers 0.23 and, for the prompts, transformers 5.17 with torch, torchvision and pillow.
  make_tokenizer_golden.py [--model models/stampvlm] [--output tests/unit/text/data]
Every line of a golden.jsonl is one case, ASCII only. The small tokenizers beside them are trained here, on the
sentences below; where counts tie, another run may train another vocabulary, so the files of one run belong together.
"""
import argparse
import json
import pathlib
import random
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")

SENTENCES = [
    "In the top left corner there is a large owl.",
    "A small drum kit can be seen at the bottom.",
    "There is nothing on the left side.",
    "What's the colour of the background? It's light-blue, isn't it? I'll say they've seen WE'LL and I'D.",
    "Straße, façade, naïve, coöperate, Ångström, São Paulo, žluťoučký kůň",
    "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "Ο καλύτερος φίλος του ανθρώπου ΣΑΣ",
    "敏捷的棕色狐狸跳过懒狗。今天天气很好!",
    "いろはにほへと ちりぬるを カタカナ ﾊﾝｶｸ",
    "다람쥐 헌 쳇바퀴에 타고파",
    "مرحبا بالعالم ١٢٣ שלום עולם",
    "नमस्ते दुनिया १२३ สวัสดีชาวโลก ๑๒๓ வணக்கம்",
    "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️ ☃ 🤖🤖🤖",
    "e\u0301 a\u0308 n\u0303o \u212b \ufb01nd \u1e9b\u0323 q\u0307\u0323 \u1112\u1161\u11ab",
    "3.14159 1,000,000 2024-02-29 0x1F 1e-10 ⅷ ½ ² ①",
    "def f(x):\n    return {'a': [1, 2, 3], \"b\": x ** 2}  # comment\n",
    "for (int i = 0; i < n; ++i) { sum += a[i]; }\t// loop\r\n",
    "<div class=\"x\">&amp; &nbsp;</div>",
    "https://example.org/a?b=c&d=%20#frag mail@example.org",
    "SELECT * FROM t WHERE a <> 'b' -- x",
    "$x^2 + y_1 = \\frac{1}{2}$ §5 ©®™ €£¥ “quoted” ‘single’ — dash… •",
]

EDGES = [
    "", " ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n\n", " \n ", "a", " a", "a ", "  a  ", "\x00", "a\x00b", "\x01\x02\x1f\x7f",
    "\u0085", "\u00a0", "\u00a0\u00a0x", "\u2003\u2003em", "\u3000全角", "\u200b", "\u200d", "\ufeff", "\ufeffBOM", "\ufffd", "\uffff",
    "\U0010ffff", "\U0001f600", "\u0301", "\u0301a", "\u180e", "'s", "'S", "it's", "IT'S", "''''", "'ll've", "don't", "DON'T",
    "a'b", "1234567890", "12 345", "1a2b3c", "٣٤٥", "x²", "Ⅷ", "½x", "hello world", "hello  world", "hello   world   ", "hello\tworld",
    "hello\n world", "line1\r\nline2\r\n\r\nline3", "trailing spaces    \n", "    indented", "\t\tindented", "\n\n  x", "!!!", "?!?!",
    "...", "--", "a-b", "a_b", "snake_case_name", "CamelCaseName", "ALLCAPS", "x" * 100, "ab" * 200, "a " * 50, " " * 77, "\n" * 31,
    "\t" * 9 + "x", "é" * 40, "👍" * 20, "1" * 50, "." * 70, "=" * 80, "the " * 30, "antidisestablishmentarianism",
    "Pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "<image>", "<image>\n", " <image>", "<image> ", "<image><image>", "a<image>b", "<image", "image>", "< image >", "<IMAGE>",
    "<<image>>", "<|im_start|>", "<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|im_end|><|im_start|>",
    "x<|endoftext|>y", "<|im_start|", "|im_start|>", "<|im_<|im_end|>", "<file_sep>a<filename>b<gh_stars>", "<reponame><repo_name>",
    "<jupyter_code>print(1)<jupyter_output>1", "<0x0A>", "<0xE2><0x96><0x81>", "▁", "▁a▁b", "Ġ", "ĠhelloĊ", "Ã©", "<s>", "</s>", "<unk>",
    "USER: <image>\nWhat is this? ASSISTANT:", "\u1e9b\u0323", "\u0344", "\u2126\u212b", "\uac00", "\u1100\u1161", "\uf900", "ﬃ",
    "İstanbul", "ΣΑΣ", "ǅ", "ß", "\u0130", "\u0345", "\U0001d7d9", "\U00010400", "zero\u200bwidth", "soft\u00adhyphen",
    "left\u202eright", "\u2028\u2029", "ａｂｃ１２３",
]


def strings(count, seed, extra=()):
    """The edge cases, the sentences, and `count` random mixtures."""
    draw = random.Random(seed)
    cases = EDGES + SENTENCES + [" " + s for s in SENTENCES[:6]] + list(extra)
    words = [w for s in SENTENCES for w in s.split()] + list(extra)
    blanks = [" ", " ", " ", "", "  ", "\n", "\t", "\r\n", "   ", "\u00a0"]
    scripts = [(0x20, 0x7f), (0x20, 0x7f), (0xa0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x6ff), (0x900, 0xa00), (0xe00, 0xe80),
               (0x2000, 0x2070), (0x3040, 0x3100), (0x4e00, 0x4f00), (0xac00, 0xad00), (0x1f600, 0x1f650)]
    for i in range(count):
        if i % 2:
            text = "".join(draw.choice(words) + draw.choice(blanks) for _ in range(draw.randint(1, 8)))
        else:
            text = ""
            for _ in range(draw.randint(1, 6)):
                low, high = draw.choice(scripts)
                text += "".join(chr(draw.randrange(low, high)) for _ in range(draw.randint(1, 4))) + draw.choice(blanks)
        cases.append(text)
    return cases


def write_lines(file, lines):
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="\n") as out:
        for line in lines:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


def encode_lines(tokenizer, texts):
    for text in texts:
        line = {"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids}
        special = tokenizer.encode(text, add_special_tokens=True).ids
        if special != line["ids"]:
            line["special_ids"] = special
        yield line


def decode_lines(tokenizer, texts, count, seed):
    """Ids of texts cut short (which leaves characters in parts) and random ids, some of no token."""
    draw = random.Random(seed)
    size = tokenizer.get_vocab_size()
    lists = []
    for text in texts[:: max(1, len(texts) // count)]:
        ids = tokenizer.encode(text).ids
        lists.append(ids[draw.randint(0, 2): max(1, len(ids) - draw.randint(0, 2))])
    for _ in range(count):
        low = draw.random() < 0.5
        lists.append([draw.randrange(min(size, 300) if low else size + 20) for _ in range(draw.randint(1, 12))])
    for ids in [[]] + lists:
        yield {"decode": ids, "plain": tokenizer.decode(ids, skip_special_tokens=False),
               "skip": tokenizer.decode(ids, skip_special_tokens=True)}


def golden(tokenizer, folder, count=60, extra=()):
    texts = strings(count, seed=len(folder.name), extra=extra)
    write_lines(folder / "golden.jsonl",
                list(encode_lines(tokenizer, texts)) + list(decode_lines(tokenizer, texts, count, seed=7)))


def save(tokenizer, folder, edit=None):
    """Saves tokenizer.json, after a change to its JSON if wanted, and returns the tokenizer it holds."""
    content = json.loads(tokenizer.to_str())
    if edit:
        edit(content)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n")
    return Tokenizer.from_str(text)


def train(tokenizer, size, special=()):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(SENTENCES * 2, trainer)
    return tokenizer


def qwen2_like(output):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.decoder = decoders.ByteLevel()
    train(t, 420)
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"])
    t.add_tokens([AddedToken("<tool>", normalized=False)])
    golden(save(t, output / "qwen2-like"), output / "qwen2-like", extra=["<tool>x", "a<tool>"])


def smollm2_like(output):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 400, special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    golden(save(t, output / "smollm2-like"), output / "smollm2-like")


def llama3_like(output):
    """Merges as strings, and whole pieces of the vocabulary taken without merging."""
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 420)

    def edit(content):
        model = content["model"]
        model["merges"] = [" ".join(pair) for pair in model["merges"]]
        # Words that no merge makes: only ignore_merges finds them.
        for word in ["\u0120owl.", "\u0120drum", "wwwww", "\u0120\u0120\u0120\u0120\u0120\u0120\u0120"]:
            model["vocab"].setdefault(word, len(model["vocab"]))
        bos = len(model["vocab"])
        content["added_tokens"] = [dict(id=bos, content="<|begin_of_text|>", single_word=False, lstrip=False, rstrip=False,
                                        normalized=False, special=True)]
        content["post_processor"] = {"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}},
                                                      {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [bos], "tokens": ["<|begin_of_text|>"]}}}]}

    golden(save(t, output / "llama3-like", edit), output / "llama3-like", extra=["wwwww", "wwwwwwwwww", "owl.", " owl.", "       "])


def added_tokens(output):
    """Tokens that swallow white space, stand alone, or are looked for after normalization."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    train(t, 360)
    t.add_special_tokens([AddedToken("<image>", normalized=False), AddedToken("<l>", lstrip=True, normalized=False),
                          AddedToken("<r>", rstrip=True, normalized=False),
                          AddedToken("<lr>", lstrip=True, rstrip=True, normalized=False)])
    t.add_tokens([AddedToken("cat", single_word=True, normalized=False), AddedToken("catalogue", normalized=False),
                  AddedToken("cat fish", normalized=False), AddedToken("Dog", normalized=True),
                  AddedToken("ﬁsh", normalized=True, single_word=True), AddedToken("BIRD", normalized=True, lstrip=True, rstrip=True),
                  AddedToken("ab", normalized=False), AddedToken("abc", normalized=False), AddedToken("bcd", normalized=False),
                  AddedToken("two words", normalized=False), AddedToken(" lead", normalized=False), AddedToken("日本", normalized=True)])
    bos, eos = t.token_to_id("<l>"), t.token_to_id("<r>")
    t.post_processor = processors.TemplateProcessing(single="<l> $A <r>", special_tokens=[("<l>", bos), ("<r>", eos)])
    extra = ["cat", "a cat sat", "concat", "cats", "cat.", "_cat", "cat_", "cat1", "caté", "cat\u0301", "cat\u200dx", "\u200ccat", "catalogue",
             "cat fish", "cat fishing", "Dog", "dog", "DOG", "hotdog", "ﬁsh", "fish", "FISH", "fishy", "bird", "a \t BIRD \n b", "abcd", "abab",
             "abcbcd", "xbcd", "a <l> b", "a  \u3000<l>b", "a<r>  \n b", "a <r> <l> b", "<r>  <l>", " <lr> ", "a  <lr>  <lr>  b", "<lr><image> <l>",
             "<r> lead", "x lead", "  lead", "two words", "two  words", "日本語", "cat cat cat", "cat<image>cat", "Cat"]
    golden(save(t, output / "added-tokens"), output / "added-tokens", extra=extra)


def llama_like(output):
    """Characters with byte fallback, the whole text one piece: LLaMA's and Vicuna's form."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=640, special_tokens=special, show_progress=False, limit_alphabet=100)
    t.train_from_iterator(SENTENCES * 2, trainer)

    def edit(content):
        content["pre_tokenizer"] = None
        content["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
        content["decoder"] = {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
        flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
        content["added_tokens"] = [dict(id=i, content=c, **flags) for i, c in enumerate(["<unk>", "<s>", "</s>"])]
        content["added_tokens"].append(dict(id=len(content["model"]["vocab"]), content="<image>", **flags))
        content["post_processor"] = {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}

    folder = output / "llama-like"
    t = save(t, folder, edit)
    golden(t, folder)
    prompts = ["USER: <image>\nWhat is in the corner? ASSISTANT:", "<image>", "<image><image>", "a <image> b<image>", "no picture",
               "<s>USER: <image>\nWith its own BOS ASSISTANT:", "question\n<image>"]
    lines = []
    for text in prompts:
        images = text.count("<image>")
        ids = t.encode(text.replace("<image>", "<image>" * 3), add_special_tokens=not text.startswith("<s>")).ids
        lines.append({"text": text, "image_tokens": [3] * images, "image_token_id": t.token_to_id("<image>"), "ids": ids})
    write_lines(folder / "prompts.jsonl", lines)


def unknown_like(output):
    """Neither bytes nor fallback: unknown characters, not fused, and SentencePiece marks."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=160, special_tokens=["<unk>", "<image>"], show_progress=False, limit_alphabet=60)
    t.train_from_iterator(SENTENCES * 2, trainer)
    golden(save(t, output / "unknown-like"), output / "unknown-like")


def components(output):
    """Single parts of a tokenizer.json on their own."""
    texts = ["", "a", "-", "a-b", "--a--b--", "a - b", "1a22b333", "hello, world!  x\ty", "  lead", "trail  ", "\u00a0\u3000x ", "x²½Ⅷ٣",
             "don't STOP", "日本語, テキスト。", "a_b-c.d", "“q” $5 + €6 ~^`", "▁a▁b", "é\u0301\u0308e", "\ufb01\u1e9b\u0323ǅİΣ\U00010400", "aaa", "abaab",
             "\u200d\u200c", "\u212b\u2126\uac00\u1100\u1161\u11a8", "x\u0345y", "  ", "\n\r\n"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    cutters = [byte_level, {**byte_level, "add_prefix_space": False}, {**byte_level, "use_regex": False},
               {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False},
               {"type": "Whitespace"}, {"type": "WhitespaceSplit"}]
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        cutters.append({"type": "Punctuation", "behavior": behavior})
        for pattern in [{"String": "-"}, {"String": "a"}, {"String": ". "}, {"String": "^"}, {"Regex": r"\s+"}, {"Regex": r"a*"}, {"Regex": r"\p{L}+|\d"}]:
            for invert in [False, True]:
                cutters.append({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert})
    for scheme in ["always", "first", "never"]:
        for cut in [True, False]:
            cutters.append({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut})
    cutters.append({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": True},
                                                          {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}]})
    changers = [{"type": kind} for kind in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]]
    changers += [{"type": "Prepend", "prepend": "▁"}, {"type": "Sequence", "normalizers": []},
                 {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, {"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""},
                 {"type": "Replace", "pattern": {"String": "."}, "content": "(dot)"},
                 {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]}]
    for left in [True, False]:
        for right in [True, False]:
            changers.append({"type": "Strip", "strip_left": left, "strip_right": right})
    pieces = [[], [""], ["▁a", "▁b"], ["<0xE2>", "<0x96>", "<0x81>", "x"], ["<0xE2>", "<0x96>", "x", "<0xff>"], ["<0xE2>"], ["<0x4"], ["  a ", " b  "],
              [" ", " ", "a"], ["Ġhello", "Ċ", "Ã", "©", "Ã"], ["ð", "Ł", "ĺ"], ["a b", "Ġc"], ["▁", "▁▁x▁"], ["ab", "c", "abc"], ["â", "ĸ", "ģ"],
              ["h", "e"], ["▁<0x0A>", "<0x0A>"]]
    fallback = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    readers = [None, {"type": "ByteFallback"}, {"type": "Fuse"}, byte_level, {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
               {"type": "Replace", "pattern": {"Regex": "[ab]+"}, "content": "_"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1},
               {"type": "Strip", "content": " ", "start": 2, "stop": 0},
               {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
               {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True},
               {"type": "Sequence", "decoders": fallback}, {"type": "Sequence", "decoders": [*fallback, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
               {"type": "Sequence", "decoders": [*fallback, {"type": "Strip", "content": " ", "start": 2, "stop": 1}]},
               {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "abc"}, "content": "_"}]},
               {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}]},
               {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, byte_level, {"type": "Strip", "content": "h", "start": 1, "stop": 1}]}]
    lines = []

    def build(**parts):
        content = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                   "post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}, **parts}
        return Tokenizer.from_str(json.dumps(content))

    for part in cutters:
        cutter = build(pre_tokenizer=part).pre_tokenizer
        cases = [[text, [piece for piece, _ in cutter.pre_tokenize_str(text)]] for text in texts]
        lines.append({"pre_tokenizer": part, "cases": cases})
    for part in changers:
        changer = build(normalizer=part).normalizer
        lines.append({"normalizer": part, "cases": [[text, changer.normalize_str(text)] for text in texts]})
    for part in readers:
        t = build(decoder=part)
        cases = []
        for tokens in pieces:
            if part is None:
                cases.append([tokens, " ".join(tokens)])  # what Tokenizer.decode does without a decoder
                continue
            try:
                cases.append([tokens, t.decoder.decode(tokens)])
            except BaseException as panic:  # Strip of more than there is panics there
                assert "Panic" in type(panic).__name__, panic
        lines.append({"decoder": part, "cases": cases})
    write_lines(output / "components.jsonl", lines)


def stampvlm(model, output):
    folder = output / "stampvlm"
    golden(Tokenizer.from_file(str(model / "tokenizer.json")), folder, count=180)

    import shutil
    import numpy
    from PIL import Image
    from transformers import AutoProcessor
    with tempfile.TemporaryDirectory() as scratch:
        for name in ["tokenizer.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json", "chat_template.jinja", "config.json"]:
            shutil.copy(model / name, scratch)
        processor = AutoProcessor.from_pretrained(scratch)
    picture = Image.fromarray(numpy.zeros((192, 192, 3), dtype=numpy.uint8))

    def image_then(text):
        return [{"type": "image"}, {"type": "text", "text": text}]

    conversations = [
        [("user", "What is at the top?", 1)], [("user", "Describe the picture in detail.", 1)], [("user", "No picture here.", 0)],
        [("user", "Where is the owl?", 1), ("assistant", "The owl is on the left side.", 0), ("user", "How many objects are there?", 0)],
        [("system", "You answer in one word.", 0), ("user", "Which colour?", 1)],
        [("system", "Two of them.", 0), ("user", "Compare.", 2)],
        [("user", "text first\n<image>", 0)], [("user", "<image>\nas LLaVA's files write it", 0)], [("user", "a <image> between <image> words  ", 0)],
        [("user", " leading blank, \u65e5\u672c\u8a9e \U0001f44d", 1), ("assistant", "ok", 0)],
    ]
    lines = []
    for turns in conversations:
        for generate in [True, False]:
            messages = [{"role": role, "content": [{"type": "image"}] * images + [{"type": "text", "text": text}]} for role, text, images in turns]
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
            count = text.count("<image>")
            inputs = processor(text=text, images=[picture] * count if count else None)
            ids = inputs["input_ids"][0] if isinstance(inputs["input_ids"][0], list) else inputs["input_ids"]
            lines.append({"turns": [[role, said, images] for role, said, images in turns], "answer_follows": generate, "rendered": text,
                          "ids": [int(i) for i in ids]})
    write_lines(folder / "prompts.jsonl", lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models" / "stampvlm")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "tests" / "unit" / "text" / "data")
    arguments = parser.parse_args()
    print("tokenizers", tokenizers.__version__)
    qwen2_like(arguments.output)
    smollm2_like(arguments.output)
    llama3_like(arguments.output)
    added_tokens(arguments.output)
    llama_like(arguments.output)
    unknown_like(arguments.output)
    components(arguments.output)
    stampvlm(arguments.model, arguments.output)


if __name__ == "__main__":
    main()
