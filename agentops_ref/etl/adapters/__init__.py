"""The index as a retriever of other frameworks, for projects that are built on them.

Each module imports its framework; nothing else of the package imports these modules.
"""
