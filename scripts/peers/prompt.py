#!/usr/bin/env python3
"""Writes the prompts that all peers read: rows of token ids of a book that ships with the project.

    ~/.cache/elastikv/oracle/bin/python scripts/peers/prompt.py OUTPUT.json --tokens 512 --rows 16

Ids rather than text, so that no program's tokenizer or chat template makes a difference.
"""

import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2/assembled", help="folder with the tokenizer")
    parser.add_argument("--text", type=Path, default=ROOT / "datasets/alice/alice.txt")
    parser.add_argument("--tokens", type=int, default=512, help="length of every row (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=16, help="rows, one after the other in the text (default: %(default)s)")
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    ids = tokenizer.encode(arguments.text.read_text(encoding="utf-8"), add_special_tokens=False).ids
    if len(ids) < arguments.tokens * arguments.rows:
        raise SystemExit(f"{arguments.text} has {len(ids)} tokens, {arguments.tokens * arguments.rows} are needed")
    rows = [ids[r * arguments.tokens:(r + 1) * arguments.tokens] for r in range(arguments.rows)]
    arguments.output.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
