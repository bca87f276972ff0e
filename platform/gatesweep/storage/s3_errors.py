"""What s3fs, botocore and aiohttp raise, told as errors of the user: no answer, rights, credentials or bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gatesweep.errors import StorageAway, StorageError

_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL for a store that is not AWS's)"
_AWAY = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling", "503", "500"}
_RIGHTS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AllAccessDisabled", "403"}


def code_of(error: BaseException) -> str:
    """The store's own word for what it refused, or nothing."""
    answer: Any = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(answer["Error"].get("Code", "")) if isinstance(answer, dict) and "Error" in answer else ""


def is_refused(error: BaseException) -> bool:
    """A conditional put whose condition does not hold."""
    return isinstance(error, FileExistsError) or code_of(error) in ("PreconditionFailed", "412")


def is_conflict(error: BaseException) -> bool:
    """Another conditional put is going on: to be tried again."""
    return code_of(error) in ("ConditionalRequestConflict", "OperationAborted", "409")


@contextmanager
def told(place: str, *, writing: bool = False) -> Iterator[None]:
    """Errors of the storage as StorageError. A file that is not there stays FileNotFoundError, unless one is written.

    Raises:
        StorageError: it refuses.
        StorageAway: it does not answer, or asks to be left alone for now.
    """
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        if writing or code_of(error) == "NoSuchBucket":
            raise StorageError("no such bucket", place=place, hint="create the bucket, or name another") from error
        raise
    except Exception as error:  # three libraries, each with errors of its own; what it is, is kept as the cause
        raise _as_ours(error, place) from error


def _as_ours(error: Exception, place: str) -> StorageError:
    code, kind = code_of(error), type(error).__name__
    said = " ".join(str(error).split())[:200] or kind
    if code in _RIGHTS or isinstance(error, PermissionError):
        return StorageError(f"no rights: {said}", place=place, hint=_CREDENTIALS)
    if kind in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"):
        return StorageError("no credentials", place=place, hint=_CREDENTIALS)
    if code in _AWAY or (not code and (isinstance(error, OSError) or _of_the_network(error))):
        return StorageAway(f"does not answer: {said}", place=place,
                           hint="check that the address in AWS_ENDPOINT_URL can be reached from here, then start again")
    return StorageError(said, place=place, hint="check the address and the store's own log")


def _of_the_network(error: Exception) -> bool:
    """botocore's and aiohttp's errors of connections share only their names and modules."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"ConnectionError", "HTTPClientError", "ClientError", "ClientPayloadError", "TimeoutError",
                         "FSTimeoutError", "IncompleteReadError", "ResponseParserError"})  # fmt: skip
