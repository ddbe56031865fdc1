#!/usr/bin/env python3
"""Checks or runs the commands of the documentation: the blocks marked sh of README.md, CONTRIBUTING.md and docs/.

    scripts/docs_commands.py --check [PAGE ...]    that the program takes every command, and that its files are there
    scripts/docs_commands.py --run [PAGE ...]      runs the blocks that need nothing but scripts/quickstart.sh

A block runs as if in a fresh clone, from the project's root. A comment above it says what else it needs:

    <!-- needs: checkpoint, gpu, data, network, peers -->    some of these; --run leaves the block out
    <!-- long -->                                            minutes or gigabytes; --run leaves it out, too

--run works on a copy of the source tree, with this one's build and models and a quickstart of two scenes; every page
begins anew there. It ends at the first command that fails, and says the page and the line.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
NEEDS = ("checkpoint", "gpu", "data", "network", "peers")
PARSER = Path("build/release/bin/parse_commands")
PROGRAM = Path("build/release/bin/elastikv")
QUICKSTART = f"{PROGRAM} sweep configs/quickstart.yaml --limit 2 --output results/quickstart"
# What is there after scripts/quickstart.sh, beside the source tree and the build.
QUICKSTART_MADE = ("results/quickstart", "models/stampvlm/assembled")
# Below these lies nothing but the source tree, below the others also what commands make.
SOURCES = ("apps", "benchmarks", "cmake", "configs", "datasets", "docs", "lib", "scripts", "tests")
OUTPUTS = ("checkpoints", "models", "results")


class PageError(Exception):
    """What is wrong with a page; begins with its name and a line."""


@dataclasses.dataclass
class Block:
    page: str
    line: int  # of its first command
    text: str
    needs: frozenset
    long: bool

    @property
    def runs(self):
        return not self.needs and not self.long


@dataclasses.dataclass
class Command:
    page: str
    line: int
    words: list
    redirected: list  # files that its output goes to

    @property
    def is_elastikv(self):
        return PurePosixPath(self.words[0]).name == "elastikv"


def read_markers(page, line, comment):
    """The needs of a comment above a block, and whether it is long."""
    text = comment.removeprefix("<!--").removesuffix("-->").strip()
    if text == "long":
        return frozenset(), True
    if not text.startswith("needs:"):
        return frozenset(), False
    needs = [word.strip() for word in text.removeprefix("needs:").split(",")]
    for word in needs:
        if word not in NEEDS:
            raise PageError(f"{page}:{line}: '{word}' is none of what a block can need: {', '.join(NEEDS)}")
    return frozenset(needs), False


def read_blocks(page, text):
    """The page's blocks of commands, in order."""
    blocks = []
    needs, long = frozenset(), False  # of the comments directly above
    fence, language, body = 0, "", []
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            if line.strip() != "```":
                body.append(line)
                continue
            if language == "sh":
                blocks.append(Block(page, fence + 1, "\n".join(body), needs, long))
            fence, body = 0, []
            needs, long = frozenset(), False
        elif line.strip().startswith("```"):
            fence, language = number, line.strip().removeprefix("```")
            if language in ("bash", "shell", "console", "zsh"):
                raise PageError(f"{page}:{number}: commands are marked sh, not {language}")
        elif line.startswith("<!--"):
            more, is_long = read_markers(page, number, line)
            needs, long = needs | more, long or is_long
        else:
            needs, long = frozenset(), False
    if fence:
        raise PageError(f"{page}:{fence}: this block does not end")
    return blocks


def logical_lines(block):
    """(line of the page, text) of the block's commands, those that go on after a backslash in one."""
    first, parts = block.line, []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if not parts:
            first = number
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield first, " ".join([*parts, line])
        parts = []


