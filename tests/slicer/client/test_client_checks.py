"""What the client checks without a server: addresses, tokens, and answers with a file in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from CardiacMotionLib.client import BadAnswer, BadCall, Client
from CardiacMotionLib.client.answers import InferAnswer, parse_infer_answer
from hypothesis import given
from hypothesis import strategies as st
from requests_toolbelt import MultipartEncoder

CONTENT = b"\x1f\x8bfile\r\n--"


def encoded(params: Any, name: str = "labels.nii.gz", **further: str) -> tuple[bytes, str]:
    fields = {
        "params": (None, json.dumps(params), "application/json"),
        "image": (name, CONTENT, "application/gzip"),
        **further,
    }
    form = MultipartEncoder(fields)
    return form.read(), form.content_type


def parsed(content: bytes, content_type: str, step: int = 7) -> InferAnswer:
    return parse_infer_answer((content[at : at + step] for at in range(0, len(content), step)), content_type)


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:8000", "ftp://host", "http://", "http://me:secret@host", "http://host:99999", "http://h/?x=1"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadCall, match="address of a server as http://HOST:PORT") as caught:
        Client(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_token_that_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(BadCall, match="token of printable ASCII") as caught:
        Client("http://host", token=token)
    assert not token or token not in str(caught.value)


def test_a_part_more_is_no_harm() -> None:
    answer = parsed(*encoded({"ed": 0}, more="text"))
    assert (answer.params, answer.file, answer.name) == ({"ed": 0}, CONTENT, "labels.nii.gz")


@pytest.mark.parametrize("name", ["../../etc/labels.nii.gz", "C:\\x\\labels.nii.gz", "/abs/labels.nii.gz"])
def test_a_file_of_an_answer_has_no_folder(name: str) -> None:
    assert parsed(*encoded({}, name)).name == "labels.nii.gz"


@pytest.mark.parametrize("name", ["..", "x/..", ".hidden", "", "a b", "x" * 300, "a\x00b"])
def test_a_name_that_no_file_should_have_is_replaced(name: str) -> None:
    assert parsed(*encoded({}, name)).name == "answer"


def test_an_answer_cut_anywhere_is_a_bad_one() -> None:
    body, content_type = encoded({"ed": 0})
    for end in range(len(body) - 2):
        with pytest.raises(BadAnswer):
            parsed(body[:end], content_type)


@pytest.mark.parametrize("params", [[1], "text", 3])
def test_parameters_of_an_answer_are_an_object(params: Any) -> None:
    with pytest.raises(BadAnswer, match="JSON object"):
        parsed(*encoded(params))


@given(
    content=st.binary(max_size=300) | st.text('-b\r\n:;="', max_size=60).map(str.encode),
    content_type=st.sampled_from(["multipart/form-data; boundary=b", "multipart/form-data", "", "a/b; boundary=b"])
    | st.text(max_size=40),
)
def test_garbage_is_a_bad_answer_and_nothing_worse(content: bytes, content_type: str) -> None:
    with pytest.raises(BadAnswer):
        parsed(content, content_type)
