"""One handler per verb. A handler runs a step's items and reports each through the context.

It raises Interrupted when asked to stop, a S3PlanError when the whole step cannot go on, and
reports single items as problems.
"""

# ruff: noqa: PLC0415
# A run imports the handlers of its own verbs, not of all.

from __future__ import annotations

from typing import assert_never

from s3plan.engine.context import Context
from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.steps import (
    AbortUploads,
    Archive,
    BackupFile,
    Configure,
    Copy,
    CreateBucket,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Extract,
    Purge,
    PutFiles,
    Reencrypt,
    RemoveArchive,
    RemoveCopy,
    RemoveExtracted,
    RemoveFile,
    RemovePut,
    Restore,
    RestoreFile,
    RewriteFile,
    RunCommand,
    Stage,
    Step,
    Swap,
    SwapBack,
    Upload,
    Verify,
    VerifyCopies,
    VerifyStaged,
)


async def run_step(context: Context, step: Step) -> None:
    """Run one step with the handler of its verb."""
    await prepare(context, step)
    await run_items(context, step)


async def prepare(context: Context, step: Step) -> None:
    """Once before the items of a step: what only the process that has the run can see or do.

    Raises HeldError where the step may not begin after all.
    """
    match step.action:
        case DeleteSource():
            from s3plan.engine.handlers.delete_source import soak_is_over

            await soak_is_over(context, step, step.action)
        case RemoveCopy():
            from s3plan.engine.handlers import remove_copy

            await remove_copy.abandon_uploads(context, step, step.action)
        case SwapBack():
            from s3plan.engine.handlers import swap_back

            await swap_back.abandon_uploads(context, step, step.action)
        case _:
            pass


async def run_items(context: Context, step: Step) -> None:  # noqa: PLR0912, PLR0915 - a case a verb
    """Run the items of a step, all or those of a partition, after :func:`prepare`."""
    match step.action:
        case Restore():
            from s3plan.engine.handlers.restore import restore

            await restore(context, step, step.action)
        case Download():
            from s3plan.engine.handlers.download import download

            await download(context, step, step.action)
        case Verify():
            from s3plan.engine.handlers.verify import verify

            await verify(context, step, step.action)
        case Delete() if context.records is not None:
            from s3plan.engine.handlers.delete_told import delete_told

            await delete_told(context, step, step.action)
        case Delete():
            from s3plan.engine.handlers.delete import delete

            await delete(context, step, step.action)
        case AbortUploads():
            from s3plan.engine.handlers.abort_uploads import abort_uploads

            await abort_uploads(context, step, step.action)
        case DeleteBucket():
            from s3plan.engine.handlers.buckets import delete_bucket

            await delete_bucket(context, step, step.action)
        case CreateBucket():
            from s3plan.engine.handlers.buckets import create_bucket

            await create_bucket(context, step, step.action)
        case Upload():
            from s3plan.engine.handlers.upload import upload

            await upload(context, step, step.action)
        case RemoveFile():
            from s3plan.engine.handlers.remove_file import remove_file

            await remove_file(context, step, step.action)
        case Copy():
            from s3plan.engine.handlers.copy import copy

            await copy(context, step, step.action)
        case VerifyCopies():
            from s3plan.engine.handlers.verify_copies import verify_copies

            await verify_copies(context, step, step.action)
        case RemoveCopy():
            from s3plan.engine.handlers.remove_copy import remove_copy

            await remove_copy(context, step, step.action)
        case DeleteSource():
            from s3plan.engine.handlers.delete_source import delete_source

            await delete_source(context, step, step.action)
        case Archive():
            from s3plan.engine.handlers.archive import archive

            await archive(context, step, step.action)
        case Purge():
            from s3plan.engine.handlers.purge import purge

            await purge(context, step, step.action)
        case PutFiles():
            from s3plan.engine.handlers.put_files import put_files

            await put_files(context, step, step.action)
        case RemovePut():
            from s3plan.engine.handlers.remove_put import remove_put

            await remove_put(context, step, step.action)
        case Tag():
            from s3plan.engine.handlers.tag import tag

            await tag(context, step, step.action)
        case Adopt():
            from s3plan.engine.handlers.adopt import adopt

            await adopt(context, step, step.action)
        case VerifyReplacement():
            from s3plan.engine.handlers.verify_replacement import verify_replacement

            await verify_replacement(context, step, step.action)
        case RemoveArchive():
            from s3plan.engine.handlers.remove_archive import remove_archive

            await remove_archive(context, step, step.action)
        case Reencrypt():
            from s3plan.engine.handlers.reencrypt import reencrypt

            await reencrypt(context, step, step.action)
        case Stage():
            from s3plan.engine.handlers.stage import stage

            await stage(context, step, step.action)
        case VerifyStaged():
            from s3plan.engine.handlers.verify_staged import verify_staged

            await verify_staged(context, step, step.action)
        case Swap():
            from s3plan.engine.handlers.swap import swap

            await swap(context, step, step.action)
        case SwapBack():
            from s3plan.engine.handlers.swap_back import swap_back

            await swap_back(context, step, step.action)
        case Extract():
            from s3plan.engine.handlers.extract import extract

            await extract(context, step, step.action)
        case RemoveExtracted():
            from s3plan.engine.handlers.remove_extracted import remove_extracted

            await remove_extracted(context, step, step.action)
        case Configure():
            from s3plan.engine.handlers.configure import configure

            await configure(context, step, step.action)
        case BackupFile():
            from s3plan.engine.handlers.rewrite_file import backup_file

            await backup_file(context, step, step.action)
        case RewriteFile():
            from s3plan.engine.handlers.rewrite_file import rewrite_file

            await rewrite_file(context, step, step.action)
        case RestoreFile():
            from s3plan.engine.handlers.rewrite_file import restore_file

            await restore_file(context, step, step.action)
        case RunCommand():
            from s3plan.engine.handlers.run_command import run_command

            await run_command(context, step, step.action)
        case _:
            assert_never(step.action)


