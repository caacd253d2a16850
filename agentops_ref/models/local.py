"""A local chat model in process: a GGUF file on llama.cpp (`xllamacpp`), as a LangChain model.

Taught in chapter 1. Small models are unreliable at free-form tool calls, so tools are offered as
one step of constrained decoding: the grammar admits a call of a known tool with arguments of its
schema, or a reply, and nothing else.
"""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from agentops_ref.errors import ContextOverflow, ModelError, OperatorError
from agentops_ref.models.prefix import Prefixes
from agentops_ref.models.problems import missing
from agentops_ref.models.store import machine_lock
from agentops_ref.models.stream import as_chunk
from agentops_ref.models.structured import structured
from agentops_ref.models.toolstep import NONE, chosen, read_step, step_schema, wire_messages

Request = dict[str, Any]
OnEvent = Callable[[dict[str, Any]], bool]
"""Takes one event of a stream; True ends the generation."""

TEMPLATE_TOKENS = 32
"""At most what the chat template adds to a request and to each of its messages."""


HANDOVER = 0.03
"""Seconds between two requests of a process, in which another may take its turn."""


class Server(Protocol):
    """A loaded model."""

    def ask(self, request: Request, on_event: OnEvent | None = None) -> Any:
        """Answer one request in the OpenAI chat format; a stream goes to ``on_event``."""

    def count(self, messages: list[dict[str, str]]) -> int:
        """Return how many tokens the messages are once the chat template is applied."""


class LlamaServer:
    """llama.cpp in this process; one request at a time, over all processes of this user.

    Its threads wait for one another by spinning. Two processes that generate at once on the same
    cores were seen to write 1 token/s each instead of 20, so that they take turns.
    """

    def __init__(self, file: Path, *, context_tokens: int, threads: int) -> None:
        try:
            import xllamacpp
        except ImportError as error:
            raise missing(error) from error

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        parameters.n_ctx = context_tokens
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = -1
        parameters.warmup = False
        # By default each prompt's state is kept in memory, up to 8 GiB, some 17 MB an answer.
        parameters.cache_ram_mib = 0
        parameters.n_ctx_checkpoints = 0
        self._folder = tempfile.TemporaryDirectory(prefix="agentops-prefixes-")
        parameters.slot_save_path = f"{self._folder.name}/"
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise OperatorError(
                f"cannot load {file}: {error}; run: agentops models pull"
            ) from error
        self._one_at_a_time = threading.Lock()
        self._prefixes = Prefixes(
            self._server.handle_chat_completions, self._slot, Path(self._folder.name)
        )

    def ask(self, request: Request, on_event: OnEvent | None = None) -> Any:
        with self._one_at_a_time:
            try:
                with machine_lock("llama"):
                    if request["cache_prompt"]:
                        system = request["messages"][0]["content"]
                        request["cache_prompt"] = self._prefixes.put_back(system)
                    if on_event is None:
                        return self._server.handle_chat_completions(request)
                    return self._server.handle_chat_completions(request, on_event)
            finally:
                time.sleep(HANDOVER)  # who waits looks every 20 ms; else it might wait for ever

    def count(self, messages: list[dict[str, str]]) -> int:
        prompt = self._client.post("/apply-template", json={"messages": messages}).json()["prompt"]
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        return len(self._client.post("/tokenize", json=asked).json()["tokens"])

    def _slot(self, action: str, file: str) -> None:
        done = self._client.post(f"/slots/0?action={action}", json={"filename": file})
        if done.status_code != 200:
            raise OSError(f"cannot {action} a prompt's state: {done.text[:200]}")

    @cached_property
    def _client(self) -> Any:
        # Tokenizer and states are reached over the server's loopback port only.
        import httpx

        return httpx.Client(base_url=self._server.listening_address, trust_env=False, timeout=60)


_servers: dict[tuple[str, int, int], Server] = {}
_loading = threading.Lock()


