#!/usr/bin/env python3
"""Collects published chat templates from packages of PyPI into tests/parity/data/templates, and writes their table.

Downloads each package by version and hash (about 150 MB in all), takes the templates out and leaves everything else.
Run by hand when a template is added; the templates themselves are kept in the repository.
"""

import ast
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "data" / "templates"

PACKAGES = {
    "trl": ("trl==1.16.0", "c4726e139dd40e1a41661511c639c8a68416782b2e3e8c0befebd77bb7ba0396", "Apache 2.0"),
    "transformers-4": ("transformers==4.47.1", "d2f5d19bb6283cd66c893ec7e6d931d6370bbf1cc93633326ff1f41a40046c9c", "Apache 2.0"),
    "transformers-5": ("transformers==5.17.0", "78ec1ce21579b38dfb83950a0658cd119f87212a2fcfdff478096ce9d6c03801", "Apache 2.0"),
    "xinference": ("xinference==4.1.0", "40dd71d79e85a86f85c0d8b435fe51111fcf2c09227350d4a452229709528f2d", "Apache 2.0"),
    "xllamacpp": ("xllamacpp==2026.9.11063", "37ad3d0389f1d65b68e7d341df86d55077158950a764801be94f955024afb759", "MIT"),
}
TRL = "trl/chat_templates/"
CONVERT = "transformers/models/"
FAMILIES = "xinference/model/llm/models/"
LLAMA_CPP = "thirdparty/llama.cpp/models/templates/"

# Name here: whose template it is, the package, the file in it, and in a Python or JSON file the name of the text.
TEMPLATES = {
    "aya-expanse": ("CohereLabs/aya-expanse-8b", "trl", TRL + "cohere.jinja"),
    "deepseek-v3": ("deepseek-ai/DeepSeek-V3", "trl", TRL + "deepseekv3.jinja"),
    "gemma": ("google/gemma-2b-it, gemma-2-2b-it", "trl", TRL + "gemma.jinja"),
    "gemma-3": ("google/gemma-3-4b-it", "trl", TRL + "gemma3.jinja"),
    "gemma-4": ("google/gemma-4-E2B-it", "trl", TRL + "gemma4_v5.jinja"),
    "glm-4-moe": ("zai-org/GLM-4.5", "trl", TRL + "glm4moe.jinja"),
    "gpt-oss": ("openai/gpt-oss-20b", "trl", TRL + "gptoss.jinja"),
    "granite-3.3": ("ibm-granite/granite-3.3-2b-instruct", "xllamacpp", LLAMA_CPP + "ibm-granite-granite-3.3-2B-Instruct.jinja"),
    "idefics3": ("HuggingFaceM4/Idefics3-8B-Llama3", "trl", TRL + "idefics3.jinja"),
    "internvl3": ("OpenGVLab/InternVL3-1B", "xinference", FAMILIES + "InternVL3.json", "InternVL3"),
    "lfm2-vl": ("LiquidAI/LFM2.5-VL-1.6B", "trl", TRL + "lfm2_2_5_vl.jinja"),
    "llama-2": ("meta-llama/Llama-2-7b-chat-hf", "xinference", FAMILIES + "llama-2-chat.json", "llama-2-chat"),
    "llama-3": ("meta-llama/Meta-Llama-3-8B-Instruct", "trl", TRL + "llama3.jinja"),
    "llama-3.1": ("meta-llama/Llama-3.1-8B-Instruct", "trl", TRL + "llama3_1.jinja"),
    "llama-3.2": ("meta-llama/Llama-3.2-1B-Instruct", "trl", TRL + "llama3_2.jinja"),
    "llama-3.2-vision": ("meta-llama/Llama-3.2-11B-Vision-Instruct, as converted first", "transformers-4", CONVERT + "mllama/convert_mllama_weights_to_hf.py", "chat_template"),
    "llama-4": ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "transformers-5", CONVERT + "llama4/processing_llama4.py", "chat_template"),
    "llava-next-mistral": ("llava-hf/llava-v1.6-mistral-7b-hf", "trl", TRL + "llava_next.jinja"),
    "llava-next-video-mistral": ("llava-hf/LLaVA-NeXT-Video-7B-32K-hf, as converted", "transformers-4", CONVERT + "llava_next_video/convert_llava_next_video_weights_to_hf.py", "chat_mistral"),
    "llava-next-video-vicuna": ("llava-hf/LLaVA-NeXT-Video-7B-hf, as converted", "transformers-4", CONVERT + "llava_next_video/convert_llava_next_video_weights_to_hf.py", "chat_vicuna"),
    "llava-next-video-yi": ("llava-hf/LLaVA-NeXT-Video-34B-hf, as converted", "transformers-4", CONVERT + "llava_next_video/convert_llava_next_video_weights_to_hf.py", "chat_yi"),
    "llava-onevision": ("llava-hf/llava-onevision-qwen2-7b-ov-hf, as converted", "transformers-4", CONVERT + "llava_onevision/convert_llava_onevision_weights_to_hf.py", "chat_template"),
    "mimo-vl": ("XiaomiMiMo/MiMo-VL-7B-RL", "xllamacpp", LLAMA_CPP + "MiMo-VL.jinja"),
    "minicpm-v-4.5": ("openbmb/MiniCPM-V-4_5", "xinference", FAMILIES + "MiniCPM-V-4.5.json", "MiniCPM-V-4.5"),
    "mistral-7b-v0.3": ("mistralai/Mistral-7B-Instruct-v0.3", "xinference", FAMILIES + "mistral-instruct-v0.3.json", "mistral-instruct-v0.3"),
    "mistral-nemo": ("mistralai/Mistral-Nemo-Instruct-2407", "xllamacpp", LLAMA_CPP + "mistralai-Mistral-Nemo-Instruct-2407.jinja"),
    "mistral-small-3.2": ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", "xllamacpp", LLAMA_CPP + "Mistral-Small-3.2-24B-Instruct-2506.jinja"),
    "phi-3": ("microsoft/Phi-3-mini-4k-instruct", "trl", TRL + "phi3.jinja"),
    "phi-3.5": ("microsoft/Phi-3.5-mini-instruct", "trl", TRL + "phi3_5.jinja"),
    "qwen2-audio": ("Qwen/Qwen2-Audio-7B-Instruct", "transformers-5", CONVERT + "qwen2_audio/processing_qwen2_audio.py", "default_chat_template"),
    "qwen2-vl": ("Qwen/Qwen2-VL-7B-Instruct, Qwen2.5-VL-7B-Instruct", "trl", TRL + "qwen2_5_vl.jinja"),
    "qwen2.5": ("Qwen/Qwen2.5-7B-Instruct", "trl", TRL + "qwen2_5.jinja"),
    "qwen3": ("Qwen/Qwen3-8B", "trl", TRL + "qwen3.jinja"),
    "qwen3-2507": ("Qwen/Qwen3-4B-Instruct-2507", "trl", TRL + "qwen3_instruct_2507.jinja"),
    "qwen3-vl": ("Qwen/Qwen3-VL-8B-Instruct", "trl", TRL + "qwen3_vl.jinja"),
    "qwen3.6": ("Qwen/Qwen3.6-27B", "trl", TRL + "qwen3_6.jinja"),
    "smollm3": ("HuggingFaceTB/SmolLM3-3B", "xllamacpp", LLAMA_CPP + "HuggingFaceTB-SmolLM3-3B.jinja"),
    "smolvlm-video": ("HuggingFaceTB/SmolVLM2 with videos", "transformers-5", CONVERT + "smolvlm/processing_smolvlm.py", "DEFAULT_CHAT_TEMPLATE"),
    "smolvlm": ("HuggingFaceTB/SmolVLM-Instruct, SmolVLM2", "trl", TRL + "smolvlm.jinja"),
}


