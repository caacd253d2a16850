"""A chat model as an engine of DSPy, which has its own client for hosted models only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

Ask = Callable[[Sequence[BaseMessage], Any], AIMessage]


class Engine:
    """Asks a LangChain model; ``ask`` is what calls it, such as `Run.ask`."""

    supports_response_schema = True
    supported_params = frozenset({"response_format"})

    def __init__(self, model: BaseChatModel, ask: Ask) -> None:
        self.model, self.ask = model, ask

    def complete(self, request: Request) -> Response:
        messages: list[BaseMessage] = [SystemMessage(str(request.system))]
        for told in request.messages:
            as_said = AIMessage if told.role == "assistant" else HumanMessage
            messages.append(as_said(told.text or ""))
        form: Any = request.config.response_format
        schema = {"name": "step", "schema": form["schema"]}
        bound: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": schema}}
        if request.config.temperature is not None:  # a second round of an optimiser
            bound["temperature"] = request.config.temperature
        reply = self.ask(messages, self.model.bind(**bound))
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(reply.text),
            finish_reason="stop",
            usage=Usage(),
        )


@contextmanager
def speaking(model: BaseChatModel, ask: Ask) -> Iterator[None]:
    """Have DSPy ask this model, in JSON whose fields decoding enforces.

    What was said is kept by recordings and traces, so DSPy's own cache and history are off.
    """
    engine = Engine(model, ask)
    lm = dspy.LM("chat", engine=engine, cache=False, num_retries=0)
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter(), disable_history=True):
        yield