def start_server(file: Path, *, digest: str | None, context_tokens: int, threads: int) -> Server:
    """Load the weights once per process; later calls get the same server.

    Raises
    ------
    OperatorError
        The file is missing, cannot be loaded or is not the one that ``digest`` names: answers
        would be recorded under another model's name.
    """
    from agentops_ref.models.weights import is_intact

    key = (str(file.resolve()), context_tokens, threads)
    with _loading:
        if key not in _servers:
            if not file.is_file():
                raise OperatorError(f"model weights not found: {file}; run: agentops models pull")
            if digest and not is_intact(file, digest):
                raise OperatorError(
                    f"{file} is not the model that models.chat.digest names ({digest[:12]}…); "
                    "run: agentops models pull, or set the digest of your own file"
                )
            _servers[key] = LlamaServer(file, context_tokens=context_tokens, threads=threads)
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
    digest: str | None = None
    """SHA-256 that the weights must have; None takes the file as it is."""
    cache_prompt: bool = True
    """Read the system message only once in a process; see `agentops_ref.models.prefix`."""
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
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools. ``tool_choice``: a name or "any" forces a call, "none" forbids one."""
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=offered, tool_choice=chosen(tool_choice), **kwargs)

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Constrain decoding to a JSON schema; gives the pydantic object or a dictionary."""
        return structured(self, schema, include_raw=include_raw)

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
        cut = choice["finish_reason"] == "length"
        content, calls = read_step(text, cut=cut) if _offered(kwargs) else (text, [])
        message = AIMessage(
            content,
            tool_calls=calls,
            usage_metadata=_usage(response["usage"]),
            response_metadata=self._metadata(
                "tool_calls" if calls else choice["finish_reason"],
                started,
                request,
                response.get("timings"),
            ),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if _offered(kwargs):
            # Half a JSON object is of no use to anybody: a tool step comes in one piece.
            message = self._generate(messages, stop, run_manager, **kwargs).generations[0].message
            yield ChatGenerationChunk(message=as_chunk(message))
            return
        started = time.perf_counter()
        request = self._request(messages, stop, kwargs)
        request |= {"stream": True, "stream_options": {"include_usage": True}}
        finish_reason, usage = "", None
        for event in self._events(request):
            choice = event["choices"][0] if event.get("choices") else {}
            finish_reason = choice.get("finish_reason") or finish_reason
            usage = event.get("usage") or usage
            if text := choice.get("delta", {}).get("content"):
                yield ChatGenerationChunk(message=AIMessageChunk(content=text))
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata=_usage(usage) if usage else None,
                response_metadata=self._metadata(finish_reason, started, request),
            )
        )

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Request:
        tools = _offered(kwargs)
        told = wire_messages(messages, tools, self.tool_prompt)
        cached = kwargs.get("cache_prompt", self.cache_prompt)
        request: Request = {
            "messages": told,
            "temperature": kwargs.get("temperature", self.temperature),
            "seed": kwargs.get("seed", self.seed),
            "max_tokens": kwargs.get("max_tokens", self.max_output_tokens),
            "cache_prompt": bool(cached and told and told[0]["role"] == "system"),
        }
        if stop:
            request["stop"] = stop
        if tools:
            schema = step_schema(tools, chosen(kwargs.get("tool_choice")))
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "step", "schema": schema},
            }
        elif kwargs.get("response_format"):
            request["response_format"] = kwargs["response_format"]
        return request

    def _call(self, request: Request, on_event: OnEvent | None = None) -> Any:
        if self._server is None:
            self._server = start_server(
                self.weights,
                digest=self.digest,
                context_tokens=self.context_tokens,
                threads=self.threads,
            )
        self._check_size(self._server, request)
        try:
            return self._server.ask(request, on_event)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.model_name} refused the request: {error}") from error

    def _check_size(self, server: Server, request: Request) -> None:
        """Refuse a prompt that leaves no room for the answer, before it is read for minutes."""
        messages = request["messages"]
        # A token is at least one byte, so that most prompts need not be counted.
        most = sum(len(told["content"].encode()) for told in messages)
        most += TEMPLATE_TOKENS * (len(messages) + 1)
        if most + request["max_tokens"] > self.context_tokens:
            count = server.count(messages)
            if count + request["max_tokens"] > self.context_tokens:
                raise self._overflow(count, request["max_tokens"])

    def _overflow(self, count: int, reserve: int) -> ContextOverflow:
        return ContextOverflow(
            f"the prompt has {count} tokens and {reserve} are reserved for the answer, "
            f"{self.model_name} takes {self.context_tokens} in all: show fewer excerpts "
            "(retrieval.k, agent.context_chars) or raise models.chat.context_tokens"
        )

    def _events(self, request: Request) -> Iterator[dict[str, Any]]:
        """Turn the server's callback into an iterator; the call runs in a thread of its own."""
        events: queue.Queue[Any] = queue.Queue()
        done = object()
        abandoned = threading.Event()

        def take(event: dict[str, Any]) -> bool:
            events.put(event)
            return abandoned.is_set()

        def work() -> None:
            try:
                answer = self._call(request, take)
                if isinstance(answer, dict):
                    events.put(answer)
            except Exception as error:
                events.put(error)
            finally:
                events.put(done)

        threading.Thread(target=work, daemon=True, name="agentops-stream").start()
        try:
            while (event := events.get()) is not done:
                if isinstance(event, Exception):
                    raise event
                yield self._checked(event)
        finally:
            abandoned.set()  # a reader who goes away does not hold the model

    def _checked(self, response: Any) -> dict[str, Any]:
        if not isinstance(response, dict):
            raise ModelError(f"{self.model_name} answered {str(response)[:200]!r}")
        error = response.get("error")
        if not error:
            return response
        if isinstance(error, dict) and error.get("type") == "exceed_context_size_error":
            raise self._overflow(error["n_prompt_tokens"], self.max_output_tokens)
        why = error.get("message") if isinstance(error, dict) else error
        raise ModelError(f"{self.model_name} refused the request: {why}")

    def _metadata(
        self,
        finish_reason: str,
        started: float,
        request: Request,
        timings: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What is told of an answer; the model's own time leaves out waiting for one's turn."""
        seconds = time.perf_counter() - started
        if timings and "prompt_ms" in timings and "predicted_ms" in timings:
            seconds = (timings["prompt_ms"] + timings["predicted_ms"]) / 1000
        return {
            "model_name": self.model_name,
            "finish_reason": finish_reason,
            "answered": "live",
            "live_seconds": round(seconds, 3),
            "cached_prompt": request["cache_prompt"],
        }


def _offered(kwargs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tools that this call may use."""
    return [] if chosen(kwargs.get("tool_choice")) == NONE else kwargs.get("tools") or []


def _usage(usage: dict[str, Any]) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["prompt_tokens"] + usage["completion_tokens"],
    )
