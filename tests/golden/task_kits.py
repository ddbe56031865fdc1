"""The rules of published evaluation kits, out of the packages as they are installed.

Only single modules are loaded, not the packages: these import all that can be evaluated. What such a module imports
and is not there is a stand-in, which nothing that is called here looks at.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import sysconfig
import types
from pathlib import Path
from unittest import mock

SITE = Path(sysconfig.get_paths()["purelib"])


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds whatever nothing else finds, and kits' own packages."""

    def find_spec(self, fullname, path=None, target=None):
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        module = mock.MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        # What decorates a function returns it.
        for name in ("register_metric", "register_aggregation"):
            setattr(module, name, lambda *_, **__: lambda function: function)
        return module

    def exec_module(self, module):
        pass


@contextlib.contextmanager
def stand_ins(names):
    """Packages by these names, and those that are missing, are stand-ins."""
    before = set(sys.modules)
    finder = StandIns()

    class Own(StandIns):
        def find_spec(self, fullname, path=None, target=None):
            return super().find_spec(fullname) if fullname.split(".")[0] in names else None

    own = Own()
    sys.meta_path.insert(0, own)
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(own)
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if isinstance(sys.modules[name], mock.MagicMock):
                del sys.modules[name]


def load(path, **modules):
    """A module of a package by its path below site-packages; `modules` are what it finds under names."""
    file = SITE / path
    name = "kit_" + path.removesuffix(".py").replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    with stand_ins({"lmms_eval", "vlmeval", "loguru"}):
        sys.modules.update({key.replace("__", "."): value for key, value in modules.items()})
        spec.loader.exec_module(module)
        for key in modules:
            sys.modules.pop(key.replace("__", "."), None)
    return module


class NoLuck:
    """Where MMMU's rule draws a letter it has found none."""

    @staticmethod
    def choice(_):
        return None


vqa = load("lmms_eval/tasks/_task_utils/vqa_eval_metric.py")
textvqa = load("lmms_eval/tasks/textvqa/utils.py", lmms_eval__tasks___task_utils__vqa_eval_metric=vqa)
vqav2 = load("lmms_eval/tasks/vqav2/utils.py", lmms_eval__tasks___task_utils__vqa_eval_metric=vqa)
lmms_metrics = load("lmms_eval/api/metrics.py")
chartqa = load("lmms_eval/tasks/chartqa/utils.py")
ocrbench = load("lmms_eval/tasks/ocrbench/utils.py")
pope = load("lmms_eval/tasks/pope/utils.py")
mme = load("lmms_eval/tasks/mme/utils.py")
filters = types.SimpleNamespace(ExtendedRegexFilter=object)
ai2d = load("lmms_eval/tasks/ai2d/utils.py", lmms_eval__filters__extraction=filters)
scienceqa = load("lmms_eval/tasks/scienceqa/utils.py")
seed = load("lmms_eval/tasks/seedbench/utils.py")
mcq = load("lmms_eval/tasks/_task_utils/mcq_extract.py")
realworldqa = load("lmms_eval/tasks/realworldqa/utils.py", lmms_eval__tasks___task_utils__mcq_extract=mcq)
mmmu_choices = load("lmms_eval/tasks/_task_utils/mmmu_mcq_utils.py")
mmmu_choices.random = NoLuck
mmmu = load("lmms_eval/tasks/mmmu/utils.py", lmms_eval__tasks___task_utils__mmmu_mcq_utils=mmmu_choices)
vlm_misc = load("vlmeval/smp/misc.py")
vlm_matching = load("vlmeval/utils/matching_util.py")
vlm_smp = mock.MagicMock(
    istype=vlm_misc.istype, listinstr=vlm_misc.listinstr, process_punctuation=vlm_misc.process_punctuation
)
vlm_vqa = load("vlmeval/dataset/utils/vqa_eval.py", vlmeval__smp=vlm_smp)
vlm_yes_no = load("vlmeval/dataset/utils/yorn.py", vlmeval__smp=vlm_smp)
anls_score = load("anls/metrics/dist.py")
anls = load("anls/metrics/score.py", anls__metrics__dist=anls_score)
bleu = load("pycocoevalcap/bleu/bleu_scorer.py")
cider = load("pycocoevalcap/cider/cider_scorer.py")
ptb = load("pycocoevalcap/tokenizer/ptbtokenizer.py")
# What the rule for RealWorldQA imports while it is called.
for part in ("lmms_eval", "lmms_eval.tasks", "lmms_eval.tasks._task_utils"):
    sys.modules[part] = mock.MagicMock()
sys.modules["lmms_eval.tasks._task_utils.mcq_extract"] = mcq
