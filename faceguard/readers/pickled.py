"""Plain data out of a pickle, without unpickling: nothing the file names is imported or called.

A pickle is a program for a stack machine. This walks its opcodes (``pickletools.genops``) and carries out those that build
tuples, lists, dictionaries, bytes, text, numbers and truth values. Where a pickle would call a function, only the spellings
that Python and numpy use for bytes and uint8 or bool arrays are understood, and rebuilt here; everything else is refused.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from faceguard.errors import DataError

_VALUES = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_OLD_STRINGS = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})  # Python 2's bytes
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_RECALL = frozenset({"GET", "BINGET", "LONG_BINGET"})
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
_CLOSING = frozenset({"LIST", "TUPLE", "DICT", "APPENDS", "SETITEMS"})
_BYTES_CODES = {"u1", "|u1", "b1", "|b1"}
_T = TypeVar("_T")


class _RefusedError(Exception):
    """The pickle asks for something that plain data does not need."""


@dataclass(frozen=True)
class _Name:
    """A global that the pickle names, never imported."""

    dotted: str


@dataclass
class _Array:
    """A uint8 or bool array under construction; its shape does not matter here."""

    data: bytes = b""


@dataclass(frozen=True)
class _Dtype:
    code: str  # one of _BYTES_CODES


def read_lists(data: bytes, name: str) -> tuple[list[bytes], list[bool]]:
    """The pickle ``data`` as encoded photos and truth values; an array of numbers counts as its bytes.

    Raises DataError, naming the file ``name``, when the pickle is damaged, describes anything else, or asks for a call.
    """
    return _read(data, name, _two_lists)


def read_table(data: bytes, name: str) -> dict[str, Any]:
    """The pickle ``data`` as named values: bytes, numbers and lists of them; an array counts as its bytes, row by row.

    Raises DataError as `read_lists` does.
    """
    return _read(data, name, _table)


def _read(data: bytes, name: str, shape: Callable[[Any], _T]) -> _T:
    """The value that the pickle describes, brought to its ``shape``."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return shape(stack.pop())
            if opcode.name == "MARK":
                marks.append(len(stack))
            elif opcode.name in _CLOSING:
                start = marks.pop()
                items = stack[start:]
                del stack[start:]
                _close(opcode.name, items, stack)
            elif opcode.name in _PUT or opcode.name == "MEMOIZE":
                memo[len(memo) if argument is None else argument] = stack[-1]
            elif opcode.name in _RECALL:
                stack.append(memo[argument])
            elif opcode.name not in ("PROTO", "FRAME"):
                _step(opcode.name, argument, stack)
    except _RefusedError as error:
        raise DataError(
            f"{name} is a pickle that asks for {error}, which photos and labels never need; it may be an attack."
            " Nothing of it was run; remove it."
        ) from error
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{name} is a damaged pickle ({error}); copy it again from where it came.") from error
    raise DataError(f"{name} is a damaged pickle; copy it again from where it came.")


def _close(opcode: str, items: list[Any], stack: list[Any]) -> None:
    """Use the items above the last mark."""
    if opcode == "APPENDS":
        _as_list(stack[-1]).extend(items)
    elif opcode == "SETITEMS":
        _as_dict(stack[-1]).update(_entries(items))
    elif opcode == "DICT":
        stack.append(_entries(items))
    else:
        stack.append(items if opcode == "LIST" else tuple(items))


def _entries(items: list[Any]) -> dict[Any, Any]:
    """Keys and values by turns."""
    return dict(zip(items[0::2], items[1::2], strict=True))


def _step(opcode: str, argument: Any, stack: list[Any]) -> None:
    """Carry out one opcode that needs only the stack."""
    if opcode in _VALUES:
        stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
    elif opcode in _OLD_STRINGS:
        stack.append(argument.encode("latin-1"))
    elif opcode in _CONSTANTS:
        stack.append(_CONSTANTS[opcode])
    elif opcode in _EMPTY:
        stack.append(_EMPTY[opcode]())
    elif opcode in _TUPLES:
        stack[-_TUPLES[opcode] :] = [tuple(stack[-_TUPLES[opcode] :])]
    elif opcode == "APPEND":
        item = stack.pop()
        _as_list(stack[-1]).append(item)
    elif opcode == "SETITEM":
        value, key = stack.pop(), stack.pop()
        _as_dict(stack[-1])[key] = value
    elif opcode == "GLOBAL":
        stack.append(_Name(argument.replace(" ", ".")))
    elif opcode == "STACK_GLOBAL":
        module, name = stack.pop(-2), stack.pop()
        stack.append(_Name(f"{module}.{name}"))
    elif opcode == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        stack.append(_rebuild(function, arguments))
    elif opcode == "BUILD":
        _fill(stack[-2], stack.pop())
    else:
        raise _RefusedError(f"the operation {opcode}")


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("an item is added to something that is not a list")
    return value


def _as_dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError("an entry is added to something that is not a dictionary")
    return value


def _rebuild(function: Any, arguments: Any) -> Any:
    """What the call would give, for the few calls that spell bytes, scalars and arrays."""
    dotted = (
        function.dotted.replace("numpy._core", "numpy.core") if isinstance(function, _Name) else repr(function)[:80]
    )
    match dotted, arguments:
        case "_codecs.encode", (str() as text, "latin1"):  # bytes, written by Python 3 for Python 2
            return text.encode("latin-1")
        case "numpy.dtype", (code, *_) if _text(code) in _BYTES_CODES:
            return _Dtype(_text(code))
        case "numpy.core.multiarray.scalar", (_Dtype(code), bytes() as data) if len(data) == 1:
            return data != b"\0" if code.endswith("b1") else data[0]
        case "numpy.core.multiarray._reconstruct", (_Name(dotted="numpy.ndarray"), _, _):
            return _Array()
        case "numpy.core.numeric._frombuffer", (bytes() as data, _Dtype(), _, "C"):
            return _Array(data)
    raise _RefusedError(f"a call of {dotted}")


def _fill(target: Any, state: Any) -> None:
    """Give an array its bytes; a dtype's state (byte order, alignment) changes nothing for single bytes."""
    match target, state:
        case _Array(), (_, _, _Dtype(), False, bytes() as data):  # row by row; True would be column by column
            target.data = data
        case _Dtype(), tuple():
            pass
        case _:
            raise _RefusedError("the state of an object")


def _text(code: Any) -> str:
    return code.decode("latin-1") if isinstance(code, bytes) else str(code)


def _two_lists(value: Any) -> tuple[list[bytes], list[bool]]:
    """Check the finished value; flat lists only, so that no nesting can make it larger than the file."""
    match value:
        case (list() as photos, list() | _Array() as flags):
            encoded = [photo.data if isinstance(photo, _Array) else photo for photo in photos]
            same = list(flags.data) if isinstance(flags, _Array) else flags
            if all(isinstance(photo, bytes) for photo in encoded) and all(isinstance(flag, int) for flag in same):
                return encoded, [bool(flag) for flag in same]
    raise TypeError("it is not a pair of lists, encoded photos and truth values")


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, bytes | str) for key in value):
        raise TypeError("it is not a dictionary of named values")
    return {_text(key): item.data if isinstance(item, _Array) else item for key, item in value.items()}
