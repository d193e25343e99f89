"""What goes wrong while bytes are read is named as what it is: the bytes' fault, the machine's, or
the program's."""

import errno
import gzip
import json

import pytest

from storage.manifest import CorruptDataError
from storage.reading import one_line, out_of_memory, reading
from storage.refusals import refusal


def read(error: BaseException) -> None:
    with reading(CorruptDataError, "some/file", "tensors; write it again", AttributeError):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("odd"),
        KeyError("step"),
        EOFError(),
        OverflowError("too large"),
        RecursionError("too deep"),
        AttributeError("said to come from bad bytes"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "some/file"),
        IsADirectoryError(errno.EISDIR, "Is a directory", "some/file"),
        OSError("a library does not understand the bytes"),
        gzip.BadGzipFile("no gzip"),
        OSError(errno.EINVAL, "Invalid argument"),
    ],
    ids=repr,
)
def test_bad_bytes(error: Exception) -> None:
    with pytest.raises(CorruptDataError) as caught:
        read(error)
    assert str(caught.value).startswith("some/file: ")
    assert str(caught.value).endswith("; expected tensors; write it again")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 8.0 TiB for an array"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
    ids=repr,
)
def test_too_little_memory(error: Exception) -> None:
    assert out_of_memory(error)
    with pytest.raises(MemoryError) as caught:
        read(error)
    assert str(caught.value) == f"some/file: {one_line(error)}"


@pytest.mark.parametrize(
    "number",
    [
        errno.EIO,
        errno.EACCES,
        errno.ENOSPC,
        errno.EMFILE,
        errno.EROFS,
        errno.ESTALE,
        errno.ETIMEDOUT,
    ],
)
def test_the_machine_refuses(number: int) -> None:
    with pytest.raises(OSError, match="as the system says") as caught:
        read(OSError(number, "as the system says"))
    assert caught.value.errno == number
    assert refusal(caught.value).startswith("some/file: as the system says")


@pytest.mark.parametrize("error", [TimeoutError("late"), PermissionError("no"), ConnectionError()])
def test_the_machine_refuses_without_a_number(error: OSError) -> None:
    with pytest.raises(OSError, match="some/file") as caught:
        read(error)
    assert refusal(caught.value).startswith(f"some/file: {one_line(error)}")


@pytest.mark.parametrize(
    "error",
    [
        TypeError("unsupported operand"),
        ImportError("no module"),
        NameError("undefined"),
        RuntimeError("a mistake in the program"),
        AssertionError(),
    ],
    ids=repr,
)
def test_mistakes_of_the_program_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        read(error)
    assert caught.value is error


def test_one_line() -> None:
    assert one_line(KeyError("a")) == "no 'a'"
    assert one_line(ValueError("two\n  lines")) == "two lines"
    assert one_line(EOFError()) == "EOFError"
    with (
        pytest.raises(CorruptDataError, match="some/file: Expecting"),
        reading(CorruptDataError, "some/file", "JSON"),
    ):
        json.loads("{")
