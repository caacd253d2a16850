"""An agent behind a gate, for tests: ``python -m tests.auth.served PORT ISSUER STATE NAME``.

It answers with who asks, as it was told.
"""

from __future__ import annotations

import sys

from agentops_ref.agents.request import Request
from agentops_ref.config import load_config
from agentops_ref.ops.auth import gate_of
from agentops_ref.ops.serving import application
from agentops_ref.records import Answer
from agentops_ref.wiring import build


def main() -> None:
    import uvicorn

    port, issuer, state, name, *more = sys.argv[1:]
    overrides = ["auth.required=true", f"auth.issuer={issuer}", f"paths.state={state}", *more]
    app = build(load_config(overrides=overrides))
    app.tracer.connect()

    def agent(question: str, *, request: Request | None = None) -> Answer:
        assert request is not None
        with app.tracer.span("inner", "AGENT", {"question": question}) as span:
            if question == "raise":
                raise ValueError(f"with {question}")
            roles = request.identity.roles if request.identity else ()
            told = f"{name}: {request.user} of {request.tenant} as {','.join(roles)}"
            return Answer(told, abstained=False, trace_id=span.trace_id)

    gate = gate_of(app, name, f"http://127.0.0.1:{port}")
    uvicorn.run(application(agent, gate=gate), port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
