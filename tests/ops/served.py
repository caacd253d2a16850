"""An agent for tests of endpoints: ``python -m tests.ops.served PORT TRACKING_URI``."""

from __future__ import annotations

import sys
import time

from agentops_ref.agents.request import Request
from agentops_ref.ops.serving import application
from agentops_ref.records import Answer, Citation, Step, Usage
from agentops_ref.tracing import MlflowTracer


def main() -> None:
    import uvicorn

    tracer = MlflowTracer(sys.argv[2], "served")
    tracer.connect()

    def agent(question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        with tracer.span("inner", "AGENT", {"question": question}) as span:
            word, _, rest = question.partition(" ")
            if word == "sleep":
                time.sleep(float(rest))
            if word == "raise":
                raise ValueError(rest)
            return Answer(
                f"{request.tenant} {request.limits.allowance.steps} {request.filters}",
                abstained=False,
                citations=(Citation("a.pdf", "0" * 12, 3, "18 Nm"),),
                usage=Usage(5, 2, 0.1, 1),
                steps=(Step("served", "look", "{}"),),
                trace_id=span.trace_id,
            )

    uvicorn.run(application(agent), port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
