"""Sign-SGD on the puzzle table: only the rows in a batch are read and written."""

import torch
from torch import Tensor


def sign_sgd_(
    table: Tensor, ids: Tensor, gradient: Tensor, *, learning_rate: float, weight_decay: float
) -> None:
    """Update ``table`` [N, W] in place by sign-SGD with decoupled decay (authors'
    ``CastedSparseEmbeddingSignSGD``).

    :param ids: int64 [B], the row of each example; duplicates' gradients are summed before the sign
        is taken, in the order of the batch on every device.
    :param gradient: float32 [B, W].
    """
    # Shapes are those of the batch, however many rows it has: nothing waits for the device to count
    # them. A row's gradients are summed where the first of them stands; its duplicates write the
    # same numbers again.
    ids, order = ids.sort(stable=True)
    first, past = torch.searchsorted(ids, ids), torch.searchsorted(ids, ids, right=True)
    is_first = first == torch.arange(len(ids), device=ids.device)
    lengths = torch.where(is_first, past - first, 0)
    sums = torch.segment_reduce(gradient[order], "sum", lengths=lengths, unsafe=True, initial=0.0)
    table[ids] = (
        table[ids] * (1.0 - learning_rate * weight_decay) - learning_rate * sums[first].sign()
    )
