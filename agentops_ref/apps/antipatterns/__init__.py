"""The antipatterns of chapter 2, built so that they can be measured.

``desk``: one bot for every question, or one for each kind. ``history``: versions of an agent, made
with and without a suite. The supervisor in a chain's place is in `agentops_ref.apps.architectures`.
"""
