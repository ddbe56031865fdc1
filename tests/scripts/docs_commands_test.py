"""scripts/docs_commands.py on small pages, with programs that only say how they were called."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "docs_commands.py"
sys.path.insert(0, str(SCRIPT.parent))
import docs_commands  # noqa: E402

# Refuses what has --bad in it.
PARSER = """#!/bin/sh
while read -r line; do
  case $line in *--bad*) echo "unknown option '--bad'" ;; *) echo ;; esac
done
"""
# Makes the folder behind --output, and fails for --fail.
PROGRAM = """#!/bin/sh
for word; do
  [ "$before" = --output ] && mkdir -p "$word" && echo made >"$word/file"
  [ "$word" = --fail ] && echo 'it failed' && exit 3
  before=$word
done
exit 0
"""
ELASTIKV = "build/release/bin/elastikv"


def page(*blocks):
    return "# A page\n\n" + "\n\n".join(blocks) + "\n"


def block(*lines, above=""):
    return above + "```sh\n" + "\n".join(lines) + "\n```"


class DocsCommandsTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name).resolve()
        subprocess.run(["git", "init", "--quiet", self.root], check=True)
        self.write(".gitignore", "/build/\n/results/\n/models/*/assembled\n")
        self.write("configs/quickstart.yaml", "name: quickstart\noutput: results/quickstart\n")
        self.write("configs/a.yaml", "name: first\n")
        self.write("models/stampvlm/assembled/config.json", "{}")
        self.write("CONTRIBUTING.md", "# Contributing\n")
        self.write("README.md", "# Read me\n")
        self.program("build/release/bin/parse_commands", PARSER)
        self.program(ELASTIKV, PROGRAM)

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def program(self, name, text):
        self.write(name, text).chmod(0o755)

    def call(self, *arguments):
        return subprocess.run([sys.executable, SCRIPT, "--root", self.root, *arguments], capture_output=True, text=True)

    def said(self, text, how="--check"):
        """What the script says of a page docs/a.md; nothing where all is well."""
        self.write("docs/a.md", text)
        result = self.call(how)
        self.assertEqual(result.returncode, 1 if result.stderr else 0, result.stderr)
        return result.stderr

    def test_blocks_have_lines_and_markers(self):
        text = page(block("a"), "```yaml\nb: 1\n```", block("c", "d", above="<!-- needs: gpu, data -->\n"),
                    block("e", above="<!-- needs: peers -->\n<!-- long -->\n"), block("f", above="<!-- needs: gpu -->\n\n"))
        blocks = docs_commands.read_blocks("a.md", text)
        self.assertEqual([(one.line, one.text, sorted(one.needs), one.long, one.runs) for one in blocks],
                         [(4, "a", [], False, True), (13, "c\nd", ["data", "gpu"], False, False),
                          (20, "e", ["peers"], True, False), (26, "f", [], False, True)])

    def test_commands_are_cut_as_a_shell_would(self):
        text = block("py=${CACHE:-~/.cache}/python   # the tools' own", "$py scripts/plot.py 'a b' && ./x --k=1 | y >z",
                     "folder=checkpoints/m", "elastikv inspect \\", '  $folder --prompt "What is it?"', ". <(elastikv completion bash)")
        commands = docs_commands.read_commands(docs_commands.read_blocks("a.md", text)[0])
        self.assertEqual([(one.line, one.words, one.redirected) for one in commands], [
            (3, ["${CACHE:-~/.cache}/python", "scripts/plot.py", "a b"], []),
            (3, ["./x", "--k=1"], []),
            (3, ["y"], ["z"]),
            (5, ["elastikv", "inspect", "checkpoints/m", "--prompt", "What is it?"], []),
            (7, ["."], []),
            (7, ["elastikv", "completion", "bash"], []),
        ])

    def test_markers_and_languages_that_are_not_known_are_faults(self):
        self.assertEqual(self.said(page(block("a", above="<!-- needs: gpus -->\n"))),
                         "error: docs/a.md:3: 'gpus' is none of what a block can need: checkpoint, gpu, data, network, peers\n")
        self.assertEqual(self.said(page("```bash\na\n```")), "error: docs/a.md:3: commands are marked sh, not bash\n")
        self.assertEqual(self.said(page("```sh\na\n")), "error: docs/a.md:3: this block does not end\n")
        self.assertEqual(self.said(page(block("a 'b"))), "error: docs/a.md:4: No closing quotation\n")

    def test_check_asks_the_program(self):
        self.assertEqual(self.said(page(block(f"{ELASTIKV} list", f"{ELASTIKV} list --bad", above="<!-- needs: gpu -->\n"))),
                         "error: docs/a.md:6: unknown option '--bad'\n")

    def test_check_looks_for_paths(self):
        self.assertEqual(self.said(page(block(f"{ELASTIKV} sweep configs/b.yaml", "scripts/no.sh"))),
                         "error: docs/a.md:4: there is no configs/b.yaml, and nothing before makes it\n"
                         "error: docs/a.md:5: there is no scripts/no.sh, and nothing before makes it\n")
        self.assertEqual(self.said(page(block(f"{ELASTIKV} report results/first"))),
                         "error: docs/a.md:4: there is no results/first, and nothing before makes it\n")
        # Made by the quickstart, a sweep's file, an option, a script, a redirection; or not needed here.
        self.assertEqual(self.said(page(
            block(f"{ELASTIKV} report results/quickstart", f"{ELASTIKV} inspect models/stampvlm/assembled"),
            block(f"{ELASTIKV} sweep configs/a.yaml", f"{ELASTIKV} report results/first"),
            block(f"{ELASTIKV} sweep configs/*.yaml --output=results/x", f"{ELASTIKV} score results/x/*.jsonl"),
            block("python configs/../make.py checkpoints/m", f"{ELASTIKV} inspect checkpoints/m"),
            block(f"{ELASTIKV} list >results/list", f"{ELASTIKV} score results/list"),
            block(f"{ELASTIKV} report results/mine", above="<!-- needs: data -->\n")).replace("configs/../", "")), "")
        # Every page by itself.
        self.write("docs/b.md", page(block(f"{ELASTIKV} report results/first")))
        self.assertIn("docs/b.md:4: there is no results/first", self.call("--check").stderr)
        self.assertEqual(self.call("--check", "docs/a.md").stderr, "")

    def test_run_says_where_it_failed(self):
        said = self.said(page("Text.", block("true \\", "  true", f"{ELASTIKV} --fail", "touch never")), "--run")
        self.assertEqual(said, "error: docs/a.md:8: exit code 3\nit failed\n\n")

    def test_run_leaves_out_what_needs_more_and_leaves_nothing(self):
        before = sorted(self.root.rglob("*"))
        text = page(block("ls results/quickstart/file", f"{ELASTIKV} sweep configs/a.yaml --output results/first"),
                    block("ls results/first/file"), block("false", above="<!-- long -->\n"),
                    block("false", above="<!-- needs: gpu -->\n"))
        self.assertEqual(self.said(text, "--run"), "")
        self.write("docs/b.md", page(block("! ls results/first")))
        result = self.call("--run")
        self.assertEqual(result.stderr, "")
        self.assertEqual([line.split()[-1] for line in result.stdout.splitlines()],
                         ["sweep:1", "docs/a.md:4", "docs/a.md:9", "docs/b.md:4", "all"])
        self.assertEqual(sorted(set(self.root.rglob("*")) - set(before)), [self.root / "docs", self.root / "docs/a.md", self.root / "docs/b.md"])

    def test_run_wants_what_is_made_to_be_ignored(self):
        self.assertEqual(self.said(page(block(f"{ELASTIKV} sweep configs/a.yaml --output checkpoints/m")), "--run"),
                         "error: docs/a.md: made checkpoints/m/file, which .gitignore does not name\n")

    def test_run_needs_the_quickstart(self):
        os.remove(self.root / ELASTIKV)
        self.assertEqual(self.call("--run").stderr, f"error: {ELASTIKV} is not there; scripts/quickstart.sh makes it\n")


if __name__ == "__main__":
    unittest.main()
