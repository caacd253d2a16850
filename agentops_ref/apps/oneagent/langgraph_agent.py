"""The agent as a LangGraph graph: two nodes, and an edge that depends on what the model said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import tools_condition
from langgraph.runtime import Runtime

from agentops_ref.agents.run import OutOfSteps, Run, ToolAgent
from agentops_ref.apps.oneagent import one_agent
from agentops_ref.wiring import App


@dataclass(frozen=True)
class Context:
    run: Run


def ask(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    return {"messages": [runtime.context.run.ask(state["messages"])]}


def call(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    said = state["messages"][-1]
    assert isinstance(said, AIMessage)
    return {"messages": [runtime.context.run.call(one) for one in said.tool_calls]}


class GraphAgent(ToolAgent):
    """Runs a compiled graph; the question's `Run` is its context."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        graph: Any = StateGraph(MessagesState, context_schema=Context)
        graph.add_node("model", ask)
        graph.add_node("tools", call)
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", tools_condition)
        graph.add_edge("tools", "model")
        self.graph: Any = graph.compile()

    def solve(self, run: Run, question: str) -> str:
        asked = {"messages": self.prompt.messages(question=question)}
        # A model call and its tools are two steps of the graph.
        bound = {"recursion_limit": 2 * self.max_steps}
        try:
            state = self.graph.invoke(asked, bound, context=Context(run))
        except GraphRecursionError as error:
            raise OutOfSteps(self.max_steps) from error
        return str(state["messages"][-1].text)


def agent(app: App) -> ToolAgent:
    return one_agent(app, GraphAgent)
