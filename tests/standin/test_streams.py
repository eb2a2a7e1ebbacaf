"""The stand-in finds streams that do not wait for each other: on a GPU those are races."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from standin import StreamOrderError

HOST = np.arange(4.0, dtype=np.float32)


@pytest.fixture
def stream(cupy):
    return cupy.cuda.Stream(non_blocking=True)


def pinned(cupy, array=HOST):
    """A copy in pinned memory."""
    memory = cupy.cuda.alloc_pinned_memory(array.nbytes)
    made = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
    made[...] = array
    return made


def test_a_copy_on_a_stream_is_counted_ahead(cupy, stream):
    with stream:
        assert cupy.cuda.get_current_stream() is stream
        x = cupy.asarray(HOST)
    assert cupy.cuda.get_current_stream() is cupy.cuda.Stream.null
    cupy.cuda.get_current_stream().wait_event(stream.record())
    assert float(x.sum()) == 6.0
    assert [sent.bytes for sent in cupy.counts.ahead] == [16]
    assert not cupy.counts.to_device


def test_an_array_is_used_before_its_copy_is_waited_for(cupy, stream):
    with stream:
        x = cupy.asarray(HOST)
    with pytest.raises(StreamOrderError, match=r"the default stream uses an array .*test_streams"):
        x + 1
    stream.synchronize()
    assert float((x + 1).sum()) == 10.0


def test_an_array_is_overwritten_while_another_stream_reads_it(cupy, stream):
    x = cupy.asarray(HOST)
    cupy.cuda.Device().synchronize()
    y = x + 1
    with pytest.raises(StreamOrderError):
        x.set(HOST, stream=stream)
    stream.wait_event(cupy.cuda.get_current_stream().record())
    x.set(HOST + 1, stream=stream)
    assert y.tolist() == [1.0, 2.0, 3.0, 4.0]
    cupy.cuda.Stream.null.wait_event(stream.record())
    assert x.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_what_was_allocated_elsewhere_is_waited_for(cupy, stream):
    x = cupy.empty(4, np.float32)
    with pytest.raises(StreamOrderError):
        x.set(HOST, stream=stream)


def test_freed_memory_that_another_stream_works_on_is_not_taken_again(cupy, stream):
    with stream:
        x = cupy.asarray(HOST)
    cupy.cuda.Stream.null.wait_event(stream.record())
    y = x * 2
    del x
    with stream, pytest.raises(StreamOrderError, match="handed out again"):
        cupy.empty(4, np.float32)
    stream.wait_event(cupy.cuda.Stream.null.record())
    with stream:
        cupy.empty(4, np.float32)
    assert float(y.sum()) == 12.0


def test_a_block_that_is_too_small_is_not_taken_again(cupy, stream):
    with stream:
        x = cupy.asarray(HOST)
    cupy.cuda.Stream.null.wait_event(stream.record())
    y = x * 2
    del x
    with stream:
        cupy.empty(400, np.float32)
    assert float(y.sum()) == 12.0


def test_pinned_memory_is_copied_later(cupy, stream):
    page = pinned(cupy)
    with stream:
        x = cupy.empty(4, np.float32)
        x.set(page)
    event = stream.record()
    cupy.cuda.Stream.null.wait_event(event)
    y = x + 1
    event.synchronize()
    page[:] = 9.0  # the host has waited
    assert y.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("used", [False, True])
def test_pinned_memory_is_overwritten_too_early(cupy, stream, used):
    page = pinned(cupy)
    with stream:
        x = cupy.asarray(page)
    cupy.cuda.Stream.null.wait_event(stream.record())
    if used:
        x + 1
    page[2] = 9.0
    with pytest.raises(StreamOrderError, match="pinned memory was overwritten"):
        stream.synchronize()
    stream.copies.clear()


def test_memory_that_is_not_pinned_is_copied_at_once(cupy, stream):
    page = HOST.copy()
    with stream:
        x = cupy.asarray(page)
    page[:] = 9.0
    stream.synchronize()
    assert x.tolist() == HOST.tolist()


def test_streams_that_block_are_in_order_with_the_default_one(cupy):
    blocking = cupy.cuda.Stream()
    with blocking:
        x = cupy.asarray(HOST)
    assert float(x.sum()) == 6.0
    with blocking:
        y = x + 1
    with cupy.cuda.Stream(), pytest.raises(StreamOrderError):
        y + 1


def test_events_see_what_streams_had_waited_for(cupy, stream):
    other = cupy.cuda.Stream(non_blocking=True)
    with stream:
        x = cupy.asarray(HOST)
    other.wait_event(stream.record())
    cupy.cuda.Stream.null.wait_event(other.record())
    assert float(x.sum()) == 6.0


def test_time_passes_between_events(cupy):
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    end.record()
    end.synchronize()
    assert cupy.cuda.get_elapsed_time(start, end) >= 0.0
    with pytest.raises(ValueError):
        cupy.cuda.get_elapsed_time(start, cupy.cuda.Event(disable_timing=True))


def test_a_buffer_of_pinned_memory_is_a_power_of_two(cupy):
    memory = cupy.cuda.alloc_pinned_memory(600)
    assert memory.size() == 1024
    assert memory.ptr == np.frombuffer(memory, np.uint8).ctypes.data


def test_pointers_copy_bytes(cupy, stream):
    x, y = cupy.zeros(4, np.float32), cupy.zeros(4, np.float32)
    x.data.copy_from_host(HOST.ctypes.data, 16)
    y.data.copy_from_device(x.data, 16)
    back = np.zeros(4, np.float32)
    y.data.copy_to_host(back.ctypes.data_as(ctypes.c_void_p), 16)
    assert back.tolist() == HOST.tolist()
    (y.data + 8).memset(0, 8)
    assert y.tolist() == [0.0, 1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="a view"):
        y.data.memset(0, 17)
    stream.wait_event(cupy.cuda.Stream.null.record())
    page = pinned(cupy, HOST + 1)
    x.data.copy_from_host_async(page.ctypes.data, 16, stream)
    stream.synchronize()
    assert x.tolist() == [1.0, 2.0, 3.0, 4.0]
    part = cupy.ndarray((2,), np.float32, memptr=x.data + 4, strides=(8,))
    assert part.tolist() == [2.0, 4.0]
    assert cupy.cuda.alloc_pinned_memory(1).ptr
    assert cupy.get_default_memory_pool().malloc(10).mem.size == 512