async def places_in_use(context: Context, step: Step) -> tuple[int, ...]:
    """Items that nobody began at whose place, a key or a path, something is that this run could
    take for its own later.

    Of verbs that are not among these none is asked. A handler that runs by itself finds these
    before each intent, or while it knows which items nobody began.
    """
    match step.action:
        case Copy():
            from s3plan.engine.handlers.copy import keys_in_use

            return await keys_in_use(context, step)
        case Download():
            from s3plan.engine.handlers.download import paths_in_use

            return await paths_in_use(context, step, step.action)
        case Extract():
            from s3plan.engine.handlers.extract import members_in_use

            return await members_in_use(context, step, step.action)
        case Swap():
            from s3plan.engine.handlers.swap import changed_already

            return await changed_already(context, step)
        case Tag():
            from s3plan.engine.handlers.tag import tagged_already

            return await tagged_already(context, step, step.action)
        case _:
            return ()


async def ask_for(context: Context, step: Step, action: Restore) -> None:
    """Ask S3 to restore the items, and do not wait for them."""
    from s3plan.engine.handlers import restore

    await restore.ask_for(context, step, action)


async def still_copied(context: Context, step: Step, action: VerifyCopies) -> bool:
    """Whether what a verify-copies step found is still so, as far as listings tell."""
    from s3plan.engine.handlers import verify_copies

    return await verify_copies.still_copied(context, step, action)


async def waits_for(context: Context, step: Step) -> tuple[str, ...]:
    """What a step waits for besides its needs and its approval, as sentences."""
    if not isinstance(step.action, DeleteSource):
        return ()
    from s3plan.engine.soak.gate import soak_obstacles

    return await context.in_thread(soak_obstacles, context, step.action)


__all__ = [
    "ask_for",
    "places_in_use",
    "prepare",
    "run_items",
    "run_step",
    "still_copied",
    "waits_for",
]
