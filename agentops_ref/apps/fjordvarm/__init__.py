"""Fjordvarm, the fictional heat pump maker whose documents the whole book works on.

::

    corpus/*.yaml, *.md (by hand)
        -> texts, catalogue          what is printed, as data
        -> markup                    Markdown with marked facts -> blocks
        -> drafts                    every document of one version, nothing rendered
        -> pdf, docx, slides, ...    blocks -> bytes
        -> build                     v1/ v2/ v3/ and truth/, in one step or not at all
"""

from agentops_ref.apps.fjordvarm.build import CorpusSummary, build_corpus
from agentops_ref.apps.fjordvarm.model import Draft, Fact
from agentops_ref.apps.fjordvarm.texts import CorpusTextsMissing

__all__ = ["CorpusSummary", "CorpusTextsMissing", "Draft", "Fact", "build_corpus"]
