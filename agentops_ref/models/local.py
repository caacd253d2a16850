"""A local chat model in process: a GGUF file on llama.cpp (`xllamacpp`), as a LangChain model.

Taught in chapter 1. Small models are unreliable at free-form tool calls, so tools are offered as
one step of constrained decoding: the grammar admits a call of a known tool with arguments of its
schema, or a reply, and nothing else.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import BaseModel, PrivateAttr

from agentops_ref.errors import ContextOverflow, ModelError, OperatorError
from agentops_ref.models.toolstep import read_step, step_schema, wire_messages

Server = Callable[[dict[str, Any], Callable[[dict[str, Any]], None] | None], Any]
"""One request in the OpenAI chat format; streams to the callback when it has one."""

_servers: dict[tuple[str, int, int], Server] = {}
_loading = threading.Lock()


def start_server(file: Path, *, context_tokens: int, threads: int) -> Server:
    """Load the weights once per process; later calls get the same server.

    Raises
    ------
    OperatorError
        The file is missing or cannot be loaded.
    """
    key = (str(file), context_tokens, threads)
    with _loading:
        if key not in _servers:
            if not file.is_file():
                raise OperatorError(f"model weights not found: {file}; run: agentops models pull")
            import xllamacpp

            parameters = xllamacpp.CommonParams()
            parameters.model.path = str(file)
            parameters.n_ctx = context_tokens
            parameters.n_parallel = 1
            parameters.cpuparams.n_threads = threads
            parameters.cpuparams_batch.n_threads = threads
            parameters.verbosity = -1
            parameters.warmup = False
            try:
                server = xllamacpp.Server(parameters)
            except RuntimeError as error:
                raise OperatorError(f"cannot load {file}: {error}") from error
            one_at_a_time = threading.Lock()

            def call(
                request: dict[str, Any], stream: Callable[[dict[str, Any]], None] | None
            ) -> Any:
                with one_at_a_time:
                    if stream is None:
                        return server.handle_chat_completions(request)
                    return server.handle_chat_completions(request, stream)

            _servers[key] = call
        return _servers[key]


class LocalChat(BaseChatModel):
    """A GGUF model behind LangChain's interface. Nothing is loaded before the first call."""

    name: str | None = "local"
    weights: Path
    context_tokens: int
    max_output_tokens: int
    temperature: float
    seed: int
    threads: int
    tool_prompt: str
    """Text that explains the tool step; ``{tools}`` is replaced by the list of tools."""
    model_name: str
    _server: Server | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "agentops-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "temperature": self.temperature, "seed": self.seed}

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools. ``tool_choice``: a name or "any" forces a call, "none" forbids one."""
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=offered, tool_choice=tool_choice, **kwargs)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Constrain decoding to a JSON schema; gives the pydantic object or a dictionary."""
        if include_raw:
            raise NotImplementedError("include_raw: invoke the model with response_format instead")
        bound = self.bind(response_format=response_format(schema))
        return bound | parser_of(schema)

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        tools = kwargs.get("tools") or []
        request: dict[str, Any] = {
            "messages": wire_messages(messages, tools, self.tool_prompt),
            "temperature": kwargs.get("temperature", self.temperature),
            "seed": kwargs.get("seed", self.seed),
            "max_tokens": kwargs.get("max_tokens", self.max_output_tokens),
            "cache_prompt": True,
        }
        if stop:
            request["stop"] = stop
        if tools and kwargs.get("tool_choice") != "none":
            schema = step_schema(tools, kwargs.get("tool_choice"))
            request["response_format"] = response_format(schema)
        elif kwargs.get("response_format"):
            request["response_format"] = kwargs["response_format"]
        return request

    def _call(
        self, request: dict[str, Any], stream: Callable[[dict[str, Any]], None] | None = None
    ) -> Any:
        if self._server is None:
            self._server = start_server(
                self.weights, context_tokens=self.context_tokens, threads=self.threads
            )
        try:
            return self._server(request, stream)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.model_name} refused the request: {error}") from error

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        started = time.perf_counter()
        request = self._request(messages, stop, kwargs)
        response = self._checked(self._call(request))
        choice = response["choices"][0]
        text = choice["message"].get("content") or ""
        offered = kwargs.get("tools") if kwargs.get("tool_choice") != "none" else None
        content, calls = read_step(text) if offered else (text, [])
        message = AIMessage(
            content,
            tool_calls=calls,
            usage_metadata=_usage(response["usage"]),
            response_metadata={
                "model_name": self.model_name,
                "finish_reason": "tool_calls" if calls else choice["finish_reason"],
                "answered": "live",
                "live_seconds": round(time.perf_counter() - started, 3),
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if kwargs.get("tools") and kwargs.get("tool_choice") != "none":
            # Half a JSON object is of no use to anybody: a tool step comes in one piece.
            message = self._generate(messages, stop, run_manager, **kwargs).generations[0].message
            yield ChatGenerationChunk(message=as_chunk(message))
            return
        request = self._request(messages, stop, kwargs)
        request |= {"stream": True, "stream_options": {"include_usage": True}}
        for event in self._events(request):
            choice = event["choices"][0] if event.get("choices") else {}
            text = choice.get("delta", {}).get("content") or ""
            chunk = AIMessageChunk(content=text)
            if event.get("usage"):
                chunk.usage_metadata = _usage(event["usage"])
            if choice.get("finish_reason"):
                chunk.response_metadata = {
                    "model_name": self.model_name,
                    "finish_reason": choice["finish_reason"],
                    "answered": "live",
                }
            if text or chunk.usage_metadata or chunk.response_metadata:
                if run_manager and text:
                    run_manager.on_llm_new_token(text)
                yield ChatGenerationChunk(message=chunk)

    def _events(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Turn the server's callback into an iterator; the call runs in a thread of its own."""
        events: queue.Queue[Any] = queue.Queue()
        done = object()

        def work() -> None:
            try:
                answer = self._call(request, events.put)
                if isinstance(answer, dict):
                    events.put(answer)
            except Exception as error:
                events.put(error)
            finally:
                events.put(done)

        threading.Thread(target=work, daemon=True).start()
        while (event := events.get()) is not done:
            if isinstance(event, Exception):
                raise event
            yield self._checked(event)

    def _checked(self, response: Any) -> dict[str, Any]:
        error = response.get("error") if isinstance(response, dict) else {"message": response}
        if not error:
            return response  # type: ignore[no-any-return]
        if error.get("type") == "exceed_context_size_error":
            raise ContextOverflow(
                f"the prompt has {error['n_prompt_tokens']} tokens, {self.model_name} takes "
                f"{error['n_ctx']}: show fewer excerpts (retrieval.k, agent.context_chars) or "
                "raise models.chat.context_tokens"
            )
        raise ModelError(f"{self.model_name} refused the request: {error.get('message')}")


def response_format(schema: Any) -> dict[str, Any]:
    """Return the OpenAI-style ``response_format`` for a pydantic class, TypedDict or schema."""
    made = schema if isinstance(schema, dict) and "title" not in schema else None
    made = made or convert_to_json_schema(schema)
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": made}}


def parser_of(schema: Any) -> Runnable[Any, Any]:
    """Return the parser that turns constrained text into the schema's object."""
    from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser

    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return PydanticOutputParser(pydantic_object=schema)
    return JsonOutputParser()


def as_chunk(message: BaseMessage) -> AIMessageChunk:
    """Return a whole message as one chunk of a stream."""
    assert isinstance(message, AIMessage)
    return AIMessageChunk(
        content=message.content,
        tool_call_chunks=[
            {
                "name": call["name"],
                "args": json.dumps(call["args"]),
                "id": call["id"],
                "index": index,
                "type": "tool_call_chunk",
            }
            for index, call in enumerate(message.tool_calls)
        ],
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
    )


def _usage(usage: dict[str, Any]) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["prompt_tokens"] + usage["completion_tokens"],
    )
