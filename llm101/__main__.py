"""The command line, from its first import on: `llm101` and `python -m llm101`."""

import sys


def run() -> int:
    """Run the command that was typed; whoever stops it while Python still reads files gets one line as well."""
    try:
        from llm101.cli import main

        return main()
    except KeyboardInterrupt:
        print("llm101: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
