"""`python -m llm101` is the command line."""

import sys

from llm101.cli import main

sys.exit(main())
