"""The agent as a LangGraph graph: two nodes, and an edge that depends on what the model said."""

from __future__ import annotations

from typing import Any

from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import tools_condition
from langgraph.runtime import Runtime

from agentops_ref.agents.run import OutOfSteps, Run, ToolAgent
from agentops_ref.apps.oneagent import one_agent
from agentops_ref.wiring import App


def ask(state: MessagesState, runtime: Runtime[Run]) -> dict[str, Any]:
    return {"messages": [runtime.context.ask(state["messages"])]}


def call(state: MessagesState, runtime: Runtime[Run]) -> dict[str, Any]:
    calls = state["messages"][-1].tool_calls
    return {"messages": [runtime.context.call(one) for one in calls]}


class GraphAgent(ToolAgent):
    """Runs a compiled graph; the question's `Run` is its context."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        graph = StateGraph(MessagesState, context_schema=Run)
        graph.add_node("model", ask)
        graph.add_node("tools", call)
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", tools_condition)
        graph.add_edge("tools", "model")
        self.graph = graph.compile()

    def solve(self, run: Run, question: str) -> str:
        asked = {"messages": self.prompt.messages(question=question)}
        # A model call and its tools are two steps of the graph.
        bound = {"recursion_limit": 2 * self.max_steps}
        try:
            state = self.graph.invoke(asked, bound, context=run)
        except GraphRecursionError as error:
            raise OutOfSteps(self.max_steps) from error
        return state["messages"][-1].text


def agent(app: App) -> ToolAgent:
    return one_agent(app, GraphAgent)
