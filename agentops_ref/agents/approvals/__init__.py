"""Consequential actions wait for a person: by policy, in the registry, with a record of each.

Taught in chapter 7. The flow::

    Registry.call ─► Approvals.gate ─► done at once            (the policy asks nobody)
                                    └► waiting, a record       (nothing is done)
    Approvals.decide ─► the record is decided, once ─► Registry.call with it ─► done, once
"""

from agentops_ref.agents.approvals.decide import Approvals, Decider, NotDecided
from agentops_ref.agents.approvals.policy import Demand, Policy, Rule, confidence
from agentops_ref.agents.approvals.store import Approval, ApprovalStore

__all__ = [
    "Approval",
    "ApprovalStore",
    "Approvals",
    "Decider",
    "Demand",
    "NotDecided",
    "Policy",
    "Rule",
    "confidence",
]
