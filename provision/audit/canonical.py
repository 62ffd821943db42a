"""The canonical form of JSON (RFC 8785), in which entries are hashed and details are committed to."""

import json
from typing import Any

import rfc8785

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_ATOMS = frozenset({str, bool, type(None)})
_LARGEST = 2**53 - 1


def canonical(value: Any) -> bytes:
    """A value in the canonical form of RFC 8785.

    Raises:
        rfc8785.CanonicalizationError: it is no JSON, or has a number that not every reader takes for the same.
    """
    try:
        # Several times faster than the exact implementation, with the same bytes for all that we write ourselves.
        quick = _encode(value).encode()
    except (TypeError, ValueError):
        return rfc8785.dumps(value)
    return quick if _is_plain(value) else rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    """Whether ``json`` writes a value as RFC 8785 does: its numbers are integers that every reader keeps, and no key
    has characters that UTF-16, by which RFC 8785 sorts, places elsewhere than Python does.

    Args:
        value: something that ``json`` can write, so without circles.
    """
    pending = [value]
    for item in pending:
        kind = type(item)
        if kind is dict:
            try:
                names = "".join(item)
            except TypeError:
                return False
            if not names.isascii() and max(names) > "\uffff":
                return False
            pending += [one for one in item.values() if type(one) not in _ATOMS]
        elif kind is list:
            pending += [one for one in item if type(one) not in _ATOMS]
        elif kind not in _ATOMS and not (kind is int and -_LARGEST <= item <= _LARGEST):
            return False
    return True