def expand(word, variables):
    """With the variables that the block has set before."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], found[0]), word)


def read_commands(block):
    """The single commands of a block, as the shell would cut them. Those that only set a variable are none."""
    commands, variables = [], {}
    for line, text in logical_lines(block):
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            tokens = list(lexer)
        except ValueError as problem:
            raise PageError(f"{block.page}:{line}: {problem}") from None
        words, redirected, into_file = [], [], False
        for token in [*tokens, ";"]:
            if token in (">", ">>"):
                into_file = True
            elif token and not token.strip("();<>|&"):
                while words and (setting := re.fullmatch(r"(\w+)=(.*)", words[0])):
                    variables[setting[1]] = setting[2]
                    words.pop(0)
                if words:
                    commands.append(Command(block.page, line, words, redirected))
                words, redirected = [], []
            else:
                (redirected if into_file else words).append(expand(token, variables))
                into_file = False
    return commands


class Project:
    """A source tree with pages."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(self._source_files())
        self.folders = {str(folder) for file in self.files for folder in PurePosixPath(file).parents}

    def _source_files(self):
        """Everything but what git ignores, relative to the root; in a tree without git everything but the build."""
        listed = subprocess.run(
            ["git", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, text=True)
        if listed.returncode == 0:
            return [file for file in listed.stdout.split("\0") if file and (self.root / file).is_file()]
        files = (file.relative_to(self.root) for file in self.root.rglob("*") if file.is_file())
        return [file.as_posix() for file in files if file.parts[0] != "build"]

    def pages(self, chosen):
        """[(page, its blocks)], of those that are named, or else all."""
        names = chosen or ["README.md", "CONTRIBUTING.md",
                           *(file for file in self.files if file.startswith("docs/") and file.endswith(".md"))]
        return [(name, read_blocks(name, (self.root / name).read_text(encoding="utf-8"))) for name in names]

    def has(self, path):
        """Whether a path, which may have wildcards, is in the source tree."""
        return path.rstrip("/") in self.folders or any(fnmatch.fnmatchcase(file, path) for file in self.files)


def paths_in(words, tops):
    """The paths of words below these folders, also as values of KEY=PATH."""
    for word in words:
        path = word.rsplit("=", 1)[-1].removeprefix("./")
        if path.split("/", 1)[0] in tops and "/" in path:
            yield path


def value_of(words, options):
    """The values of these options, as OPTION VALUE or OPTION=VALUE."""
    for word, following in zip(words, [*words[1:], ""]):
        name, equals, value = word.partition("=")
        if name in options:
            yield value if equals else following


def outputs_of(command, project):
    """What a command makes."""
    if not command.is_elastikv:  # whatever they name: scripts have options of their own
        return {*paths_in(command.words, OUTPUTS), *command.redirected}
    made = {*value_of(command.words, ("--output", "--out", "--json")), *command.redirected}
    verb = command.words[1] if len(command.words) > 1 else ""
    if verb == "explain":
        made.add("results/explain")
    configs = [word for word in command.words if word.startswith("configs/") and word in project.files]
    if verb in ("sweep", "bench") and configs:
        text = (project.root / configs[0]).read_text(encoding="utf-8")
        named = dict(re.findall(r"^(name|output):\s*(\S+)", text, re.MULTILINE))
        made.add(named.get("output", f"results/{named.get('name', Path(configs[0]).stem)}"))
    return made


def missing_paths(block, commands, made, project):
    """A problem for each path of a block that neither ships nor was made before; adds to what is `made`."""
    problems = []
    for command in commands:
        makes = outputs_of(command, project)
        needed = list(paths_in(command.words, SOURCES))
        if not block.needs:
            needed += [path for path in paths_in(command.words, OUTPUTS) if path not in makes]
        for path in needed:
            under_made = any(path == one or path.startswith(one + "/") for one in made)
            if not under_made and not project.has(path):
                problems.append(f"{command.page}:{command.line}: there is no {path}, and nothing before makes it")
        made |= makes
    return problems


def refused_commands(commands, parser):
    """A problem for each ElastiKV command that the program does not take."""
    commands = [command for command in commands if command.is_elastikv]
    lines = "".join(json.dumps(command.words[1:]) + "\n" for command in commands)
    said = subprocess.run([parser], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    return [f"{command.page}:{command.line}: {problem}" for command, problem in zip(commands, said, strict=True) if problem]


def check(project, pages, parser):
    """All that is wrong with the commands of the pages."""
    problems, everything, blocks_seen = [], [], 0
    for _, blocks in pages:
        made = set(QUICKSTART_MADE)
        for block in blocks:
            commands = read_commands(block)
            problems += missing_paths(block, commands, made, project)
            everything += commands
            blocks_seen += 1
    problems += refused_commands(everything, parser)
    if not problems:
        print(f"{len(everything)} commands in {blocks_seen} blocks of {len(pages)} pages: the program takes them")
    return problems


class Copy:
    """A copy of the source tree in which commands may write, with the build and the models of the original."""

    def __init__(self, project, folder):
        self.project = project
        self.root = folder
        for file in project.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project.root / file, folder / file)
        for made in ("build", *(path.relative_to(project.root) for path in project.root.glob("models/*/assembled"))):
            (folder / made).parent.mkdir(parents=True, exist_ok=True)
            (folder / made).symlink_to(project.root / made)

    def paths(self):
        found = set()
        for folder, folders, files in os.walk(self.root):
            found |= {Path(folder, name) for name in (*folders, *files)}
        return found

    def forget_all_but(self, kept):
        """Removes what was made since. Says what git would not ignore of it, if anything."""
        new = sorted(self.paths() - kept)
        relative = [path.relative_to(self.root).as_posix() for path in new if not path.is_dir()]
        ignored = subprocess.run(["git", "-C", self.project.root, "check-ignore", "--stdin"], input="\n".join(relative),
                                 capture_output=True, text=True)
        for path in reversed(new):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        left = sorted(set(relative) - set(ignored.stdout.splitlines()))
        if left and ignored.returncode in (0, 1):  # 128: a tree without git
            return f"made {left[0]}, which .gitignore does not name"
        return ""

    def run(self, block):
        """Runs a block and prints its time; PageError for the command that fails."""
        began = time.monotonic()
        output = self.root.parent / "output"
        script = self.root.parent / "block"
        failed = self.root.parent / "failed-line"
        failed.write_text("")
        # The commands stand on the lines that they have on the page, so that bash's messages name these.
        trap = f"set -eE -o pipefail; trap 'echo $LINENO >{shlex.quote(str(failed))}' ERR"
        script.write_text(f"{trap}; " + "\n" * (block.line - 1) + block.text + "\n", encoding="utf-8")
        with output.open("w", encoding="utf-8") as file:
            code = subprocess.run(["bash", script], cwd=self.root, stdin=subprocess.DEVNULL, stdout=file,
                                  stderr=subprocess.STDOUT).returncode
        if code != 0:
            line = failed.read_text().strip() or block.line
            last = "".join(output.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-40:])
            raise PageError(f"{block.page}:{line}: exit code {code}\n{last}")
        print(f"{time.monotonic() - began:7.1f} s  {block.page}:{block.line}", flush=True)


