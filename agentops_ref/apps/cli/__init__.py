"""The command line: ``agentops``.

One module a command group. Modules import only what ``--help`` needs; libraries that take time
load inside the commands.
"""

from agentops_ref.apps.cli.main import cli, main

__all__ = ["cli", "main"]
