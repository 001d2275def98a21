"""What the steps of a change of layout say of themselves, as rows of a review."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from s3plan.model.layout import Recipe
from s3plan.model.steps import Purge, Reencrypt, Stage, Swap, SwapBack, VerifyStaged
from s3plan.views.quantities import size
from s3plan.views.text import visible


def layout_rows(
    action: Stage | VerifyStaged | Swap | SwapBack | Purge | Reencrypt,
) -> Iterator[tuple[str, Text]]:
    """Labels and text."""
    match action:
        case Stage():
            yield from _recipe(action.recipe)
            yield "beside", Text("shadow keys, which no listing of s3plan shows")
            if action.keeps_old:
                yield "keeps", Text("the old forms under shadow keys: there are no versions")
        case Reencrypt():
            yield "key", Text(visible(action.kms_key))
            yield "had", Text(visible(action.before or "S3's own (AES256)"))
            yield "by", Text("UpdateObjectEncryption: in place, without a copy")
        case VerifyStaged():
            yield "compares", Text("content, headers, metadata, tags and parts of every one")
        case Purge():
            yield "since", Text(f"before {visible(action.before)}")
            yield "only if", Text("the object is there, and no run that is not finished needs them")
        case Swap() | SwapBack():
            yield "by", Text(_way(action))
            if action.keeps_old:
                yield "old forms", Text("under shadow keys, until a LayoutCleanup")
            else:
                yield "old forms", Text("as versions")


def _recipe(recipe: Recipe) -> Iterator[tuple[str, Text]]:
    """What the new forms have that the old ones have not."""
    if recipe.layout_version is not None:
        yield "version", Text(f"{recipe.layout_version}")
    if recipe.storage_class is not None:
        yield "class", Text(visible(recipe.storage_class))
    if recipe.encryption is not None:
        key = f" {recipe.kms_key}" if recipe.kms_key else ""
        yield "encrypted", Text(visible(f"{recipe.encryption}{key}"))
    if recipe.checksum is not None:
        yield "checksum", Text(recipe.checksum)
    if recipe.part_size is not None:
        yield "parts of", Text(size(recipe.part_size))
    if recipe.codec is not None:
        yield "codec", Text(recipe.codec)
    if recipe.recipients is not None:
        sealed = ", ".join(recipe.recipients) or "not at all"
        yield "sealed to", Text(visible(sealed))
    if recipe.identity is not None:
        yield "opened by", Text(visible(recipe.identity))
    if recipe.content_type is not None:
        yield "type", Text(visible(recipe.content_type))
    if recipe.metadata:
        pairs = ", ".join(f"{name}={value}" for name, value in sorted(recipe.metadata.items()))
        yield "metadata", Text(visible(pairs))


def _way(action: Swap | SwapBack) -> str:
    way = (
        f"one write with If-Match each: PUT up to {size(action.largest_put)}, else CopyObject, else"
        " a completed upload, whichever holds at this endpoint"
    )
    return f"{way}; where none does, a look right before and after" if action.window else way