def run(project, pages):
    """Runs what needs nothing. PageError at the first failure."""
    for needed in (PROGRAM, "models/stampvlm/assembled"):
        if not (project.root / needed).exists():
            raise PageError(f"{needed} is not there; scripts/quickstart.sh makes it")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="elastikv-docs-") as folder:
        copy = Copy(project, Path(folder, "project"))
        copy.run(Block("the quickstart's sweep", 1, QUICKSTART, frozenset(), False))
        for page, blocks in pages:
            before = copy.paths()
            for block in blocks:
                if block.runs:
                    copy.run(block)
            if problem := copy.forget_all_but(before):
                raise PageError(f"{page}: {problem}")
    print(f"{time.monotonic() - began:7.1f} s  in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0], epilog=__doc__.split("\n\n", 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--run", action="store_true")
    parser.add_argument("--parser", type=Path, metavar="FILE", help=f"that says whether the program takes a command; default: {PARSER}")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="FOLDER", help="another source tree than this script's")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="relative to the root; default: all")
    arguments = parser.parse_args()
    try:
        project = Project(arguments.root)
        pages = project.pages(arguments.pages)
        if arguments.run:
            run(project, pages)
            return
        problems = check(project, pages, arguments.parser or project.root / PARSER)
    except PageError as problem:
        problems = [str(problem)]
    except FileNotFoundError as problem:
        problems = [f"{problem.filename} is not there"]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
