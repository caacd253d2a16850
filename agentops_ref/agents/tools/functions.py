"""Python functions as tools: signature and docstring make the schema and the description.

Taught in chapter 6. A parameter of type `Caller` is filled by the registry and not shown to the
model, so that a function learns for whom it works from the code and never from the conversation.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_type_hints

from agentops_ref.agents.tools.spec import Caller, Effect, ToolSpec, WrongArguments
from agentops_ref.errors import ConfigError, DeveloperError


class FunctionTool:
    """A function behind a specification.

    Parameters
    ----------
    function
        Every parameter but that of the caller needs an annotation that pydantic knows;
        ``Annotated[str, Field(description=...)]`` says more about one.
    name, description
        By default the function's name and the first paragraph of its docstring.
    rehearses
        The function does nothing, and says what it would do, where its `Caller` is rehearsing.
    more
        Further fields of `ToolSpec`.

    Raises
    ------
    DeveloperError
        A parameter without an annotation, ``*args``, or no description.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        effect: Effect = "read",
        rehearses: bool = False,
        **more: Any,
    ) -> None:
        called = name or str(getattr(function, "__name__", ""))
        about = description or _first_paragraph(function)
        if not about:
            raise DeveloperError(f"tool {called}: give the function a docstring, or a description")
        self._function, self._caller = function, ""
        self._form = self._read(called)
        schema = self._form.model_json_schema()
        self.spec = ToolSpec(called, about, without_titles(schema), effect=effect, **more)
        if rehearses and not self._caller:
            raise DeveloperError(f"tool {called}: to rehearse it needs a parameter of type Caller")
        if rehearses:
            self.rehearse = lambda given, caller: self(given, replace(caller, rehearsal=True))

    def _read(self, called: str) -> Any:
        """Return the pydantic model of the function's arguments."""
        from pydantic import ConfigDict, create_model

        target = self._function
        if not inspect.isroutine(target):
            target = type(target).__call__
        hints = get_type_hints(target, include_extras=True)
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(self._function).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise DeveloperError(f"tool {called}: '*{name}' has no schema; name each parameter")
            if hints.get(name) is Caller:
                self._caller = name
                continue
            if name not in hints:
                raise DeveloperError(f"tool {called}: parameter '{name}' needs an annotation")
            empty = parameter.default is parameter.empty
            fields[name] = (hints[name], ... if empty else parameter.default)
        return create_model("arguments", __config__=ConfigDict(extra="forbid"), **fields)

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        """Call the function with its types; what does not convert is a `WrongArguments`."""
        from pydantic import ValidationError

        try:
            form = self._form.model_validate(dict(arguments))
        except ValidationError as error:
            found = [
                f"argument '{'.'.join(map(str, one['loc']))}': {one['msg']}, got {one['input']!r}"
                for one in error.errors()
            ]
            raise WrongArguments("; ".join(found)) from None
        given = {name: getattr(form, name) for name in type(form).model_fields}
        if self._caller:
            given[self._caller] = caller
        return self._function(**given)


def imported(path: str) -> Callable[..., Any]:
    """Return the function of an import path ``package.module:function``.

    Raises
    ------
    ConfigError
        There is none.
    """
    module, _, attribute = path.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"tools.python: cannot import '{path}' (expected module:function): {error}"
        ) from error
    return found


def without_titles(schema: Any) -> Any:
    """Return a JSON schema without pydantic's titles: they repeat the names and cost tokens."""
    if isinstance(schema, list):
        return [without_titles(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: without_titles(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else without_titles(value)
        for key, value in schema.items()
        if key != "title"
    }


def _first_paragraph(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
