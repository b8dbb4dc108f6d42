"""Every hostile request of the benchmark against real servers, and random ones besides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.hostile.request import CASE, OUTSIDE, Hostile, as_params, plain, posted, quick, sound_label
from benchmarks.hostile.site import Site, changes, hostile_site, state_of, wrong_error
from benchmarks.hostile.wire import Part, Reply, form, form_headers
from benchmarks.hostile_requests import REQUESTS
from benchmarks.small_cines import small_cine

REFUSED = (400, 404, 405, 413, 422)
ANYTHING = ("",)
"""Whatever a random request may add to the studies folder, if it happens to be right."""

random_requests = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with hostile_site(tmp_path_factory.mktemp("around")) as found:
        yield found
        assert found.wrong_in_the_end() == []


@pytest.mark.parametrize("hostile", REQUESTS, ids=[each.name for each in REQUESTS])
def test_hostile_request(site: Site, hostile: Hostile) -> None:
    assert site.problems(hostile) == []


def test_requests_have_names_of_their_own() -> None:
    assert len({each.name for each in REQUESTS}) == len(REQUESTS) >= 130


# What is looked at would be seen


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Not Found",
        b"[]",
        b'{"detail": "Not Found"}',
        b'{"error": "x"}',
        b'{"error": {"code": "x", "message": "y"}}',
        b'{"error": {"code": "x", "message": "", "field": null}}',
        b'{"error": {"code": "x", "message": "y", "field": 3}}',
        b'{"error": {"code": "x", "message": "y", "field": null, "trace": "z"}}',
        b'{"error": {"code": "x", "message": "y", "field": null}, "more": 1}',
        b'{"error": {"code": "x", "message": NaN, "field": null}}',
    ],
)
def test_an_error_of_another_form_is_seen(body: bytes) -> None:
    assert wrong_error(Reply(400, {}, body)) is not None


def test_an_error_of_the_contract_is_none() -> None:
    assert wrong_error(Reply(400, {}, b'{"error": {"code": "x", "message": "y", "field": null}}')) is None


def test_what_is_written_is_seen(tmp_path: Any) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = state_of(tmp_path)
    assert changes(before, state_of(tmp_path)) == []
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "b").mkdir()
    assert changes(before, state_of(tmp_path)) == ["a", "b"]


def test_a_wrong_status_and_a_telling_answer_are_seen(site: Site) -> None:
    (wrong,) = site.problems(plain("x", "GET", "/info/", 404))
    assert "answered 200" in wrong
    (told,) = site.problems(plain("x", "GET", f"/activelearning/{OUTSIDE}", 200, by_parser=True))
    assert "answered 404" in told


# Random requests

json_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
json_values = st.recursive(
    json_leaves, lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=8), each, max_size=4)
)
names = st.sampled_from(
    ["model", "options", "reference", "key_frames", "label_tag", "align", "refine", "output", "client_id"]
) | st.text(max_size=10)
options = st.dictionaries(
    st.sampled_from(["iterations", "levels", "dimensions", "similarity", "seed", "bidirectional"])
    | st.text(max_size=6),
    json_values,
    max_size=3,
)


@random_requests
@given(params=st.dictionaries(names, json_values, max_size=4), chosen=options)
def test_random_parameters_are_refused_and_do_no_harm(
    site: Site, params: dict[str, Any], chosen: dict[str, Any]
) -> None:
    # Without a label nothing is computed, however right the rest is.
    text = json.dumps({"options": chosen} | params)
    request = posted("x", "POST", f"/infer/motion?image={CASE}", *REFUSED, parts=lambda: [as_params(text)])
    assert site.problems(request) == []


@random_requests
@given(
    frames=st.lists(st.integers(-1, 6) | json_leaves, max_size=4) | json_values,
    reference=st.integers(-1, 6) | json_leaves,
)
def test_random_frames_are_right_or_refused(site: Site, frames: Any, reference: Any) -> None:
    params = quick(key_frames=frames, reference=reference)
    n_frames = small_cine().n_frames
    is_right = (
        isinstance(frames, list)
        and len(frames) == 1
        and all(type(t) is int and 0 <= t < n_frames for t in (*frames, reference))
    )
    request = posted(
        "x",
        "POST",
        f"/infer/motion?image={CASE}",
        *((200,) if is_right else (422,)),
        parts=lambda: [sound_label(), as_params(params)],
    )
    assert site.problems(request) == []


words = st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=30)
quoted = words.map(lambda word: quote_from_bytes(word, safe=""))


@random_requests
@given(
    path=st.sampled_from(
        ["image", "image/info", "label", "label/info", "label/versions", "", "../info/", "label/../image"]
    ),
    query=st.dictionaries(
        st.sampled_from(["image", "label", "tag", "version", "output", "check_sum"]) | quoted,
        quoted | st.just(CASE),
    ),
)
def test_random_queries_do_no_harm(site: Site, path: str, query: dict[str, str]) -> None:
    target = f"/datastore/{path}?" + "&".join(f"{name}={value}" for name, value in query.items())
    assert site.problems(plain("x", "GET", target, 200, *REFUSED)) == []


# Everything that the server says of itself


def _operations(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, operations in site.schema()["paths"].items()
        for method, operation in operations.items()
    ]


def _parts(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[list[Part]]:
    """Forms with the fields of a schema, each there or not, right or not."""
    properties = components[schema["$ref"].rsplit("/", 1)[-1]]["properties"]
    values = st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode("utf-8", "replace"))
    filenames = st.none() | st.sampled_from(["a.nii.gz", "a.nrrd", "../a.nii", "a", "a.exe"])
    fields = [st.lists(st.builds(Part, st.just(name), values, filenames), max_size=2) for name in properties]
    return st.tuples(*fields).map(lambda lists: [part for each in lists for part in each])


@st.composite
def described_requests(
    draw: st.DrawFn, method: str, path: str, operation: dict[str, Any], components: Any
) -> Hostile:
    """A request of an operation: parameters of the schema's names, values that may or may not be right."""
    values = quoted | st.sampled_from(
        [CASE, "final", "original", "1", "0", "-1", "motion", "random", "image", "json"]
    )
    query = []
    for parameter in operation.get("parameters", []):
        value = draw(values)
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", value)
        elif draw(st.booleans()) or parameter.get("required"):
            query.append(f"{parameter['name']}={value}")
    target = path + ("?" + "&".join(query) if query else "")
    content = operation.get("requestBody", {}).get("content", {})
    allowed = (200, 202, 409, *REFUSED)
    if "multipart/form-data" in content:
        parts = draw(_parts(content["multipart/form-data"]["schema"], components))
        return Hostile(
            "x",
            method,
            target,
            frozenset(allowed),
            headers=form_headers(),
            body=lambda: form(parts),
            may_add=ANYTHING,
        )
    if "application/json" in content:
        body = json.dumps(draw(json_values)).encode("utf-8", "replace")
        headers = (("Content-Type", "application/json"),)
        return plain("x", method, target, *allowed, headers=headers, body=lambda: body, may_add=ANYTHING)
    return plain("x", method, target, *allowed, may_add=ANYTHING)


@random_requests
@given(data=st.data())
def test_whatever_the_schema_allows_does_no_harm(site: Site, data: st.DataObject) -> None:
    components = site.schema().get("components", {}).get("schemas", {})
    for method, path, operation in _operations(site):
        assert site.problems(data.draw(described_requests(method, path, operation, components))) == []


def test_the_schema_names_the_routes_of_the_contract(site: Site) -> None:
    found = {(method, path) for method, path, _ in _operations(site)}
    assert found >= {
        ("GET", "/info/"),
        ("POST", "/infer/{model}"),
        ("POST", "/jobs/infer/{model}"),
        ("GET", "/jobs/{job}"),
        ("GET", "/jobs/{job}/result"),
        ("DELETE", "/jobs/{job}"),
        ("PUT", "/datastore/image"),
        ("GET", "/datastore/image"),
        ("PUT", "/datastore/label"),
        ("GET", "/datastore/label"),
        ("GET", "/datastore/label/versions"),
        ("POST", "/activelearning/{strategy}"),
        ("POST", "/datastore/dicom"),
        ("POST", "/jobs/datastore/dicom"),
    }
