"""Fakes that tests use, ours and yours: no weights, no recordings, no network.

``models.mode: scripted`` wires them; or make them by hand::

    >>> from agentops_ref.testing import ScriptedChat
    >>> ScriptedChat(replies=["18 Nm [1]"]).invoke("What torque?").text
    '18 Nm [1]'
"""

from agentops_ref.models.scripted import HashEmbeddings, ScriptedChat, ScriptedOcr

__all__ = ["HashEmbeddings", "ScriptedChat", "ScriptedOcr"]
