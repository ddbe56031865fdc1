"""ElastiKV measures what KV-cache compression does to vision-language models.

    import elastikv as ek

    run = ek.sweep("sweep.yaml", progress=True)    # or, of one that is there: ek.load("results/quickstart")
    run.table("ppl")                               # the report's own numbers, as a DataFrame of pandas
    run.difference("elastic", "h2o")
    ek.main(["list", "strategies"])                # the program `elastikv`, in this process

The package is light to import: LibTorch is loaded by the first call that computes, pandas by the first table. `Error` is raised for
what can be mended (a wrong file, key, name or value), with the program's own sentence.
"""

from typing import Any

from ._errors import Error
from ._program import main
from ._runs import Run, load
from ._sweeps import sweep

__all__ = ["Error", "Run", "load", "main", "sweep"]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # looked up when it is asked for: importlib.metadata takes as long to import as all the rest
        from importlib.metadata import version
        return version("elastikv")
    raise AttributeError(f"module 'elastikv' has no attribute {name!r}")
