"""The schema of the API is complete, is generated without warnings, and has examples that work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from gateway.openapi import EXAMPLES, TAGS


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(public=True)


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_schema_is_valid(schema: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    validate_schema(schema)
    SchemaGenerator().get_schema(public=True)
    assert "Warning" not in capsys.readouterr().err


def test_a_file_field_is_an_upload(schema: dict[str, Any]) -> None:
    assert schema["components"]["schemas"]["TranscriptionRequest"]["properties"]["file"]["format"] == "binary"


def test_every_operation_has_its_errors_and_a_tag(schema: dict[str, Any]) -> None:
    for path, _method, operation in operations(schema):
        assert operation["tags"][0] in TAGS, path
        assert {"200", "400", "401", "429", "503"} <= set(operation["responses"]), path


async def test_the_examples_work_unchanged(schema: dict[str, Any], api: httpx.AsyncClient) -> None:
    for path, method, operation in operations(schema):
        if operation["operationId"] in EXAMPLES and "{" not in path:
            answer = await api.request(method, path, json=EXAMPLES[operation["operationId"]])
            assert answer.status_code == 200, path