def fetched(package, folder):
    """The package's file, whose hash must be the one above."""
    requirement, digest, _ = PACKAGES[package]
    name, version = requirement.split("==")
    if package == "xllamacpp":
        # Only its source distribution has the templates, and pip would build that to learn what it needs.
        with urllib.request.urlopen(f"https://pypi.org/simple/{name}/") as page:
            link = re.search(rf'href="([^"#]*/{name}-{re.escape(version)}\.tar\.gz)', page.read().decode())
        archive = Path(folder) / f"{name}-{version}.tar.gz"
        urllib.request.urlretrieve(link[1], archive)
    else:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder, requirement], check=True)
        archive = next(Path(folder).glob(f"{name}-{version}-*.whl"))
    if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
        sys.exit(f"error: {archive.name} is not the file that was pinned")
    return archive


def reader_of(archive):
    """A function that reads a file of the package by its path."""
    if archive.suffix == ".whl":
        return zipfile.ZipFile(archive).read
    source = tarfile.open(archive)
    top = source.getnames()[0].split("/")[0]
    return lambda path: source.extractfile(f"{top}/{path}").read()


def text_in_python(source, name):
    """The constant text that a Python file gives a name, or returns from a function or property of that name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            value = node.value
        elif isinstance(node, ast.FunctionDef) and node.name == name:
            value = next(one.value for one in ast.walk(node) if isinstance(one, ast.Return))
        else:
            continue
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    sys.exit(f"error: no text called {name}")


def text_of(data, path, name):
    if path.endswith(".jinja"):
        return data.decode()
    if path.endswith(".py"):
        return text_in_python(data.decode(), name)
    return next(one["chat_template"] for one in json.loads(data) if one["model_name"] == name)


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        packages = {name: reader_of(fetched(name, folder)) for name in PACKAGES}
        for name, (owner, package, path, *inside) in sorted(TEMPLATES.items()):
            text = text_of(packages[package](path), path, *inside or [None])
            (FOLDER / f"{name}.jinja").write_text(text, encoding="utf-8")
            where = f"`{path}`" + (f", `{inside[0]}`" if inside else "")
            rows.append(f"| `{name}` | {owner} | {PACKAGES[package][0].replace('==', ' ')}, {where} | {PACKAGES[package][2]} |")
    table = "\n".join(["| Name | Checkpoint | From | Licence of the package |", "|---|---|---|---|", *rows])
    (FOLDER / "SOURCES.md").write_text(
        "# Where the templates are from\n\nWritten by `collect_templates.py`. Each is whole and as the package has it.\n\n" + table + "\n", encoding="utf-8")
    print(f"{len(rows)} templates in {FOLDER}")


if __name__ == "__main__":
    main()
