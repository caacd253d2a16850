"""Memory of conversations and of facts about customers and technicians. Taught in chapter 6.

    question ─► Standalone ─► agent ─► answer ─► trimmed ─► Summariser     short-term: Threads
                                 ▲                                              │
    message ─► Learner ─► facts  │ Recall                                Database (one URL)
                            └────┴─► FactStore: tell, search, show, forget      │
                                                                          long-term: facts

Models are given as arguments; `build.Memory` makes the parts as the configuration says.
"""

from agentops_ref.agents.memory.ask import Ask, transcript
from agentops_ref.agents.memory.database import Database, open_database
from agentops_ref.agents.memory.fact_store import fact_store
from agentops_ref.agents.memory.facts import (
    FORGOTTEN,
    Fact,
    FactSource,
    FactStore,
    Forgotten,
    Found,
    new_fact,
)
from agentops_ref.agents.memory.learn import Attribute, Learned, Learner, Rejected
from agentops_ref.agents.memory.recall import Recall
from agentops_ref.agents.memory.summary import Standalone, Standing, Summariser, Summary
from agentops_ref.agents.memory.threads import Migration, Thread, Threads, VersionRefused
from agentops_ref.agents.memory.trim import Trimmed, trimmed, turns

__all__ = [
    "FORGOTTEN",
    "Ask",
    "Attribute",
    "Database",
    "Fact",
    "FactSource",
    "FactStore",
    "Forgotten",
    "Found",
    "Learned",
    "Learner",
    "Migration",
    "Recall",
    "Rejected",
    "Standalone",
    "Standing",
    "Summariser",
    "Summary",
    "Thread",
    "Threads",
    "Trimmed",
    "VersionRefused",
    "fact_store",
    "new_fact",
    "open_database",
    "transcript",
    "trimmed",
    "turns",
]
