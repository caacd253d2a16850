"""The parts of memory as the configuration's ``memory`` section says, each made when touched."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from agentops_ref.agents.chain import Agent, UsageOf
from agentops_ref.agents.limits import Allowance, Limits
from agentops_ref.agents.memory.approval import Outcome
from agentops_ref.agents.memory.ask import Ask
from agentops_ref.agents.memory.database import Database, open_database
from agentops_ref.agents.memory.fact_store import Clock, fact_store, utc_now
from agentops_ref.agents.memory.facts import FactSource, FactStore, Forgotten
from agentops_ref.agents.memory.learn import Attribute, Learned, Learner
from agentops_ref.agents.memory.recall import Concerned, Recall, nobody
from agentops_ref.agents.memory.summary import Standalone, Summariser
from agentops_ref.agents.memory.threads import Migration, Threads
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.lakebase import LakebasePassword
from agentops_ref.secret import resolved
from agentops_ref.settings import MemoryConfig
from agentops_ref.tracing import Tracer

_SQLITE = "sqlite:///"


class Memory:
    """Conversations and facts.

    Parameters
    ----------
    chat, embeddings
        Give the models; called when one is first needed.
    prompts
        Prompt name → folder that holds it.
    path
        Resolves a relative path of the configuration.
    load
        Import path ``module:attribute`` → object.
    clock
        The time, in UTC; as an attribute it can be set later.
    concerned
        Chooses those whom a question names, whose facts are recalled too; see `Recall`.
    outcome
        Tells what became of an action that waited; see `Conversation`.
    allowance, reply
        Of a conversation's turn; see `Conversation`.
    """

    def __init__(
        self,
        settings: MemoryConfig,
        *,
        chat: Callable[[], Any],
        embeddings: Callable[[], Any],
        prompts: Callable[[str], Path],
        path: Callable[[str], Path],
        load: Callable[[str], Any],
        usage_of: UsageOf,
        tracer: Tracer,
        clock: Clock = utc_now,
        concerned: Concerned = nobody,
        outcome: Outcome | None = None,
        allowance: Allowance | None = None,
        reply: str = "There is no answer.",
    ) -> None:
        self._concerned, self._outcome = concerned, outcome
        self._allowance, self._reply = allowance, reply
        self.settings = settings
        self._chat, self._embeddings, self._prompts = chat, embeddings, prompts
        self._path, self._load, self.clock = path, load, clock
        self._usage_of, self._tracer = usage_of, tracer

    @cached_property
    def database(self) -> Database:
        """Where both are kept."""
        uri = self.settings.uri
        if uri.startswith(_SQLITE):
            uri = f"{_SQLITE}{self._path(uri.removeprefix(_SQLITE))}"
        instance = self.settings.databricks_instance
        return open_database(
            resolved(uri, "memory.uri"),
            password_env=self.settings.password_env,
            password_from=LakebasePassword(instance) if instance else None,
        )

    @cached_property
    def threads(self) -> Threads:
        """Short-term memory."""
        settings = self.settings.threads
        return Threads(
            self.database,
            version=settings.version,
            migrations=[Migration(m.of, m.to, self._load(m.by)) for m in settings.migrations],
            durability=settings.durability,
            wait=settings.wait_seconds,
        )

    @cached_property
    def facts(self) -> FactStore:
        """Long-term memory."""
        return fact_store(self.database, self._embeddings, clock=self._now)

    @cached_property
    def standalone(self) -> Standalone:
        """Makes a follow-up question stand alone."""
        return Standalone(self._ask(self.settings.threads.standalone))

    @cached_property
    def summariser(self) -> Summariser:
        """Extends the summary of what was trimmed."""
        settings = self.settings.threads
        return Summariser(self._ask(settings.summary), most=settings.summary_chars)

    @cached_property
    def learner(self) -> Learner:
        """Reads facts out of a user's message."""
        settings = self.settings.facts
        attributes = {
            one.name: Attribute(
                one.about,
                re.compile(rf"\b(?:{'|'.join(one.wording)})", re.IGNORECASE)
                if one.wording
                else None,
                None if one.days is None else timedelta(days=one.days),
            )
            for one in settings.attributes
        }
        return Learner(
            self._ask(settings.prompt),
            attributes=attributes,
            vague=re.compile(rf"\b(?:{'|'.join(settings.vague)})\b", re.IGNORECASE),
            keep_vague=settings.keep_vague,
            dates=settings.dates,
            most=settings.most,
            clock=self._now,
        )

    @cached_property
    def recall(self) -> Recall:
        """Finds the facts that a question is asked with."""
        return Recall(
            self.facts, **self.settings.facts.recall.model_dump(), concerned=self._concerned
        )

    def conversation(self, agent: Agent) -> Any:
        """Return a `Conversation` around an agent that answers one question at a time."""
        from agentops_ref.agents.memory.conversation import Conversation

        return Conversation(
            agent,
            self.threads,
            standalone=self.standalone,
            summariser=self.summariser,
            budget=self.settings.threads.budget_tokens,
            recall=self.recall,
            learn=self.learn if self.settings.facts.learn else None,
            outcome=self._outcome,
            allowance=self._allowance,
            reply=self._reply,
            tracer=self._tracer,
        )

    def learn(
        self,
        message: str,
        *,
        tenant: str,
        subject: str,
        source: FactSource,
        asked: str = "",
        limits: Limits | None = None,
    ) -> Learned:
        """Read the facts out of a user's message and keep them."""
        learned = self.learner(
            message, tenant=tenant, subject=subject, source=source, asked=asked, limits=limits
        )
        self.facts.tell(learned.facts)
        return learned

    def forget(
        self, *, tenant: str, subject: str, fact: str | None = None, threads: tuple[str, ...] = ()
    ) -> Forgotten:
        """Forget facts, and delete the conversations that are named.

        Threads are deleted first: whoever is cut off between the two still sees from the facts
        which threads there were.
        """
        if threads:
            self.threads.delete(*threads)
        return self.facts.forget(tenant=tenant, subject=subject, fact=fact)

    def close(self) -> None:
        """Close what was opened."""
        if "database" in self.__dict__:
            self.database.close()

    def _now(self) -> datetime:
        return self.clock()

    def _ask(self, prompt: str) -> Ask:
        loaded = load_prompt(self._prompts(prompt), prompt)
        return Ask(self._chat(), loaded, self._usage_of, self._tracer)
