"""From the body of a request to the payload of a predictor, and from its result to the body of the answer."""

from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

import orjson

from reference.errors import InputError

Headers = list[tuple[str, str]]

_JSON = "application/json"
_JSON_HEADERS: Headers = [("content-type", _JSON)]
_JSON_TYPES = frozenset({dict, list, tuple, int, float, bool, type(None)})
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def payload(content_type: str, body: bytes) -> Any:
    """Return JSON as an object, a form as a dictionary, text as str and anything else as bytes; raises InputError."""
    if content_type == _JSON:
        return _json(body)
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == _JSON or (kind.startswith("application/") and kind.endswith("+json")):
        return _json(body)
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(_text(body, "utf-8"), keep_blank_values=True))
    if kind == "multipart/form-data":
        return _multipart(content_type, body)
    if kind.startswith("text/"):
        return _text(body, _parameter(f"{kind};{parameters}", "charset") or "utf-8")
    return body


def encode(result: Any) -> tuple[int, Headers, bytes]:
    """Return status, headers and body for what `predict()` returned.

    bytes, str and response objects (anything with `status_code`, `headers` and `body`) are sent as they are, all else
    as JSON. Raises TypeError for what is neither.
    """
    if type(result) in _JSON_TYPES:  # most often; the rest is asked one by one
        return 200, _JSON_HEADERS, to_json(result)
    if isinstance(result, (bytes, bytearray)):
        return 200, [("content-type", "application/octet-stream")], bytes(result)
    if isinstance(result, str):
        return 200, [("content-type", "text/plain; charset=utf-8")], result.encode()
    if hasattr(result, "status_code") and hasattr(result, "headers") and hasattr(result, "body"):
        headers = [(str(name), str(value)) for name, value in dict(result.headers).items()]
        return int(result.status_code), headers, bytes(result.body)
    return 200, _JSON_HEADERS, to_json(result)


def to_json(value: Any) -> bytes:
    """Serialise, arrays and NumPy numbers included; raises TypeError."""
    return orjson.dumps(value, _plain, _OPTIONS)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # arrays that are not contiguous, and NumPy scalars of unusual types
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is not valid JSON: {error}") from error


def _text(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except (LookupError, UnicodeDecodeError) as error:
        raise InputError(f"the body is not {charset} text") from error


def _parameter(content_type: str, name: str) -> str | None:
    message = Message()
    message["content-type"] = content_type
    value = message.get_param(name)
    return value if isinstance(value, str) else None


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a form: files as bytes, the others as str."""
    message = BytesParser().parsebytes(f"content-type: {content_type}\r\n\r\n".encode("latin-1") + body)
    if not message.is_multipart():
        raise InputError("the body is not a valid multipart form")
    form: dict[str, Any] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            form[name] = content if part.get_filename() is not None else _text(content, "utf-8")
    return form
