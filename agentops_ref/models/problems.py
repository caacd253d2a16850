"""What libraries raise, told as one of our errors: who must act, and whether a retry can help."""

from __future__ import annotations

from agentops_ref.errors import (
    AgentOpsError,
    ContextOverflow,
    ModelError,
    OperatorError,
    TransientError,
)

# By the names of the classes: LangChain's own (since 1.4) and those of the providers' clients,
# which are not installed everywhere, agree on them.
OVERFLOW = {"ContextOverflowError"}
TRANSIENT = {
    "APIConnectionError",
    "APITimeoutError",
    "ConnectionError",
    "InternalServerError",
    "ModelAPIError",
    "ModelConnectionError",
    "ModelRateLimitError",
    "ModelTimeoutError",
    "RateLimitError",
    "TimeoutError",
    "TransportError",
}
OPERATOR = {
    "AuthenticationError",
    "ModelAuthenticationError",
    "ModelNotFoundError",
    "ModelPermissionDeniedError",
    "NotFoundError",
    "PermissionDeniedError",
}
REFUSED = {"BadRequestError", "ModelInvalidRequestError", "UnprocessableEntityError"}


def translated(error: Exception, model: str) -> Exception:
    """Return the error of ours that says who must act; an unknown error comes back as it is."""
    if isinstance(error, AgentOpsError):
        return error
    if isinstance(error, ImportError):
        return missing(error)
    names = {base.__name__ for base in type(error).__mro__}
    if names & OVERFLOW:
        return ContextOverflow(f"{model}: {error}")
    if names & TRANSIENT:
        return TransientError(f"{model} cannot be reached or is busy: {error}")
    if names & OPERATOR:
        return OperatorError(f"{model}: {error}; check models.chat.options and the API key")
    if names & REFUSED:
        return ModelError(f"{model} refused the request: {error}")
    return error


def missing(error: ImportError) -> OperatorError:
    """Return the error that names a library which is not there or cannot be loaded."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        return OperatorError(f"{library} is not installed: pip install {library.replace('_', '-')}")
    return OperatorError(f"{error.name or 'a library'} cannot be loaded: {error}")
