"""``python -m agentops_ref.apps.book``."""

from agentops_ref.apps.book import main_book

main_book()
