"""Walks through the models of the files: which block stands where, and which keys are allowed in it."""

import types
from collections.abc import Callable
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from provision.model.document import Loc


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a block as they are written in the file."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [model for member in get_args(annotation) for model in _members(member)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return []


def _unwrap(annotation: Any) -> Any:
    """Without ``Annotated`` and without ``| None``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            rest = [member for member in get_args(annotation) if member is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


def annotation_at(model: type[BaseModel], loc: Loc, *, whole: bool = False) -> Any:
    """The annotation of the value at ``loc``, or None where the models know nothing of it.

    ``whole`` keeps its rules and ``| None``.
    """
    annotation: Any = model
    for part in loc:
        annotation = _unwrap(annotation)
        origin = get_origin(annotation)
        if origin is dict:
            annotation = get_args(annotation)[1]
        elif origin in (tuple, list):
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = next(
                (
                    _with_rules(info)
                    for name, info in annotation.model_fields.items()
                    if (info.alias or name) == part
                ),
                None,
            )
        else:
            # A union: pydantic puts the chosen member's tag here.
            annotation = next((member for member in _members(annotation) if part in _tags(member)), None)
        if annotation is None:
            return None
    return annotation if whole else _unwrap(annotation)


def _with_rules(info: FieldInfo) -> Any:
    """A field's annotation with what pydantic took out of it."""
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _tags(model: type[BaseModel]) -> set[object]:
    return {choice for info in model.model_fields.values() for choice in get_args(info.annotation)}


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model of the block at ``loc``, or None where there is none or several could be meant."""
    members = _members(annotation_at(model, loc))
    return members[0] if len(members) == 1 else None


def rules_of(annotation: Any) -> list[Callable[[str], str]]:
    """The functions that check a field's value."""
    found: list[Callable[[str], str]] = []
    for part in get_args(annotation):
        if isinstance(part, AfterValidator):
            found.append(cast("Callable[[str], str]", part.func))
        elif part is not annotation and get_args(part):
            found += rules_of(part)
    return found


def choices_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The tags of the union at ``loc``, such as acme, provided and internal."""
    annotation = annotation_at(model, loc)
    found: list[str] = []
    for member in _members(annotation):
        for info in member.model_fields.values():
            if get_origin(info.annotation) is not None and info.is_required():
                found.extend(str(choice) for choice in get_args(info.annotation) if isinstance(choice, str))
                break
    return found
