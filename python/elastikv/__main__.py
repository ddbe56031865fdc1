"""The command `elastikv`, also as `python -m elastikv`."""

import signal
import sys

from ._errors import Error
from ._program import main


def command() -> int:
    """The program as a process of its own: signals do what they do to any program."""
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        return main(sys.argv[1:])
    except Error as error:  # before the program could begin
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(command())
