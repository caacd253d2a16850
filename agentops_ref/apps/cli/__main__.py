"""``python -m agentops_ref.apps.cli`` is ``agentops``."""

from agentops_ref.apps.cli.main import main

if __name__ == "__main__":
    main()
