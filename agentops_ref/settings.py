"""The schema of the configuration: one frozen class a section, unknown keys refused.

What each key means stands beside it in ``config/base.yaml``, which also holds every default.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agentops_ref.settings_auth import AuthConfig, McpAuthConfig, safe_url
from agentops_ref.settings_evals import EvalsConfig
from agentops_ref.settings_guards import GuardsConfig
from agentops_ref.settings_models import ModelsConfig


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PathsConfig(_Section):
    corpus: Path
    state: Path
    cache: Path
    recordings: Path
    prompts: Path
    weights: Path | None


class SourceConfig(_Section):
    kind: str
    root: str | Path
    include: list[str]
    exclude: list[str]
    max_bytes: int = Field(gt=0)
    options: dict[str, Any]


class RetryConfig(_Section):
    attempts: int = Field(ge=1)
    first_seconds: float = Field(ge=0)
    max_seconds: float = Field(ge=0)


class ContextConfig(_Section):
    product: str | None = None
    version: str | None = None

    @field_validator("product", "version")
    @classmethod
    def _is_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class ChunkConfig(_Section):
    target_chars: int = Field(gt=0)
    max_chars: int = Field(gt=0)
    splitter: str = "structure"
    options: dict[str, Any] = {}
    context: ContextConfig = ContextConfig()


class ParseConfig(_Section):
    figures: Literal["none", "ocr", "describe"]


class SummariesConfig(_Section):
    prompt: str
    min_chars: int = Field(ge=0)
    max_chars: int = Field(gt=0)


class SinkConfig(_Section):
    kind: str
    uri: str
    options: dict[str, Any]
    pin: int | None = Field(default=None, ge=0)


class DeletionConfig(_Section):
    listings: int = Field(ge=1)
    max_share: float = Field(ge=0, le=1)


class WebhookConfig(_Section):
    url: str | None = None
    url_env: str | None = None
    token_env: str | None = None
    timeout: float = Field(default=10, gt=0)

    @model_validator(mode="after")
    def _one_address(self) -> WebhookConfig:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("expected either `url` or `url_env`")
        return self


class EmailConfig(_Section):
    host: str
    port: int = Field(default=587, gt=0)
    starttls: bool = True
    sender: str
    to: list[str] = Field(min_length=1)
    username: str | None = None
    password_env: str | None = None
    timeout: float = Field(default=10, gt=0)

    @model_validator(mode="after")
    def _password_is_secret(self) -> EmailConfig:
        if (self.username is None) != (self.password_env is None):
            raise ValueError("`username` and `password_env` come together")
        if self.username is not None and not self.starttls:
            raise ValueError("a password is sent with `starttls: true` only")
        return self


class NotifyConfig(_Section):
    log: bool
    webhook: WebhookConfig | None
    email: EmailConfig | None


class TableConfig(_Section):
    """One table with a source of its own; `agentops_ref.etl.tabular.sources` says what each is."""

    name: str
    source: str
    key: str | list[str] = []
    columns: list[str] = []
    types: dict[str, Literal["string"]] = {}
    sheet: str | None = None
    header: int = Field(default=1, ge=1)
    table: str | None = None
    query: str | None = None
    password_env: str | None = None
    vanished: Literal["keep", "drop", "refuse"] | None = None
    narrowed: Literal["keep", "narrow", "refuse"] | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> TableConfig:
        database = "://" in self.source
        if database and bool(self.table) == bool(self.query):
            raise ValueError("a database needs either `table` or `query`")
        if not database and (self.table or self.query or self.password_env):
            raise ValueError("`table`, `query` and `password_env` are for a database's URL")
        if self.query and not self.key:
            raise ValueError("a `query` needs its `key`")
        if not self.source.lower().endswith(".xlsx") and (self.sheet or self.header != 1):
            raise ValueError("`sheet` and `header` are for an .xlsx file")
        return self


class TableQueryConfig(_Section):
    max_rows: int = Field(gt=0)
    seconds: float = Field(gt=0)
    memory_mb: int = Field(gt=0)


class WhereConfig(_Section):
    documents: str | None = None
    kind: str | None = None
    ocr: bool | None = None


class ExpectationConfig(_Section):
    metric: str
    where: WhereConfig = WhereConfig()
    at_least: float | None = None
    at_most: float | None = None
    one_of: list[str] | None = None
    scope: Literal["document", "run"]
    share: float | None = Field(default=None, gt=0, le=1)
    statistic: Literal["median"] | None = None
    on_fail: Literal["quarantine", "refuse", "warn"]
    reason: str = ""

    @model_validator(mode="after")
    def _one_limit(self) -> ExpectationConfig:
        limits = (self.at_least, self.at_most, self.one_of)
        if sum(limit is not None for limit in limits) != 1:
            raise ValueError("expected one of `at_least`, `at_most` and `one_of`")
        if self.on_fail == {"document": "refuse", "run": "quarantine"}[self.scope]:
            raise ValueError("a document is quarantined, a run refused; either may warn")
        if self.scope == "document" and (self.share is not None or self.statistic is not None):
            raise ValueError("`share` and `statistic` are for `scope: run`")
        if self.share is not None and self.statistic is not None:
            raise ValueError("expected either `share` or `statistic`")
        return self


class QualityConfig(_Section):
    level: float = Field(gt=0, lt=1)
    fewest: int = Field(ge=1)
    expectations: list[ExpectationConfig]
    completeness: str | None
    keep: int = Field(ge=0)
    mlflow: bool


class TablesConfig(_Section):
    root: Path | None
    uri: str
    sources: list[TableConfig]
    vanished: Literal["keep", "drop", "refuse"]
    narrowed: Literal["keep", "narrow", "refuse"]
    max_share: float = Field(ge=0, le=1)
    wait_seconds: float = Field(ge=0)
    query: TableQueryConfig


class EngineConfig(_Section):
    kind: str
    runner: Literal["native", "ray"]
    address: str | None
    workers: int | None = Field(gt=0)
    batch: int = Field(gt=0)
    deaths: int = Field(gt=0)
    start_seconds: float = Field(gt=0)
    min_documents: int = Field(ge=0)
    options: dict[str, Any]


class ExtractConfig(_Section):
    schema_file: Path = Field(alias="schema")
    model: bool
    on_sync: bool


class EtlConfig(_Section):
    source: SourceConfig
    retry: RetryConfig
    parse: ParseConfig
    chunk: ChunkConfig
    summaries: SummariesConfig
    engine: EngineConfig
    sink: SinkConfig
    deletion: DeletionConfig
    notify: NotifyConfig
    quality: QualityConfig
    tables: TablesConfig
    extract: ExtractConfig


class RetrievalConfig(_Section):
    mode: Literal["hybrid", "vector", "text"]
    k: int = Field(gt=0)
    candidates: int = Field(gt=0)
    vector_weight: float = Field(ge=0)
    text_weight: float = Field(ge=0)
    rrf_constant: int = Field(gt=0)
    identifiers: str | None
    models: str | None


class SpecialistConfig(_Section):
    purpose: str
    kind: str
    prompt: str
    seconds: float | None = Field(gt=0)
    url: str | None


class AllowanceConfig(_Section):
    seconds: float | None = Field(gt=0)
    steps: int | None = Field(gt=0)
    tokens: int | None = Field(gt=0)
    cost: float | None = Field(gt=0)


class EndpointsConfig(_Section):
    host: str
    port: int = Field(ge=0, le=65535)
    start_seconds: float = Field(gt=0)
    connect_seconds: float = Field(gt=0)


class AgentConfig(_Section):
    kind: str
    prompts: dict[str, str]
    max_steps: int = Field(gt=0)
    tenant: str
    desk: bool
    max_tasks: int = Field(gt=0)
    fallback: str
    specialists: dict[str, SpecialistConfig]
    allow: dict[str, list[str]]
    limits: AllowanceConfig
    endpoints: EndpointsConfig
    context_chars: int = Field(gt=0)
    min_support: float = Field(ge=0, le=1)


class RateConfig(_Section):
    calls: int = Field(gt=0)
    seconds: float = Field(gt=0)


class ToolOverride(_Section):
    """What is said of one tool in place of what its source says; None leaves it."""

    description: str | None = None
    version: str | None = None
    effect: Literal["read", "write"] | None = None
    timeout: float | None = Field(default=None, gt=0)
    rate: RateConfig | None = None
    agents: list[str] | None = None
    repeat: Literal["free", "once", "never"] | None = None
    max_chars: int | None = Field(default=None, gt=0)


class McpServerConfig(_Section):
    name: str
    url: str | None = None
    command: list[str] = []
    env: dict[str, str] = {}
    token_env: str | None = None
    auth: McpAuthConfig | None = None
    headers: dict[str, str] = {}
    tenant_header: str | None = None
    tools: list[str] = []
    prefix: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> McpServerConfig:
        if bool(self.url) == bool(self.command):
            raise ValueError("expected either `url` or `command`")
        if self.command and (self.token_env or self.auth or self.headers or self.tenant_header):
            raise ValueError("`token_env`, `auth`, `headers`, `tenant_header` are for a `url`")
        if self.token_env and self.auth:
            raise ValueError("expected either `token_env` or `auth`")
        if self.auth:
            safe_url(self.url or "")
        if self.url and self.env:
            raise ValueError("`env` is for a `command`")
        return self


class OpenApiConfig(_Section):
    name: str
    document: str
    url: str | None = None
    token_env: str | None = None
    headers: dict[str, str] = {}
    tenant_header: str | None = None
    tools: list[str] = []
    prefix: str = ""


class UnityFunctionConfig(_Section):
    function: str
    tool: str | None = None
    tenant: str | None = None

    @field_validator("function")
    @classmethod
    def _is_full(cls, value: str) -> str:
        if value.count(".") != 2 or not all(value.split(".")):
            raise ValueError("expected catalog.schema.function")
        return value


class UnityConnectionConfig(_Section):
    tool: str
    description: str
    connection: str
    path: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    parameters: dict[str, Any] = {}


class UnityCatalogConfig(_Section):
    host: str | None = None
    token_env: str | None = None
    warehouse: str | None = None
    functions: list[UnityFunctionConfig] = []
    connections: list[UnityConnectionConfig] = []

    @model_validator(mode="after")
    def _where_they_run(self) -> UnityCatalogConfig:
        if self.functions and not self.warehouse:
            raise ValueError("functions need a `warehouse` to run on")
        return self


class ServeConfig(_Section):
    host: str
    port: int = Field(ge=0, le=65535)
    tenant_header: str
    token_env: str | None


class ToolsConfig(_Section):
    audit: Path
    timeout: float = Field(gt=0)
    max_chars: int = Field(gt=0)
    records: bool
    sensors: bool
    schedule: Path | None
    python: list[str]
    servers: list[McpServerConfig]
    openapi: list[OpenApiConfig]
    unity_catalog: UnityCatalogConfig | None
    overrides: dict[str, ToolOverride]
    serve: ServeConfig


class MigrationConfig(_Section):
    of: str = Field(alias="from")
    to: str
    by: str


class ThreadsConfig(_Section):
    version: str
    migrations: list[MigrationConfig]
    durability: Literal["exit", "sync"]
    wait_seconds: float = Field(ge=0)
    budget_tokens: int = Field(gt=0)
    summary_chars: int = Field(gt=0)
    summary: str
    standalone: str


class AttributeConfig(_Section):
    name: str
    about: str
    wording: list[str] = []
    days: int | None = Field(default=None, gt=0)

    @field_validator("wording")
    @classmethod
    def _are_patterns(cls, value: list[str]) -> list[str]:
        return [_pattern(one) for one in value]


class RecallConfig(_Section):
    k: int = Field(ge=0)
    chars: int = Field(gt=0)
    min_score: float = Field(ge=-1, le=1)


class FactsConfig(_Section):
    learn: bool
    recall: RecallConfig
    prompt: str
    attributes: list[AttributeConfig]
    vague: list[str] = Field(min_length=1)
    keep_vague: bool
    dates: list[str]
    most: int = Field(gt=0)

    @field_validator("vague")
    @classmethod
    def _are_patterns(cls, value: list[str]) -> list[str]:
        return [_pattern(one) for one in value]


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


class MemoryConfig(_Section):
    uri: str
    password_env: str | None
    databricks_instance: str | None
    threads: ThreadsConfig
    facts: FactsConfig

    @model_validator(mode="after")
    def _one_password(self) -> MemoryConfig:
        if self.password_env and self.databricks_instance:
            raise ValueError("expected either `password_env` or `databricks_instance`")
        return self


class ApprovalRuleConfig(_Section):
    tools: list[str] = Field(min_length=1)
    role: str | None = None
    amount: str = ""
    above: float | None = None
    confidence_below: float | None = Field(default=None, ge=0, le=1)
    why: str = ""

    @model_validator(mode="after")
    def _of_one_amount(self) -> ApprovalRuleConfig:
        if bool(self.amount) != (self.above is not None):
            raise ValueError("`amount` and `above` go together")
        return self


class PersonConfig(_Section):
    roles: list[str]
    tenant: str = ""


class ApprovalsConfig(_Section):
    hours: float = Field(gt=0)
    role: str
    rules: list[ApprovalRuleConfig]
    people: dict[str, PersonConfig]


class TrackingConfig(_Section):
    uri: str
    experiment: str
    mask: Literal["none", "patterns", "presidio"]
    seconds: float = Field(gt=0)


class Settings(_Section):
    """The validated tree. Keys are those of ``config/base.yaml``, which says what each means."""

    paths: PathsConfig
    models: ModelsConfig
    etl: EtlConfig
    retrieval: RetrievalConfig
    agent: AgentConfig
    tools: ToolsConfig
    memory: MemoryConfig
    approvals: ApprovalsConfig
    auth: AuthConfig
    guards: GuardsConfig
    tracking: TrackingConfig
    evals: EvalsConfig
