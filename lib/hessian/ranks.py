"""The processes of a torchrun, each with its share of the data, kept in step.

Without ``torch.distributed``, or before it is initialised, all of this is for one process alone.
"""

from contextlib import contextmanager

from torch import distributed


def world_size():
    started = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if started else 1


def gather(value):
    """The values of all ranks in a list, on every rank."""
    values = [value] * world_size()
    if len(values) > 1:
        distributed.all_gather_object(values, value)
    return values


def all_sum(tensor):
    """The tensor summed over the ranks, in place; to the last bit the same on each."""
    if world_size() > 1:
        distributed.all_reduce(tensor)
    return tensor


@contextmanager
def errors_shared():
    """Raise on every rank what one of them raises, or the others would wait for it for ever."""
    if world_size() == 1:
        yield
        return
    mine = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        mine = error
    errors = gather(None if mine is None else _plain(mine))
    if mine is not None:
        raise mine
    for rank, error in enumerate(errors):
        if error is not None:
            error.add_note(f"raised on rank {rank}")
            raise error


def _plain(error):
    """The error as one that can be sent to another process, whatever it holds."""
    sendable = type(error) in (TypeError, ValueError, KeyboardInterrupt)
    return type(error)(*map(str, error.args)) if sendable else RuntimeError(repr(error))
