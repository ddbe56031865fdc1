#!/usr/bin/env python3
"""Times llama.cpp on a prompt of token ids: one prefill, then greedy decode steps.

    ~/.cache/elastikv/peers/bin/python scripts/peers/llama_cpp_peer.py PROMPTS.json bf16.gguf

Prints one line of JSON like transformers_peer.py. Weights are the file's (make_gguf.py); the cache is
fp32 for --cache fp32 and fp16 (llama.cpp's default) otherwise. Logits are made for the last prompt
token only, and the greedy choice is part of a step, as with the other peers.
"""

import argparse
import ctypes
import json
import os
import time
from pathlib import Path

import llama_cpp
import numpy as np

GGML_TYPE_F32, GGML_TYPE_F16 = 0, 1


@llama_cpp.llama_log_callback
def quiet(_level, _text, _data):
    pass


class Decoder:
    """A context of llama.cpp that is fed ids."""

    def __init__(self, path, context, threads, cache):
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(os.fsencode(path), llama_cpp.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = context
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.type_k = parameters.type_v = GGML_TYPE_F32 if cache == "fp32" else GGML_TYPE_F16
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context")
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def feed(self, ids, position):
        """Runs ids from a position on; returns the best token after the last."""
        for begin in range(0, len(ids), 512):
            part = ids[begin:begin + 512]
            self.batch.n_tokens = len(part)
            for i, token in enumerate(part):
                self.batch.token[i] = token
                self.batch.pos[i] = position + begin + i
                self.batch.n_seq_id[i] = 1
                self.batch.seq_id[i][0] = 0
                self.batch.logits[i] = begin + i + 1 == len(ids)
            if llama_cpp.llama_decode(self.context, self.batch) != 0:
                raise SystemExit("llama.cpp failed to decode")
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        return int(np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (self.vocabulary,)).argmax())

    def run(self, ids, steps):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        start = time.perf_counter()
        tokens = [self.feed(ids, 0)]
        prefilled = time.perf_counter()
        for step in range(steps):
            tokens.append(self.feed(tokens[-1:], len(ids) + step))
        return {"prefill_seconds": prefilled - start, "decode_seconds": time.perf_counter() - prefilled, "tokens": tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path, help="JSON list of rows of ids (prompt.py); the first is used")
    parser.add_argument("weights", type=Path, help="GGUF file")
    parser.add_argument("--steps", type=int, default=64, help="decode steps after the prefill")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cache", choices=["fp32", "fp16"], default="fp16")
    arguments = parser.parse_args()
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p())
    ids = json.loads(arguments.prompts.read_text())[0]
    decoder = Decoder(arguments.weights, len(ids) + arguments.steps + 8, arguments.threads, arguments.cache)
    decoder.run(ids, steps=min(8, arguments.steps))  # warm-up
    print(json.dumps(decoder.run(ids, arguments.steps)))


if __name__ == "__main__":
    main()
