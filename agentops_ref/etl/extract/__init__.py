"""Typed records from documents, each with the place where it stands. Taught in chapter 3.

    elements → table · pattern · model → candidates → check → records → Delta tables
                                                        │
                                                        └→ rejected: counted, told, never landed

What is looked for is YAML (`schema`); the rule that nothing is invented is `grounded`.
"""

from agentops_ref.etl.extract.check import Source, check
from agentops_ref.etl.extract.completeness import expected_fields
from agentops_ref.etl.extract.extractor import Extractor
from agentops_ref.etl.extract.follow import ExtractReport, follow
from agentops_ref.etl.extract.form import Ask
from agentops_ref.etl.extract.grounded import grounded, number_stands, stands
from agentops_ref.etl.extract.records import Candidate, Extracted, Provenance, Record, Rejected
from agentops_ref.etl.extract.rows import distinct
from agentops_ref.etl.extract.schema import RecordType, Schema, load_schema, read_schema
from agentops_ref.etl.extract.store import ResultStore

__all__ = [
    "Ask",
    "Candidate",
    "ExtractReport",
    "Extracted",
    "Extractor",
    "Provenance",
    "Record",
    "RecordType",
    "Rejected",
    "ResultStore",
    "Schema",
    "Source",
    "check",
    "distinct",
    "expected_fields",
    "follow",
    "grounded",
    "load_schema",
    "number_stands",
    "read_schema",
    "stands",
]
